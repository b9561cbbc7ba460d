"""The one way in: claim a lease, make the bytes, keep the blobs, commit the rows at once.

Blobs are durable before a row names them, so a death anywhere leaves nothing visible half
done; a key is committed once, so the same work again makes nothing twice.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import uuid4

from sqlalchemy import Connection

from app.digest import Json, canonical_json, digest, digest_bytes
from app.store import (
    conflicts as alarms,
)
from app.store import (
    database,
    tables,
)
from app.store import (
    inserts as entries,
)
from app.store import (
    mapping as rows,
)
from app.store import (
    validate as evidence,
)
from app.store.catalog import RunRecord
from app.store.close_leases import settle
from app.store.durability import keep
from app.store.leases import Claim, attempts, claim, forget, hand_back, release, renew
from app.store.store import Store, open_store
from app.types import AssetRecord, AtlasPage, GeneratedImage, Status

__all__ = [
    "Claim",
    "Store",
    "attempts",
    "begin_run",
    "claim",
    "forget",
    "hand_back",
    "new_run_id",
    "open_store",
    "overrule_asset",
    "publish_assets",
    "publish_images",
    "publish_pages",
    "release",
    "renew",
    "restore",
]


def new_run_id() -> str:
    """A name for a run that no other has; runs sort by when they began."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{uuid4().hex[:6]}"


def begin_run(
    store: Store, run_id: str, *, plan: str, document: Json, files: Sequence[bytes] = ()
) -> RunRecord:
    """Keep a plan's own document under its digest and note that a run of it begins.

    `files` are pictures that the plan names. Raises CatalogError when the id is taken.
    """
    blob = canonical_json(document)
    plan_digest = digest_bytes(blob)
    held = [plan_digest, *map(digest_bytes, files)]

    def commit(connection: Connection) -> None:
        entries.insert_run(connection, run_id, plan=plan, plan_digest=plan_digest)
        rows.insert_all(connection, tables.holdings, rows.run_holdings(run_id, held))

    keep(store, [blob, *files], commit, names=[run_id])
    return store.catalog.run(run_id)


def publish_images(
    store: Store,
    images: Sequence[tuple[GeneratedImage, bytes]],
    *,
    owner: str,
    files: Sequence[bytes] = (),
) -> tuple[GeneratedImage, ...]:
    """Keep the bytes, commit the rows, end the leases; returns what now stands under each key.

    The attempts that made the images are booked with them. `files` are what the images or their
    requests name besides, and what may not be stored yet. Safe to repeat, and open to an owner
    whose lease ran out: if a key is committed already, its row is returned. When the bytes offered
    differ from those committed, an alarm is recorded, the rest of the batch is committed and
    KeyConflict is raised. Raises DigestMismatch and CatalogError before anything is kept when
    an image does not name its bytes or its provenance has a gap.
    """
    for image, data in images:
        evidence.require_bytes(f"image {image.key}", [image.digest], [data])
        evidence.require_image(image)
    evidence.require_files([image for image, _ in images], files)
    offered = [(image.key, image) for image, _ in images]

    def commit(connection: Connection) -> tuple[dict[str, GeneratedImage], list[rows.Cells]]:
        now = database.clock(connection)
        created_at = rows.timestamp(now)
        committed = rows.images_by_key(connection, (key for key, _ in offered))
        fresh = alarms.first(offered, committed)
        entries.insert_images(connection, list(fresh.values()), created_at)
        standing = committed | fresh
        settle(connection, dict(offered) | fresh, fresh, owner=owner, now=now)
        found = alarms.differing("image", offered, standing, lambda image: image.digest)
        alarms.record(connection, found, source=owner, created_at=created_at)
        return standing, found

    blobs = [*files, *(data for _, data in images)]
    standing, found = keep(store, blobs, commit, names=[key for key, _ in offered])
    alarms.refuse(found)
    return tuple(standing[key] for key, _ in offered)


