"""Export: accepted assets leave the store as plain files under their human names."""

from pathlib import Path

from app.store.publish import Store
from app.types import AssetRecord, Status, Value


class ExportedFile(Value):
    """One file as it was written: which asset, which version, which bytes."""

    name: str
    version: str
    path: str
    digest: str


class ExportResult(Value):
    """Everything an export wrote."""

    files: tuple[ExportedFile, ...]


def export(store: Store, folder: Path, *, name_glob: str = "*") -> ExportResult:
    """Write the newest accepted version of every matching asset: `NAME-WIDTHxHEIGHT.png`.

    Bytes are verified against their digest on the way out; names in the catalog are checked
    slugs, so none leads out of the folder. Raises DigestMismatch before writing a damaged file.
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
