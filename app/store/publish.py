"""Publish: claim a lease, make the bytes, store the blobs, commit the rows at once.

It is the only way to write to the store. Blobs are durable before a row names them, so a crash
anywhere leaves nothing visible half done; a key is committed once, so repeated work makes nothing
twice.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import uuid4

from sqlalchemy import Connection

from app.digest import Json, canonical_json, digest, digest_bytes
from app.store import (
    conflicts as key_conflicts,
)
from app.store import (
    database,
    inserts,
    mapping,
    tables,
    validate,
)
from app.store.catalog import RunRecord
from app.store.close_leases import close_leases
from app.store.durability import commit_with_blobs
from app.store.leases import Claim, attempts, claim, hand_back, release, release_all, renew
from app.store.store import Store, open_store
from app.types import AssetRecord, AtlasPage, GeneratedImage, Status

__all__ = [
    "Claim",
    "Store",
    "attempts",
    "begin_run",
    "claim",
    "hand_back",
    "new_run_id",
    "open_store",
    "override_asset",
    "publish_assets",
    "publish_images",
    "publish_pages",
    "release",
    "release_all",
    "renew",
    "restore",
]


def new_run_id() -> str:
    """Returns a unique run id; ids sort by when their runs began."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{uuid4().hex[:6]}"


def begin_run(
    store: Store, run_id: str, *, plan: str, document: Json, files: Sequence[bytes] = ()
) -> RunRecord:
    """Stores a plan's document under its digest and records that a run of it begins.

    `files` are images that the plan names. Raises CatalogError when the id is taken.
    """
    blob = canonical_json(document)
    plan_digest = digest_bytes(blob)
    held = [plan_digest, *map(digest_bytes, files)]

    def commit(connection: Connection) -> None:
        inserts.insert_run(connection, run_id, plan=plan, plan_digest=plan_digest)
        mapping.insert_all(connection, tables.holdings, mapping.run_holdings(run_id, held))

    commit_with_blobs(store, [blob, *files], commit, names=[run_id])
    return store.catalog.run(run_id)


def publish_images(
    store: Store,
    images: Sequence[tuple[GeneratedImage, bytes]],
    *,
    owner: str,
    files: Sequence[bytes] = (),
) -> tuple[GeneratedImage, ...]:
    """Stores the bytes, commits the rows, ends the leases; returns what each key now holds.

    The attempts that made the images are booked with them. `files` are other blobs that the images
    or their requests name and that may not be stored yet. Safe to repeat, and allowed to an owner
    whose lease expired: if a key is committed already, its row is returned. When the bytes offered
    differ from those committed, an alarm is recorded, the rest of the batch is committed and
    KeyConflict is raised. Raises DigestMismatch and CatalogError before anything is stored when an
    image does not name its bytes or its provenance has a gap.
    """
    for image, data in images:
        validate.require_bytes(f"image {image.key}", [image.digest], [data])
        validate.require_image(image)
    validate.require_files([image for image, _ in images], files)
    offered = [(image.key, image) for image, _ in images]

    def commit(connection: Connection) -> tuple[dict[str, GeneratedImage], list[mapping.Cells]]:
        now = database.clock(connection)
        created_at = mapping.timestamp(now)
        committed = mapping.images_by_key(connection, (key for key, _ in offered))
        fresh = key_conflicts.first_offers(offered, committed)
        inserts.insert_images(connection, list(fresh.values()), created_at)
        standing = committed | fresh
        close_leases(connection, dict(offered) | fresh, fresh, owner=owner, now=now)
        conflicts = key_conflicts.find_conflicts(
            "image", offered, standing, lambda image: image.digest
        )
        key_conflicts.record_conflicts(connection, conflicts, source=owner, created_at=created_at)
        return standing, conflicts

    blobs = [*files, *(data for _, data in images)]
    standing, conflicts = commit_with_blobs(store, blobs, commit, names=[key for key, _ in offered])
    key_conflicts.refuse_conflicts(conflicts)
    return tuple(standing[key] for key, _ in offered)


