"""Entries: what a publish adds to the tables, inside the transaction that it has opened."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, delete, select, update

from app.errors import CatalogError
from app.store import database, tables
from app.store import mapping as rows
from app.types import AssetRecord, AtlasPage, GeneratedImage, Provenance


def insert_run(connection: Connection, run_id: str, *, plan: str, plan_digest: str) -> None:
    """Note that a run begins now. Raises CatalogError when the id is taken."""
    runs = tables.runs
    if connection.execute(select(runs.c.run_id).where(runs.c.run_id == run_id)).first():
        raise CatalogError(f"there is a run {run_id!r} already; begin this one as another")
    cells: rows.Cells = {
        "run_id": run_id,
        "plan": plan,
        "plan_digest": plan_digest,
        "started_at": rows.timestamp(database.clock(connection)),
    }
    rows.insert_all(connection, runs, [cells])


def insert_images(
    connection: Connection, images: Sequence[GeneratedImage], created_at: str
) -> None:
    """Add the images, each with its provenance."""
    digests = _insert_provenance(connection, [image.provenance for image in images], created_at)
    cells = [
        rows.image_cells(image, provenance_digest, created_at)
        for image, provenance_digest in zip(images, digests, strict=True)
    ]
    rows.insert_all(connection, tables.images, cells)
    held = [cells for image in images for cells in rows.image_holdings(image)]
    rows.insert_all(connection, tables.holdings, held)


def insert_records(
    connection: Connection, fresh: Mapping[str, AssetRecord], created_at: str
) -> dict[str, AssetRecord]:
    """Add the records in the place of failed ones of the same keys; returns them as they stand.

    Raises CatalogError for a record that shows an image the catalog does not hold.
    """
    records = _with_committed_images(connection, fresh.values(), created_at)
    traced = [record for record in records if record.provenance is not None]
    provenances = [record.provenance for record in traced if record.provenance is not None]
    digests = _insert_provenance(connection, provenances, created_at)
    named = dict(zip((record.key for record in traced), digests, strict=True))
    rows.delete_all(connection, tables.assets.c.key, fresh)
    rows.delete_all(connection, tables.findings.c.asset_key, fresh)
    _drop_holdings(connection, "asset", fresh)
    rows.insert_all(
        connection, tables.assets, [rows.asset_cells(r, named.get(r.key)) for r in records]
    )
    rows.insert_all(
        connection, tables.findings, [c for r in records for c in rows.finding_cells(r)]
    )
    held = [cells for record in records for cells in rows.asset_holdings(record)]
    rows.insert_all(connection, tables.holdings, held)
    return {record.key: record for record in records}


def overrule(connection: Connection, record: AssetRecord, *, good: bool) -> AssetRecord:
    """Change a record in its place, and note that a person decided; returns it as it stands.

    Raises CatalogError when nothing stands under its key, or another picture.
    """
    standing = rows.records_by_key(connection, [record.key]).get(record.key)
    if standing is None or _picture(standing) != _picture(record):
        raise CatalogError(
            f"asset {record.name}@{record.version} changed while it was decided upon; look again"
        )
    record = record.replace(image=standing.image, created_at=standing.created_at)
    traced = [record.provenance] if record.provenance else []
    digest = next(iter(_insert_provenance(connection, traced, record.created_at)), None)
    change = update(tables.assets).where(tables.assets.c.key == record.key)
    connection.execute(
        change.values(**rows.asset_cells(record, digest), human_score=1.0 if good else 0.0)
    )
    _drop_holdings(connection, "asset", [record.key])
    rows.insert_all(connection, tables.holdings, list(rows.asset_holdings(record)))
    return record


def insert_pages(
    connection: Connection, run_id: str, start: int, pages: Iterable[AtlasPage], created_at: str
) -> None:
    """Add a run's pages, numbered from `start`."""
    for number, page in enumerate(pages, start=start):
        cells = rows.page_cells(run_id, number, page, created_at)
        rows.insert_all(connection, tables.pages, [cells])
        rows.insert_all(connection, tables.holdings, rows.page_holdings(run_id, page))


def _picture(record: AssetRecord) -> str | None:
    return record.image.digest if record.image else None


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
    known = rows.present(connection, tables.provenance.c.digest, digests)
    new = {d: one for d, one in zip(digests, cells, strict=True) if d not in known}
    rows.insert_all(connection, tables.provenance, list(new.values()))
    return digests


def _drop_holdings(connection: Connection, subject: str, keys: Iterable[str]) -> None:
    held = tables.holdings
    for piece in rows.chunks(keys):
        mine = delete(held).where(held.c.subject == subject, held.c.key.in_(piece))
        connection.execute(mine)
