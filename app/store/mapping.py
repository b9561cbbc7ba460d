"""Mapping: values to catalog rows and back; the only module that knows both shapes.

A value is stored as canonical JSON with its sha256. A part that has a table of its own (an image's
provenance, an asset's image) is stored there once and restored when read.
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
"""Rows per query: below every database's limit on bound parameters."""


def chunks(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    """Yields the distinct items in order, in pieces that fit into one query."""
    distinct = iter(dict.fromkeys(items))
    while piece := list(islice(distinct, _AT_ONCE)):
        yield piece


def insert_all(connection: Connection, table: Table, cells: Sequence[Cells]) -> None:
    """Inserts the rows; does nothing without rows."""
    if cells:
        connection.execute(insert(table), cells)


def delete_all(connection: Connection, column: Column[str], keys: Iterable[str]) -> None:
    """Deletes the rows whose column holds one of the keys."""
    for piece in chunks(keys):
        connection.execute(delete(column.table).where(column.in_(piece)))


def timestamp(seconds: float) -> str:
    """Returns seconds since 1970 as ISO 8601 in UTC with milliseconds; it sorts by time."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def provenance_cells(provenance: Provenance, created_at: str) -> Cells:
    """Returns the row of a provenance, named by the digest of its value."""
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
    """Returns the row of an image, without its provenance."""
    return _stored(image, created_at, without={"provenance"}) | {
        "key": image.key,
        "request_id": image.request_id,
        "digest": image.digest,
        "provenance_digest": provenance_digest,
    }


def asset_cells(record: AssetRecord, provenance_digest: str | None) -> Cells:
    """Returns the row of an asset, without image and provenance; `created_at` must be set."""
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
    """Returns one row for each broken rule."""
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
    """Returns the row of an atlas page."""
    return _stored(page, created_at, without=set()) | {
        "run_id": run_id,
        "name": page.name,
        "position": position,
        "image": page.image,
        "metadata": page.metadata,
    }


def image_holdings(image: GeneratedImage) -> list[Cells]:
    """Returns the blobs an image's row names: its own, its latents, and its input images."""
    request = image.provenance.request
    drawn_from = {request.init_image, request.mask_image}
    return _holdings("image", image.key, {image.digest, image.latents} | drawn_from)


def asset_holdings(record: AssetRecord) -> list[Cells]:
    """Returns the blobs an asset's row names: its finished files; its image has its own row."""
    files = record.asset.files if record.asset else ()
    return _holdings("asset", record.key, {file.digest for file in files})


def page_holdings(run_id: str, page: AtlasPage) -> list[Cells]:
    """Returns the blobs a page's row names."""
    return _holdings("page", f"{run_id}/{page.name}", {page.image, page.metadata})


def run_holdings(run_id: str, digests: Iterable[str]) -> list[Cells]:
    """Returns the blobs a run's row names: its plan's document and its input images."""
    return _holdings("run", run_id, set(digests))


def present(connection: Connection, column: Column[str], values: Iterable[str]) -> set[str]:
    """Returns those of the values that are in the column."""
    return {
        value
        for piece in chunks(values)
        for value in connection.execute(select(column).where(column.in_(piece))).scalars()
    }


def images_by_key(connection: Connection, keys: Iterable[str]) -> dict[str, GeneratedImage]:
    """Returns the committed images among the keys."""
    images: list[GeneratedImage] = []
    for piece in chunks(keys):
        images += read_images(connection, select_images().where(tables.images.c.key.in_(piece)))
    return {image.key: image for image in images}


def select_images() -> Select[Any]:
    """Returns a query for every image with its provenance; add conditions on either table."""
    images, provenance = tables.images.c, tables.provenance.c
    return select(
        images.value,
        images.value_digest,
        provenance.value.label("provenance"),
        provenance.digest.label("provenance_digest"),
    ).join_from(tables.images, tables.provenance)


def read_images(connection: Connection, query: Select[Any]) -> list[GeneratedImage]:
    """Returns the images of a `select_images` query. Raises DigestMismatch on an altered row."""
    return [
        GeneratedImage.model_validate(
            _verified(row.value, row.value_digest)
            | {"provenance": _verified(row.provenance, row.provenance_digest)}
        )
        for row in connection.execute(query)
    ]


def records_by_key(connection: Connection, keys: Iterable[str]) -> dict[str, AssetRecord]:
    """Returns the recorded assets among the keys."""
    records: list[AssetRecord] = []
    for piece in chunks(keys):
        query = select(tables.assets).where(tables.assets.c.key.in_(piece))
        records += read_records(connection, query)
    return {record.key: record for record in records}


def read_records(connection: Connection, query: Select[Any]) -> list[AssetRecord]:
    """Returns the assets of a query over the assets table.

    Raises DigestMismatch on an altered row.
    """
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
    """Returns the atlas pages of a run in order. Raises DigestMismatch on an altered row."""
    pages = tables.pages
    query = select(pages).where(pages.c.run_id == run_id).order_by(pages.c.position)
    return read_page_rows(connection, query)


def read_page_rows(connection: Connection, query: Select[Any]) -> tuple[AtlasPage, ...]:
    """Returns the atlas pages of a query over the pages table. Raises DigestMismatch."""
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
