"""The one way in: claim a lease, make the bytes, keep the blobs, commit the rows at once.

Blobs are durable before a row names them, so a death anywhere leaves nothing visible half
done; a key is committed once, so the same work again makes nothing twice. A lease only
saves work: whoever comes first commits, whoever comes later is given what stands.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Column, Connection, Table, delete, insert, select

from app.digest import digest
from app.errors import CatalogError, KeyConflict
from app.store import database, evidence, rows, tables
from app.store.blobs import Blobs, open_blobs
from app.store.catalog import Catalog
from app.types import AssetRecord, AtlasPage, GeneratedImage, Provenance, Status

_Offer = TypeVar("_Offer")


@dataclass(frozen=True, slots=True)
class Store:
    """The bytes and the catalog of what they are."""

    blobs: Blobs
    catalog: Catalog


def open_store(blobs_url: str, catalog_url: str) -> Store:
    """Open both by URL. Raises StoreError or CatalogError for a URL of another kind."""
    return Store(open_blobs(blobs_url), Catalog.open(catalog_url))


@dataclass(frozen=True, slots=True)
class Claim:
    """The answer to a claim: every key stands in exactly one of the three."""

    won: dict[str, int]
    """Keys to make now, each with the number of this attempt, counted from 1."""
    committed: dict[str, GeneratedImage]
    """Keys that need no work."""
    busy: tuple[str, ...]
    """Keys that another owner holds a living lease on."""


def claim(store: Store, keys: Sequence[str], *, owner: str, seconds: float) -> Claim:
    """Lease the keys that nobody has made or is making, and count the attempt before the work.

    A lease lasts `seconds` on the catalog's clock; the owner may claim again to renew it,
    which counts as a further attempt. Attempts outlive the lease: only an end, good or bad,
    forgets them.
    """
    with store.catalog.writing() as connection:
        now = database.clock(connection)
        committed = rows.images_by_key(connection, keys)
        attempts, barred = _attempts(connection, keys, owner=owner, now=now)
        wanted = [key for key in dict.fromkeys(keys) if key not in committed]
        won = {key: attempts.get(key, 0) + 1 for key in wanted if key not in barred}
        leases: list[rows.Cells] = [
            {"key": key, "owner": owner, "expires_at": now + seconds, "attempts": attempt}
            for key, attempt in won.items()
        ]
        _delete(connection, tables.leases.c.key, won)
        _insert(connection, tables.leases, leases)
    return Claim(won, committed, tuple(key for key in wanted if key in barred))


def attempts(store: Store, keys: Sequence[str]) -> dict[str, int]:
    """How often each key was begun without coming to an end, in the keys' order; only those."""
    with store.catalog.reading() as connection:
        counted, _ = _attempts(connection, keys, owner="", now=0.0)
    return {key: counted[key] for key in dict.fromkeys(keys) if key in counted}


def release(store: Store, keys: Sequence[str], *, owner: str) -> None:
    """End the owner's leases on keys that came to an end without an image; others' stay."""
    lease = tables.leases.c
    with store.catalog.writing() as connection:
        for piece in rows.chunks(keys):
            mine = delete(tables.leases).where(lease.key.in_(piece), lease.owner == owner)
            connection.execute(mine)


def forget(store: Store, *, owner: str) -> None:
    """End all of an owner's leases with their count of attempts: it stopped in good order."""
    with store.catalog.writing() as connection:
        connection.execute(delete(tables.leases).where(tables.leases.c.owner == owner))