def publish_assets(
    store: Store, records: Sequence[tuple[AssetRecord, Sequence[bytes]]]
) -> tuple[AssetRecord, ...]:
    """Stores the finished files and commits the records; returns what each key now holds.

    Accepted, review and rejected are final, failed is not: a failed record is replaced by any later
    one and never replaces a final one. The same content again (status, image, files) returns the
    committed record; other content is recorded as an alarm, the rest of the batch is committed and
    KeyConflict is raised. Raises DigestMismatch when the bytes are not exactly the record's files,
    CatalogError when a record lacks what its status requires or its image was not published.
    """
    for record, files in records:
        named = [file.digest for file in record.asset.files] if record.asset else []
        validate.require_bytes(f"asset {record.name}@{record.version}", named, files)
        validate.require_record(record)
    final = [(record.key, record) for record, _ in records if record.status is not Status.FAILED]
    failed = [(record.key, record) for record, _ in records if record.status is Status.FAILED]

    def commit(connection: Connection) -> tuple[dict[str, AssetRecord], list[mapping.Cells]]:
        created_at = mapping.timestamp(database.clock(connection))
        recorded = mapping.records_by_key(connection, (record.key for record, _ in records))
        standing = {
            k: record for k, record in recorded.items() if record.status is not Status.FAILED
        }
        fresh = key_conflicts.first_offers(final + failed, standing)
        standing |= inserts.insert_records(connection, fresh, created_at)
        conflicts = key_conflicts.find_conflicts("asset", final, standing, _content)
        key_conflicts.record_conflicts(connection, conflicts, source="", created_at=created_at)
        return standing, conflicts

    blobs = [data for _, files in records for data in files]
    standing, conflicts = commit_with_blobs(
        store, blobs, commit, names=[record.key for record, _ in records]
    )
    key_conflicts.refuse_conflicts(conflicts)
    return tuple(standing[record.key] for record, _ in records)


def override_asset(
    store: Store, record: AssetRecord, files: Sequence[bytes], *, good: bool
) -> AssetRecord:
    """Replaces the record under its key by a person's decision.

    Keeps the committed image, with when and by whom it was made; `files` are finished files that
    the store may not hold yet. Safe to repeat; of two people the later one decides. Raises
    CatalogError when no record has the key, or one with another image.
    """
    validate.require_record(record)

    def commit(connection: Connection) -> AssetRecord:
        return inserts.override_record(connection, record, good=good)

    return commit_with_blobs(store, files, commit, names=[record.key])


def restore(store: Store, digest: str, data: bytes) -> None:
    """Restores a blob whose bytes are gone or damaged.

    Raises DigestMismatch, with nothing changed, when these are not the bytes the digest names.
    """
    validate.require_bytes(f"blob {digest}", [digest], [data])
    store.blobs.remove(digest)
    store.blobs.put(data)


def publish_pages(
    store: Store, run_id: str, pages: Sequence[tuple[AtlasPage, bytes, bytes]]
) -> tuple[AtlasPage, ...]:
    """Stores each page's image and metadata and commits the rows of the run; safe to repeat.

    Raises DigestMismatch when the bytes are not those a page names; KeyConflict, with an alarm
    recorded, when the run has another page of the same name.
    """
    for page, image, text in pages:
        validate.require_bytes(f"page {page.name}", [page.image, page.metadata], [image, text])
    offered = [(page.name, page) for page, _, _ in pages]

    def commit(connection: Connection) -> tuple[dict[str, AtlasPage], list[mapping.Cells]]:
        created_at = mapping.timestamp(database.clock(connection))
        committed = {page.name: page for page in mapping.read_pages(connection, run_id)}
        fresh = key_conflicts.first_offers(offered, committed)
        inserts.insert_pages(connection, run_id, len(committed), fresh.values(), created_at)
        standing = committed | fresh
        conflicts = key_conflicts.find_conflicts(
            "page", offered, standing, lambda page: digest(page.as_json())
        )
        key_conflicts.record_conflicts(connection, conflicts, source=run_id, created_at=created_at)
        return standing, conflicts

    blobs = [data for _, image, text in pages for data in (image, text)]
    standing, conflicts = commit_with_blobs(store, blobs, commit, names=[run_id])
    key_conflicts.refuse_conflicts(conflicts)
    return tuple(standing[name] for name, _ in offered)


def _content(record: AssetRecord) -> str:
    """Returns the digest of what must not differ under one key; time and run may."""
    image = record.image.digest if record.image else None
    asset = record.asset.as_json() if record.asset else None
    return digest([record.name, record.version, record.status, image, asset])
