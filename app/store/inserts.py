"""Inserts: the rows that a publish adds to the tables, inside its open transaction."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, delete, select, update

from app.errors import CatalogError
from app.store import database, mapping, tables
from app.types import AssetRecord, AtlasPage, GeneratedImage, Provenance


def insert_run(connection: Connection, run_id: str, *, plan: str, plan_digest: str) -> None:
    """Records that a run begins now. Raises CatalogError when the id is taken."""
    runs = tables.runs
    if connection.execute(select(runs.c.run_id).where(runs.c.run_id == run_id)).first():
        raise CatalogError(f"a run {run_id!r} exists already; use another id")
    cells: mapping.Cells = {
        "run_id": run_id,
        "plan": plan,
        "plan_digest": plan_digest,
        "started_at": mapping.timestamp(database.clock(connection)),
    }
    mapping.insert_all(connection, runs, [cells])


def insert_images(
    connection: Connection, images: Sequence[GeneratedImage], created_at: str
) -> None:
    """Inserts the images, each with its provenance."""
    digests = _insert_provenance(connection, [image.provenance for image in images], created_at)
    cells = [
        mapping.image_cells(image, provenance_digest, created_at)
        for image, provenance_digest in zip(images, digests, strict=True)
    ]
    mapping.insert_all(connection, tables.images, cells)
    held = [cells for image in images for cells in mapping.image_holdings(image)]
    mapping.insert_all(connection, tables.holdings, held)


def insert_records(
    connection: Connection, fresh: Mapping[str, AssetRecord], created_at: str
) -> dict[str, AssetRecord]:
    """Inserts the records, replacing failed ones of the same keys; returns them as stored.

    Raises CatalogError for a record that shows an image the catalog does not hold.
    """
    records = _with_committed_images(connection, fresh.values(), created_at)
    traced = [record for record in records if record.provenance is not None]
    provenances = [record.provenance for record in traced if record.provenance is not None]
    digests = _insert_provenance(connection, provenances, created_at)
    named = dict(zip((record.key for record in traced), digests, strict=True))
    mapping.delete_all(connection, tables.assets.c.key, fresh)
    mapping.delete_all(connection, tables.findings.c.asset_key, fresh)
    _drop_holdings(connection, "asset", fresh)
    mapping.insert_all(
        connection, tables.assets, [mapping.asset_cells(r, named.get(r.key)) for r in records]
    )
    mapping.insert_all(
        connection, tables.findings, [c for r in records for c in mapping.finding_cells(r)]
    )
    held = [cells for record in records for cells in mapping.asset_holdings(record)]
    mapping.insert_all(connection, tables.holdings, held)
    return {record.key: record for record in records}


def override_record(connection: Connection, record: AssetRecord, *, good: bool) -> AssetRecord:
    """Changes a record in place and records that a person decided; returns it as stored.

    Raises CatalogError when no record has its key, or one with another image.
    """
    standing = mapping.records_by_key(connection, [record.key]).get(record.key)
    if standing is None or _picture(standing) != _picture(record):
        raise CatalogError(
            f"asset {record.name}@{record.version} changed in the meantime; look at it again"
        )
    record = record.replace(image=standing.image, created_at=standing.created_at)
    traced = [record.provenance] if record.provenance else []
    digest = next(iter(_insert_provenance(connection, traced, record.created_at)), None)
    change = update(tables.assets).where(tables.assets.c.key == record.key)
    connection.execute(
        change.values(**mapping.asset_cells(record, digest), human_score=1.0 if good else 0.0)
    )
    _drop_holdings(connection, "asset", [record.key])
    mapping.insert_all(connection, tables.holdings, list(mapping.asset_holdings(record)))
    return record


def insert_pages(
    connection: Connection, run_id: str, start: int, pages: Iterable[AtlasPage], created_at: str
) -> None:
    """Inserts a run's pages, numbered from `start`."""
    for number, page in enumerate(pages, start=start):
        cells = mapping.page_cells(run_id, number, page, created_at)
        mapping.insert_all(connection, tables.pages, [cells])
        mapping.insert_all(connection, tables.holdings, mapping.page_holdings(run_id, page))


def _picture(record: AssetRecord) -> str | None:
    return record.image.digest if record.image else None


def _with_committed_images(
    connection: Connection, records: Iterable[AssetRecord], created_at: str
) -> list[AssetRecord]:
    records = list(records)
    committed = mapping.images_by_key(connection, (r.image.key for r in records if r.image))
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
    """Inserts those that are not stored yet; returns the digest of each, in order."""
    cells = [mapping.provenance_cells(provenance, created_at) for provenance in provenances]
    digests = [str(row["digest"]) for row in cells]
    known = mapping.present(connection, tables.provenance.c.digest, digests)
    new = {d: row for d, row in zip(digests, cells, strict=True) if d not in known}
    mapping.insert_all(connection, tables.provenance, list(new.values()))
    return digests


def _drop_holdings(connection: Connection, subject: str, keys: Iterable[str]) -> None:
    held = tables.holdings
    for piece in mapping.chunks(keys):
        mine = delete(held).where(held.c.subject == subject, held.c.key.in_(piece))
        connection.execute(mine)
