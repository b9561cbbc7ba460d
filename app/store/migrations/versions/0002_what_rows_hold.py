"""Which blobs a row names, by digest, and which blobs a sweep has removed.

Before, the digests of an asset's files were only inside its JSON, so that no query could find
whether any row names a blob: a check had to remember every digest it had seen, and a sweep could
not be sure. `swept` keeps a sweep and a publish of the same bytes apart.
"""

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_AT_ONCE = 500


def upgrade() -> None:
    """Creates both tables and records what the existing rows hold."""
    holdings = op.create_table(
        "holdings",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("subject", sa.String, primary_key=True),
        sa.Column("key", sa.String, primary_key=True),
    )
    op.create_index("ix_holdings_subject_key", "holdings", ["subject", "key"])
    op.create_table(
        "swept",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("swept_at", sa.Float, nullable=False),
    )
    _note(holdings, _of_images())
    _note(holdings, _of_assets())
    _note(holdings, _of_pages())


def _note(holdings: sa.Table, rows: Iterator[tuple[str, str, str]]) -> None:
    batch: set[tuple[str, str, str]] = set()
    for row in rows:
        batch.add(row)
        if len(batch) == _AT_ONCE:
            _insert(holdings, batch)
            batch.clear()
    _insert(holdings, batch)


def _insert(holdings: sa.Table, batch: set[tuple[str, str, str]]) -> None:
    rows = [dict(zip(("digest", "subject", "key"), row, strict=True)) for row in sorted(batch)]
    if rows:
        op.bulk_insert(holdings, rows)


def _of_images() -> Iterator[tuple[str, str, str]]:
    images, provenance = _table("images"), _table("provenance")
    query = sa.select(images.c.key, images.c.digest, provenance.c.value).join_from(
        images, provenance, images.c.provenance_digest == provenance.c.digest
    )
    for key, digest, value in _rows(query, images.c.key):
        drawn_from = json.loads(value)["request"].get("init_image")
        for held in {digest, drawn_from} - {None}:
            yield held, "image", key


def _of_assets() -> Iterator[tuple[str, str, str]]:
    assets = _table("assets")
    for key, value in _rows(sa.select(assets.c.key, assets.c.value), assets.c.key):
        asset = json.loads(value)["asset"]
        for held in {file["digest"] for file in asset["files"]} if asset else ():
            yield held, "asset", key


def _of_pages() -> Iterator[tuple[str, str, str]]:
    pages = _table("pages")
    query = sa.select(pages.c.run_id, pages.c.name, pages.c.image, pages.c.metadata)
    for run_id, name, image, metadata in op.get_bind().execute(query).all():
        for held in {image, metadata}:
            yield held, "page", f"{run_id}/{name}"


def _rows(query: sa.Select[Any], key: sa.ColumnElement[str]) -> Iterator[sa.Row[*tuple[Any, ...]]]:
    """Yields the rows by their first column, the key, in pages: a catalog may be large."""
    after = ""
    while rows := op.get_bind().execute(_page(query, key, after)).all():
        yield from rows
        after = rows[-1][0]


def _page(query: sa.Select[Any], key: sa.ColumnElement[str], after: str) -> sa.Select[Any]:
    return query.where(key > after).order_by(key).limit(_AT_ONCE)


def _table(name: str) -> sa.TableClause:
    columns = {
        "images": ("key", "digest", "provenance_digest"),
        "provenance": ("digest", "value"),
        "assets": ("key", "value"),
        "pages": ("run_id", "name", "image", "metadata"),
    }
    return sa.table(name, *(sa.column(column) for column in columns[name]))
