"""Export: writes accepted assets from the store as plain files under their names."""

from pathlib import Path

from app.store.publish import Store
from app.types import AssetRecord, Status, Value


class ExportedFile(Value):
    """One written file: its asset, version, path and digest."""

    name: str
    version: str
    path: str
    digest: str


class ExportResult(Value):
    """Everything an export wrote."""

    files: tuple[ExportedFile, ...]


def export(store: Store, folder: Path, *, name_glob: str = "*") -> ExportResult:
    """Writes the newest accepted version of every matching asset: `NAME-WIDTHxHEIGHT.png`.

    Bytes are verified against their digest first; names in the catalog are checked slugs, so no
    file lands outside the folder. Raises DigestMismatch before writing a damaged file. Safe to
    repeat.
    """
    folder.mkdir(parents=True, exist_ok=True)
    records = store.catalog.find_assets(status=Status.ACCEPTED, name_glob=name_glob)
    newest = {record.name: record for record in reversed(records)}
    files = [file for _, record in sorted(newest.items()) for file in _write(store, record, folder)]
    return ExportResult(files=tuple(files))


def _write(store: Store, record: AssetRecord, folder: Path) -> list[ExportedFile]:
    written = []
    for file in record.asset.files if record.asset else ():
        path = folder / f"{record.name}-{file.size}.{file.format}"
        path.write_bytes(store.blobs.get(file.digest))
        written.append(
            ExportedFile(
                name=record.name, version=record.version, path=str(path), digest=file.digest
            )
        )
    return written