def publish_images(
    store: Store, images: Sequence[tuple[GeneratedImage, bytes]], *, owner: str
) -> tuple[GeneratedImage, ...]:
    """Keep the bytes, commit the rows, end the leases; returns what now stands under each key.

    Safe to repeat, and open to an owner whose lease ran out: if a key is committed already,
    its row is returned. When the bytes offered differ from those committed, an alarm is
    recorded, the rest of the batch is committed and KeyConflict is raised. Raises
    DigestMismatch and CatalogError before anything is kept when an image does not name its
    bytes or its provenance has a gap.
    """
    for image, data in images:
        evidence.require_bytes(f"image {image.key}", [image.digest], [data])
        evidence.require_image(image)
    store.blobs.put_all([data for _, data in images])
    offered = [(image.key, image) for image, _ in images]
    with store.catalog.writing() as connection:
        created_at = rows.timestamp(database.clock(connection))
        committed = rows.images_by_key(connection, (key for key, _ in offered))
        fresh = _first(offered, committed)
        _insert_images(connection, list(fresh.values()), created_at)
        standing = committed | fresh
        _delete(connection, tables.leases.c.key, standing)
        alarms = _alarms("image", offered, standing, lambda image: image.digest)
        _record(connection, alarms, owner, created_at)
    _refuse(alarms)
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
    store.blobs.put_all([data for _, files in records for data in files])
    final = [(record.key, record) for record, _ in records if record.status is not Status.FAILED]
    failed = [(record.key, record) for record, _ in records if record.status is Status.FAILED]
    with store.catalog.writing() as connection:
        created_at = rows.timestamp(database.clock(connection))
        recorded = rows.records_by_key(connection, (record.key for record, _ in records))
        standing = {k: one for k, one in recorded.items() if one.status is not Status.FAILED}
        fresh = _first(final + failed, standing)
        standing |= _insert_records(connection, fresh, created_at)
        alarms = _alarms("asset", final, standing, _content)
        _record(connection, alarms, "", created_at)
    _refuse(alarms)
    return tuple(standing[record.key] for record, _ in records)


def publish_pages(
    store: Store, run_id: str, pages: Sequence[tuple[AtlasPage, bytes, bytes]]
) -> tuple[AtlasPage, ...]:
    """Keep each page's image and metadata and commit the rows of the run; safe to repeat.

    Raises DigestMismatch when the bytes are not those a page names; KeyConflict, with an
    alarm recorded, when the run has another page of the same name.
    """
    for page, image, text in pages:
        evidence.require_bytes(f"page {page.name}", [page.image, page.metadata], [image, text])
    store.blobs.put_all([data for _, image, text in pages for data in (image, text)])
    offered = [(page.name, page) for page, _, _ in pages]
    with store.catalog.writing() as connection:
        created_at = rows.timestamp(database.clock(connection))
        committed = {page.name: page for page in rows.read_pages(connection, run_id)}
        fresh = _first(offered, committed)
        numbered = enumerate(fresh.values(), start=len(committed))
        cells = [rows.page_cells(run_id, number, page, created_at) for number, page in numbered]
        _insert(connection, tables.pages, cells)
        standing = committed | fresh
        alarms = _alarms("page", offered, standing, lambda page: digest(page.as_json()))
        _record(connection, alarms, run_id, created_at)
    _refuse(alarms)
    return tuple(standing[name] for name, _ in offered)


def _attempts(
    connection: Connection, keys: Iterable[str], *, owner: str, now: float
) -> tuple[dict[str, int], set[str]]:
    """The attempts counted for each key, and the keys another owner's living lease bars."""
    attempts: dict[str, int] = {}
    barred: set[str] = set()
    for piece in rows.chunks(keys):
        for row in connection.execute(select(tables.leases).where(tables.leases.c.key.in_(piece))):
            attempts[row.key] = row.attempts
            if row.owner != owner and row.expires_at > now:
                barred.add(row.key)
    return attempts, barred


def _first(
    offered: Iterable[tuple[str, _Offer]], standing: Mapping[str, _Offer]
) -> dict[str, _Offer]:
    first: dict[str, _Offer] = {}
    for key, one in offered:
        if key not in standing:
            first.setdefault(key, one)
    return first


