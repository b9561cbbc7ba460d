"""What must never happen, counted from outside: the echo's log, the rows, the files.

Counting is safe while writers are at work.
"""

from collections import Counter
from collections.abc import Mapping

from sqlalchemy import Connection, func, select

from app.digest import Json, canonical_json
from app.errors import StoreError
from app.store import mapping, tables
from app.store.publish import Store
from app.store.verify import verify
from app.types import AssetRecord, AtlasPage, Status
from jobs.crash_tests.home import CrashTestHome


def broken_invariants(home: CrashTestHome, seen: Mapping[str, str] | None = None) -> Counter[str]:
    """Counts the invariants that are broken now; `seen` is an earlier `snapshot`."""
    if not home.has_catalog:
        return Counter({"lost": len(seen or {})})
    store = home.open()
    try:
        now = committed(store)
        return Counter(
            {
                "made again after commit": _rendered_again(home, store),
                "lost": sum(now.get(key) != digest for key, digest in (seen or {}).items()),
                "rows without whole blob": sum(
                    not _is_intact(store, d) for d in referenced_blobs(store)
                ),
                "torn blobs readable": sum(
                    store.blobs.rehash(entry.digest) != entry.digest
                    for entry in store.blobs.entries()
                ),
                "differences verify finds": len(verify(store)),
                "alarms": len(store.catalog.read(_alarms)),
            }
        )
    finally:
        store.catalog.close()


def broken_at_end(
    home: CrashTestHome, seen: Mapping[str, str], *, code: int | None, expected: bytes
) -> Counter[str]:
    """Counts the broken invariants of an ended run: also its exit code, and other results."""
    broken = broken_invariants(home, seen)
    broken["runs that did not end well"] = int(code != 0)
    broken["other results"] = int(manifest(home) != expected)
    return broken


def committed(store: Store) -> dict[str, str]:
    """Returns every committed image and final asset by key, with what must never change."""
    images = {image.key: image.digest for image in store.catalog.find_images()}
    final = [record for record in store.catalog.find_assets() if record.status is not Status.FAILED]
    return images | {record.key: canonical_json(_content(record)).decode() for record in final}


def snapshot(home: CrashTestHome) -> dict[str, str]:
    """Returns what is committed in a home at this moment."""
    if not home.has_catalog:
        return {}
    store = home.open()
    try:
        return committed(store)
    finally:
        store.catalog.close()


def count_steps(home: CrashTestHome) -> int:
    """Counts how far a run has come: images rendered, rows of assets and pages; it only grows."""
    done = len(home.rendered())
    if home.has_catalog:
        store = home.open()
        try:
            done += store.catalog.read(_rows_made)
        finally:
            store.catalog.close()
    return done


def manifest(home: CrashTestHome) -> bytes:
    """Returns a plan's results as bytes: every asset's content and page's files; no times or
    owners.

    Two runs of one plan have the same results when these bytes are equal.
    """
    store = home.open()
    try:
        records = store.catalog.find_assets()
        pages = store.catalog.read(_pages)
    finally:
        store.catalog.close()
    return canonical_json(
        {
            "assets": [
                _content(record) for record in sorted(records, key=lambda record: record.key)
            ],
            "pages": [[page.name, page.image, page.metadata] for page in pages],
        }
    )


def _content(record: AssetRecord) -> Json:
    files = record.asset.files if record.asset else ()
    return [
        record.name,
        record.version,
        record.status,
        record.image.digest if record.image else None,
        [[str(file.size), file.digest] for file in files],
    ]


def _rows_made(connection: Connection) -> int:
    made = (tables.assets, tables.pages)
    return sum(
        connection.execute(select(func.count()).select_from(table)).scalar_one() for table in made
    )


def _pages(connection: Connection) -> tuple[AtlasPage, ...]:
    query = select(tables.pages).order_by(tables.pages.c.run_id, tables.pages.c.position)
    return mapping.read_page_rows(connection, query)


def _alarms(connection: Connection) -> list[str]:
    return list(connection.execute(select(tables.alarms.c.key)).scalars())


def _rendered_again(home: CrashTestHome, store: Store) -> int:
    """Counts images in the echo's log that were rendered after their image had been committed."""
    image = tables.images.c
    query = select(image.request_id, image.created_at)
    committed = store.catalog.read(
        lambda connection: {row.request_id: row.created_at for row in connection.execute(query)}
    )
    return sum(
        request_id in committed and mapping.timestamp(when) > committed[request_id]
        for when, request_id in home.rendered()
    )


def referenced_blobs(store: Store) -> set[str]:
    """Returns every blob that an image, an asset or a page names."""
    records = store.catalog.find_assets()
    pages = store.catalog.read(_pages)
    return {
        *(image.digest for image in store.catalog.find_images()),
        *(file.digest for record in records if record.asset for file in record.asset.files),
        *(digest for page in pages for digest in (page.image, page.metadata)),
    }


def _is_intact(store: Store, digest: str) -> bool:
    try:
        store.blobs.get(digest)
    except StoreError:
        return False
    return True