def publish_assets(
    store: Store, records: Sequence[tuple[AssetRecord, Sequence[bytes]]]
) -> tuple[AssetRecord, ...]:
    """Keep the finished files and commit the records; returns what now stands under each key.

    Accepted, review and rejected are final, failed is not: a failed record gives way to any
    later one and never displaces a final one. The same content again (status, image, files)
    returns the record that stands; other content is recorded as an alarm, the rest of the
    batch is committed and KeyConflict is raised. Raises DigestMismatch when the bytes are
    not exactly the record's files, CatalogError when a record lacks what its status promises
    or its image was not published.
    """
    for record, files in records:
        named = [file.digest for file in record.asset.files] if record.asset else []
        evidence.require_bytes(f"asset {record.name}@{record.version}", named, files)
        evidence.require_record(record)
    final = [(record.key, record) for record, _ in records if record.status is not Status.FAILED]
    failed = [(record.key, record) for record, _ in records if record.status is Status.FAILED]

    def commit(connection: Connection) -> tuple[dict[str, AssetRecord], list[rows.Cells]]:
        created_at = rows.timestamp(database.clock(connection))
        recorded = rows.records_by_key(connection, (record.key for record, _ in records))
        standing = {k: one for k, one in recorded.items() if one.status is not Status.FAILED}
        fresh = alarms.first(final + failed, standing)
        standing |= entries.insert_records(connection, fresh, created_at)
        found = alarms.differing("asset", final, standing, _content)
        alarms.record(connection, found, source="", created_at=created_at)
        return standing, found

    blobs = [data for _, files in records for data in files]
    standing, found = keep(store, blobs, commit, names=[record.key for record, _ in records])
    alarms.refuse(found)
    return tuple(standing[record.key] for record, _ in records)


def overrule_asset(
    store: Store, record: AssetRecord, files: Sequence[bytes], *, good: bool
) -> AssetRecord:
    """Put a person's decision in the place of what stands under the record's key.

    The picture is the one that stands, with when and by whom it was made; `files` are finished
    files that the store may not hold yet. Safe to repeat; of two people the later one decides.
    Raises CatalogError when nothing stands there, or another picture.
    """
    evidence.require_record(record)

    def commit(connection: Connection) -> AssetRecord:
        return entries.overrule(connection, record, good=good)

    return keep(store, files, commit, names=[record.key])


def restore(store: Store, digest: str, data: bytes) -> None:
    """Put a blob's own bytes back where it is gone or damaged.

    Raises DigestMismatch, with nothing changed, when these are not the bytes the digest names.
    """
    evidence.require_bytes(f"blob {digest}", [digest], [data])
    store.blobs.remove(digest)
    store.blobs.put(data)


def publish_pages(
    store: Store, run_id: str, pages: Sequence[tuple[AtlasPage, bytes, bytes]]
) -> tuple[AtlasPage, ...]:
    """Keep each page's image and metadata and commit the rows of the run; safe to repeat.

    Raises DigestMismatch when the bytes are not those a page names; KeyConflict, with an
    alarm recorded, when the run has another page of the same name.
    """
    for page, image, text in pages:
        evidence.require_bytes(f"page {page.name}", [page.image, page.metadata], [image, text])
    offered = [(page.name, page) for page, _, _ in pages]

    def commit(connection: Connection) -> tuple[dict[str, AtlasPage], list[rows.Cells]]:
        created_at = rows.timestamp(database.clock(connection))
        committed = {page.name: page for page in rows.read_pages(connection, run_id)}
        fresh = alarms.first(offered, committed)
        entries.insert_pages(connection, run_id, len(committed), fresh.values(), created_at)
        standing = committed | fresh
        found = alarms.differing("page", offered, standing, lambda page: digest(page.as_json()))
        alarms.record(connection, found, source=run_id, created_at=created_at)
        return standing, found

    blobs = [data for _, image, text in pages for data in (image, text)]
    standing, found = keep(store, blobs, commit, names=[run_id])
    alarms.refuse(found)
    return tuple(standing[name] for name, _ in offered)


def _content(record: AssetRecord) -> str:
    """The digest of what must never differ under one key; when and by whom may."""
    image = record.image.digest if record.image else None
    asset = record.asset.as_json() if record.asset else None
    return digest([record.name, record.version, record.status, image, asset])