def _insert_images(
    connection: Connection, images: Sequence[GeneratedImage], created_at: str
) -> None:
    digests = _insert_provenance(connection, [image.provenance for image in images], created_at)
    cells = [
        rows.image_cells(image, provenance_digest, created_at)
        for image, provenance_digest in zip(images, digests, strict=True)
    ]
    _insert(connection, tables.images, cells)


def _insert_records(
    connection: Connection, fresh: Mapping[str, AssetRecord], created_at: str
) -> dict[str, AssetRecord]:
    records = _with_committed_images(connection, fresh.values(), created_at)
    traced = [record for record in records if record.provenance is not None]
    provenances = [record.provenance for record in traced if record.provenance is not None]
    digests = _insert_provenance(connection, provenances, created_at)
    named = dict(zip((record.key for record in traced), digests, strict=True))
    _delete(connection, tables.assets.c.key, fresh)
    _delete(connection, tables.findings.c.asset_key, fresh)
    _insert(connection, tables.assets, [rows.asset_cells(r, named.get(r.key)) for r in records])
    _insert(connection, tables.findings, [c for r in records for c in rows.finding_cells(r)])
    return {record.key: record for record in records}


def _with_committed_images(
    connection: Connection, records: Iterable[AssetRecord], created_at: str
) -> list[AssetRecord]:
    records = list(records)
    committed = rows.images_by_key(connection, (r.image.key for r in records if r.image))
    dated = []
    for record in records:
        image = committed.get(record.image.key) if record.image else None
        if record.image and (image is None or image.digest != record.image.digest):
            raise CatalogError(
                f"asset {record.name}@{record.version} shows an image that the catalog does not "
                f"hold under {record.image.key}; publish the image first"
            )
        dated.append(record.replace(image=image, created_at=created_at))
    return dated


def _insert_provenance(
    connection: Connection, provenances: Sequence[Provenance], created_at: str
) -> list[str]:
    """Add those that are not there yet; returns the digest of each, in order."""
    cells = [rows.provenance_cells(one, created_at) for one in provenances]
    digests = [str(one["digest"]) for one in cells]
    column = tables.provenance.c.digest
    known = {
        found
        for piece in rows.chunks(digests)
        for found in connection.execute(select(column).where(column.in_(piece))).scalars()
    }
    new = {d: one for d, one in zip(digests, cells, strict=True) if d not in known}
    _insert(connection, tables.provenance, list(new.values()))
    return digests


def _content(record: AssetRecord) -> str:
    """The digest of what must never differ under one key; when and by whom may."""
    image = record.image.digest if record.image else None
    asset = record.asset.as_json() if record.asset else None
    return digest([record.name, record.version, record.status, image, asset])


def _alarms(
    subject: str,
    offered: Iterable[tuple[str, _Offer]],
    standing: Mapping[str, _Offer],
    content: Callable[[_Offer], str],
) -> list[rows.Cells]:
    return [
        {"subject": subject, "key": key, "stored": content(standing[key]), "offered": content(one)}
        for key, one in offered
        if content(one) != content(standing[key])
    ]


def _record(
    connection: Connection, alarms: Sequence[rows.Cells], source: str, created_at: str
) -> None:
    origin: rows.Cells = {"source": source, "created_at": created_at}
    _insert(connection, tables.alarms, [alarm | origin for alarm in alarms])


def _refuse(alarms: Sequence[rows.Cells]) -> None:
    if alarms:
        keys = ", ".join(f"{alarm['subject']} {alarm['key']}" for alarm in alarms)
        raise KeyConflict(
            f"other content was offered for {keys}; what was committed first stays and the "
            "alarm is recorded: find out which model, library or machine differs"
        )


def _insert(connection: Connection, table: Table, cells: Sequence[rows.Cells]) -> None:
    if cells:
        connection.execute(insert(table), cells)


def _delete(connection: Connection, column: Column[str], keys: Iterable[str]) -> None:
    for piece in rows.chunks(keys):
        connection.execute(delete(column.table).where(column.in_(piece)))
