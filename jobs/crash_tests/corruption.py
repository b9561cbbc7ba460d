"""Flips bits, truncates and swaps blob files: every damage must be found, none served."""

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from app.assets.export import export
from app.cli.output import Say
from app.digest import digest_file
from app.errors import DigestMismatch, StoreError
from app.store.blobs import blob_path
from app.store.publish import Store
from app.store.verify import DifferenceKind, verify
from app.types import AssetRecord, Status
from jobs.crash_tests import invariants
from jobs.crash_tests.counters import Counters, CrashTestResult
from jobs.crash_tests.home import CrashTestHome, lenient_plan
from jobs.crash_tests.workload import processes, run_all_steps, run_in_process


def corrupt_files(n: int, seed: int, say: Say) -> CrashTestResult:
    """Runs `n` flipped bits, a fifth as many truncations and a tenth as many swaps, at once."""
    counters, rng = Counters("rot"), Random(f"rot {seed}")
    flips, cuts, swaps = n, max(n // 5, 1), max(n // 10, 1)
    counters.trials = flips + cuts + swaps
    with TemporaryDirectory(prefix="atelier-trial-") as folder:
        home = _made(Path(folder), blobs=flips + cuts + 2 * swaps)
        store = home.open()
        victims = rng.sample(sorted(invariants.referenced_blobs(store)), flips + cuts + 2 * swaps)
        exchanged = set(victims[flips + cuts :])
        _damage([home.root / "blobs" / blob_path(digest) for digest in victims], flips, cuts, rng)
        broken = _verified(store, victims, exchanged) | _read(store, victims)
        broken |= _exported(store, set(victims), Path(folder) / "out")
        counters.add("rot", broken, flips=flips, truncations=cuts, swaps=swaps)
        store.catalog.close()
    say(f"rot: {counters.trials} damages, {counters.notes or 'nothing broke'}")
    return counters.result()


def _made(folder: Path, *, blobs: int) -> CrashTestHome:
    """Makes a home with this many blobs, three per asset, and an eighth more that stay intact."""
    home = CrashTestHome(folder)
    plan = lenient_plan(blobs * 3 // 8 + 2)
    run_in_process(processes(), run_all_steps, home.write(plan), home.environment())
    return home


def _damage(files: Sequence[Path], flips: int, cuts: int, rng: Random) -> None:
    """Flips a bit in the first files, truncates the next, and swaps the rest in pairs."""
    for file in files[:flips]:
        _rewrite(file, lambda data: _flipped(data, rng))
    for file in files[flips : flips + cuts]:
        _rewrite(file, lambda data: data[: rng.randrange(len(data))])
    rest = files[flips + cuts :]
    for path, other in zip(rest[::2], rest[1::2], strict=True):
        _swap(path, other)


def _verified(store: Store, victims: Sequence[str], exchanged: set[str]) -> dict[str, int]:
    reported = {difference.digest: difference.kind for difference in verify(store)}
    kinds = {
        digest: DifferenceKind.SWAPPED if digest in exchanged else DifferenceKind.DAMAGED
        for digest in victims
    }
    return {
        "damage not found": len(kinds.keys() - reported.keys()),
        "sound blobs accused": len(reported.keys() - kinds.keys()),
        "called another damage": sum(reported.get(k, kind) != kind for k, kind in kinds.items()),
    }


def _read(store: Store, victims: Sequence[str]) -> dict[str, int]:
    served = 0
    for digest in victims:
        try:
            store.blobs.get(digest)
        except StoreError:
            continue
        served += 1
    return {"damaged blobs served": served}


def _exported(store: Store, victims: set[str], folder: Path) -> dict[str, int]:
    """Exports asset by asset: a damaged one must be refused, the others must be intact."""
    assets = store.catalog.find_assets(status=Status.ACCEPTED)
    wrong = sum(
        _refused(store, record, folder) is not bool(_files(record) & victims) for record in assets
    )
    named = {f"{a.name}-{f.size}.png": f.digest for a in assets if a.asset for f in a.asset.files}
    out = {path.name: digest_file(path) for path in folder.iterdir()}
    damaged = sum(named[name] != digest for name, digest in out.items())
    return {"assets wrongly refused or let out": wrong, "damaged files exported": damaged}


def _refused(store: Store, record: AssetRecord, folder: Path) -> bool:
    try:
        export(store, folder, name_glob=record.name)
    except DigestMismatch:
        return True
    return False


def _files(record: AssetRecord) -> set[str]:
    return {file.digest for file in record.asset.files} if record.asset else set()


def _rewrite(file: Path, change: Callable[[bytes], bytes]) -> None:
    data = change(file.read_bytes())
    file.unlink()  # blobs are read-only files
    file.write_bytes(data)


def _flipped(data: bytes, rng: Random) -> bytes:
    where = rng.randrange(8 * len(data))
    changed = bytearray(data)
    changed[where // 8] ^= 1 << (where % 8)
    return bytes(changed)


def _swap(path: Path, other: Path) -> None:
    first, second = path.read_bytes(), other.read_bytes()
    _rewrite(path, lambda _: second)
    _rewrite(other, lambda _: first)
