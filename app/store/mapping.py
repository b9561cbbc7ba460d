"""Values as catalog rows, and rows as values again: the only place that knows both shapes.

A value is stored as canonical JSON beside its sha256. A part that has a table of its own
(an image's provenance, an asset's image) is stored there once and put back when read.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import Column, Connection, Select, Table, delete, insert, select

from app.digest import canonical_json, digest_bytes
from app.errors import DigestMismatch
from app.store import tables
from app.types import AssetRecord, AtlasPage, GeneratedImage, Provenance, Value

Cells: TypeAlias = dict[str, str | int | float | None]
_Item = TypeVar("_Item")
_AT_ONCE = 500
"""Rows asked for in one query: below every database's limit on bound parameters."""


def chunks(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    """The distinct items in their order, in pieces that one query can ask for."""
    distinct = iter(dict.fromkeys(items))
    while piece := list(islice(distinct, _AT_ONCE)):
        yield piece


def insert_all(connection: Connection, table: Table, cells: Sequence[Cells]) -> None:
    """Add the rows; nothing to add is nothing to do."""
    if cells:
        connection.execute(insert(table), cells)


def delete_all(connection: Connection, column: Column[str], keys: Iterable[str]) -> None:
    """Delete the rows whose column holds one of the keys."""
    for piece in chunks(keys):
        connection.execute(delete(column.table).where(column.in_(piece)))


def timestamp(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601 in UTC with milliseconds; the text sorts by time."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def provenance_cells(provenance: Provenance, created_at: str) -> Cells:
    """The row of a provenance, named by the digest of what it says."""
    value = canonical_json(provenance.as_json())
    schedule = provenance.noise_schedule
    return {
        "digest": digest_bytes(value),
        "request_id": provenance.request_id,
        "prompt_digest": provenance.prompt_digest,
        "prompt_embedding_digest": provenance.prompt_embedding_digest,
        "negative_prompt": provenance.request.negative_prompt,
        "seed": provenance.request.seed,
        "schedule_digest": schedule.sigmas_digest if schedule else None,
        "model": provenance.model,
        "weights_digest": provenance.weights_digest,
        "backend": provenance.backend,
        "processor": provenance.environment.processor,
        "value": value.decode(),
        "created_at": created_at,
    }


def image_cells(image: GeneratedImage, provenance_digest: str, created_at: str) -> Cells:
    """The row of an image, without its provenance."""
    return _stored(image, created_at, without={"provenance"}) | {
        "key": image.key,
        "request_id": image.request_id,
        "digest": image.digest,
        "provenance_digest": provenance_digest,
    }


def asset_cells(record: AssetRecord, provenance_digest: str | None) -> Cells:
    """The row of an asset, without its image and provenance; `created_at` must be set."""
    return _stored(record, record.created_at, without={"image", "provenance"}) | {
        "key": record.key,
        "name": record.name,
        "version": record.version,
        "status": record.status.value,
        "model": record.model,
        "prompt_digest": record.spec.request.prompt_digest,
        "team": record.spec.request.tags.team,
        "run_id": record.run_id,
        "image_key": record.image.key if record.image else None,
        "provenance_digest": provenance_digest,
        "fingerprint": f"{record.phash:x}" if record.phash else None,
    }


def finding_cells(record: AssetRecord) -> list[Cells]:
    """One row for each rule that spoke."""
    return [
        {
            "asset_key": record.key,
            "position": position,
            "measure": finding.check.value,
            "verdict": finding.verdict.value,
        }
        for position, finding in enumerate(record.report.findings if record.report else ())
    ]


def page_cells(run_id: str, position: int, page: AtlasPage, created_at: str) -> Cells:
    """The row of an atlas page."""
    return _stored(page, created_at, without=set()) | {
        "run_id": run_id,
        "name": page.name,
        "position": position,
        "image": page.image,
        "metadata": page.metadata,
    }


def image_holdings(image: GeneratedImage) -> list[Cells]:
    """Which blobs an image's row names: its own, its latents, and those it was drawn from."""
    request = image.provenance.request
    drawn_from = {request.init_image, request.mask_image}
    return _holdings("image", image.key, {image.digest, image.latents} | drawn_from)


def asset_holdings(record: AssetRecord) -> list[Cells]:
    """Which blobs an asset's row names: its finished files; its image has a row of its own."""
    files = record.asset.files if record.asset else ()
    return _holdings("asset", record.key, {file.digest for file in files})


def page_holdings(run_id: str, page: AtlasPage) -> list[Cells]:
    """Which blobs a page's row names."""
    return _holdings("page", f"{run_id}/{page.name}", {page.image, page.metadata})


def run_holdings(run_id: str, digests: Iterable[str]) -> list[Cells]:
    """Which blobs a run's row names: its plan's document and the pictures that it begins with."""
    return _holdings("run", run_id, set(digests))


def present(connection: Connection, column: Column[str], values: Iterable[str]) -> set[str]:
    """Those of the values that stand in the column."""
    return {
        value
        for piece in chunks(values)
        for value in connection.execute(select(column).where(column.in_(piece))).scalars()
    }


def images_by_key(connection: Connection, keys: Iterable[str]) -> dict[str, GeneratedImage]:
    """The committed images among the keys."""
    images: list[GeneratedImage] = []
    for piece in chunks(keys):
        images += read_images(connection, select_images().where(tables.images.c.key.in_(piece)))
    return {image.key: image for image in images}


def select_images() -> Select[Any]:
    """Every image beside its provenance; add conditions on either table."""
    images, provenance = tables.images.c, tables.provenance.c
    return select(
        images.value,
        images.value_digest,
        provenance.value.label("provenance"),
        provenance.digest.label("provenance_digest"),
    ).join_from(tables.images, tables.provenance)


def read_images(connection: Connection, query: Select[Any]) -> list[GeneratedImage]:
    """The images a `select_images` query finds. Raises DigestMismatch on an altered row."""
    return [
        GeneratedImage.model_validate(
            _verified(row.value, row.value_digest)
            | {"provenance": _verified(row.provenance, row.provenance_digest)}
        )
        for row in connection.execute(query)
    ]


def records_by_key(connection: Connection, keys: Iterable[str]) -> dict[str, AssetRecord]:
    """The recorded assets among the keys."""
    records: list[AssetRecord] = []
    for piece in chunks(keys):
        query = select(tables.assets).where(tables.assets.c.key.in_(piece))
        records += read_records(connection, query)
    return {record.key: record for record in records}


def read_records(connection: Connection, query: Select[Any]) -> list[AssetRecord]:
    """The assets a query over the assets table finds. Raises DigestMismatch on an altered row."""
    rows = connection.execute(query).all()
    images = images_by_key(connection, (row.image_key for row in rows if row.image_key))
    digests = (row.provenance_digest for row in rows if row.provenance_digest)
    provenances = _provenances(connection, digests)
    return [
        AssetRecord.model_validate(
            _verified(row.value, row.value_digest)
            | {
                "image": images.get(row.image_key),
                "provenance": provenances.get(row.provenance_digest),
            }
        )
        for row in rows
    ]


def read_pages(connection: Connection, run_id: str) -> tuple[AtlasPage, ...]:
    """The atlas pages of a run in their order. Raises DigestMismatch on an altered row."""
    pages = tables.pages
    query = select(pages).where(pages.c.run_id == run_id).order_by(pages.c.position)
    return read_page_rows(connection, query)


def read_page_rows(connection: Connection, query: Select[Any]) -> tuple[AtlasPage, ...]:
    """The atlas pages a query over the pages table finds. Raises DigestMismatch."""
    rows = connection.execute(query)
    return tuple(AtlasPage.model_validate(_verified(row.value, row.value_digest)) for row in rows)


def _provenances(connection: Connection, digests: Iterable[str]) -> dict[str, Provenance]:
    table = tables.provenance
    return {
        row.digest: Provenance.model_validate(_verified(row.value, row.digest))
        for piece in chunks(digests)
        for row in connection.execute(select(table).where(table.c.digest.in_(piece)))
    }


def _holdings(subject: str, key: str, digests: Collection[str | None]) -> list[Cells]:
    return [{"digest": digest, "subject": subject, "key": key} for digest in digests if digest]


def _stored(value: Value, created_at: str, *, without: Collection[str]) -> Cells:
    text = canonical_json(value.model_dump(mode="json", exclude=set(without)))
    return {
        "value": text.decode(),
        "value_digest": digest_bytes(text),
        "created_at": created_at,
    }


def _verified(text: str, digest: str) -> dict[str, Any]:
    if digest_bytes(text.encode()) != digest:
        raise DigestMismatch(
            f"a catalog row was altered: it does not hash to its digest {digest}; "
            "restore the catalog from a backup"
        )
    fields: dict[str, Any] = json.loads(text)
    return fields
