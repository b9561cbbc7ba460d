"""Repair: what is gone or damaged comes back to the last byte, or the reason why not."""

from pathlib import Path
from typing import Any

import pytest

from app.assets.repair import RepairResult, repair
from app.backends.echo import EchoBackend
from app.check.duplicates import Neighbours
from app.flow.make import make
from app.generate.generate import Generator
from app.models.bundled import ECHO
from app.settings import Settings
from app.store.publish import Store, open_store, restore
from app.store.verify import verify
from app.types import AssetRecord, Size
from tests.cli.test_main import catalogued, home, run, run_json
from tests.values import ROUTE, spec_with

__all__ = ["catalogued", "home"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store((tmp_path / "blobs").as_uri(), f"sqlite:///{tmp_path / 'catalog.db'}")


@pytest.fixture
def record(store: Store) -> AssetRecord:
    sizes = (Size(width=64, height=64), Size(width=32, height=32))
    spec = spec_with(candidates=1).replace(sizes=sizes)
    return make(spec, Generator(ROUTE, EchoBackend(), store, "run-1"), None, Neighbours())


def digests(record: AssetRecord) -> list[str]:
    assert record.image is not None
    assert record.asset is not None
    return [record.image.digest, *(file.digest for file in record.asset.files)]


def damage(folder: Path, digest: str, data: bytes | None) -> None:
    (path,) = (folder / "blobs").rglob(digest)
    path.chmod(0o644)
    if data is None:
        path.unlink()
    else:
        path.write_bytes(data)


def mended(store: Store) -> list[RepairResult]:
    return list(repair(verify(store), {"echo": ECHO}, store, lambda route: EchoBackend()))


@pytest.mark.parametrize("data", [None, b"rot", b""])
def test_every_blob_of_an_asset_comes_back_to_the_last_byte(
    store: Store, record: AssetRecord, tmp_path: Path, data: bytes | None
) -> None:
    for digest in digests(record):
        damage(tmp_path, digest, data)
    repairs = mended(store)
    assert len(repairs) == 3
    assert not any(repair.left for repair in repairs)
    assert verify(store) == []
    assert all(store.blobs.get(digest) for digest in digests(record))


def test_what_cannot_be_made_again_is_left_with_the_reason(
    store: Store, record: AssetRecord, tmp_path: Path
) -> None:
    damage(tmp_path, digests(record)[0], None)
    (gone,) = repair(verify(store), {}, store, lambda route: EchoBackend())
    assert "no model echo" in gone.left

    class Other(EchoBackend):
        """A model that was trained again."""

        def generate(self, requests: Any) -> Any:
            return super().generate([request.replace(seed=99) for request in requests])

    (differs,) = repair(verify(store), {"echo": ECHO}, store, lambda route: Other())
    assert "other bytes" in differs.left
    assert len(verify(store)) == 1


def test_only_a_blobs_own_bytes_are_put_back(store: Store, record: AssetRecord) -> None:
    from app.errors import DigestMismatch

    digest = digests(record)[0]
    with pytest.raises(DigestMismatch):
        restore(store, digest, b"other bytes")
    assert store.blobs.get(digest)


@pytest.mark.usefixtures("catalogued")
def test_verify_lists_differences_and_repair_mends_them(home: Path) -> None:
    assert "every file is whole" in run("verify")
    store = open_store(Settings().blobs, Settings().catalog)
    lost, *_ = digests(store.catalog.asset("potion.red"))
    damage(home / "home", lost, b"rot")
    (difference,) = run_json("verify", code=1)
    assert (difference["kind"], difference["digest"]) == ("damaged", lost)
    assert lost in run("verify", code=1)
    assert "1 of 1 differences mended" in run("verify", "--repair")
    assert run_json("verify") == []


@pytest.mark.usefixtures("catalogued")
def test_sweep_says_what_would_go_and_takes_nothing_that_a_row_names() -> None:
    open_store(Settings().blobs, Settings().catalog).blobs.put(b"nobody names this")
    assert "1 files that no row names" in run("sweep", "--dry-run", "--grace-hours", "0")
    assert len(run_json("sweep", "--grace-hours", "0")["blobs"]) == 1
    assert run_json("sweep", "--grace-hours", "0")["blobs"] == []
    assert "every file is whole" in run("verify")
