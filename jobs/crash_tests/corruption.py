"""Bits flipped, files cut off and exchanged behind the store's back: all found, none let out."""

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from app.assets.export import export
from app.digest import digest_file
from app.errors import DigestMismatch, StoreError
from app.store.blobs import place
from app.store.publish import Store
from app.store.verify import Kind, verify
from app.types import AssetRecord, Status
from jobs.crash_tests import invariants as laws
from jobs.crash_tests.baseline import Say
from jobs.crash_tests.counters import Tally, Trials
from jobs.crash_tests.home import CALM, Home, trial_plan
from jobs.crash_tests.workload import do_all, done_by, processes


def rot(n: int, seed: int, say: Say) -> Trials:
    """`n` flipped bits, a fifth as many truncations and a tenth as many exchanges, at once."""
    tally, rng = Tally("rot"), Random(f"rot {seed}")
    flips, cuts, swaps = n, max(n // 5, 1), max(n // 10, 1)
    tally.trials = flips + cuts + swaps
    with TemporaryDirectory(prefix="atelier-trial-") as folder:
        home = _made(Path(folder), blobs=flips + cuts + 2 * swaps)
        store = home.open()
        victims = rng.sample(sorted(laws.named(store)), flips + cuts + 2 * swaps)
        exchanged = set(victims[flips + cuts :])
        _damage([home.root / "blobs" / place(one) for one in victims], flips, cuts, rng)
        found = _verified(store, victims, exchanged) | _read(store, victims)
        found |= _exported(store, set(victims), Path(folder) / "out")
        tally.add("rot", found, flips=flips, truncations=cuts, swaps=swaps)
        store.catalog.close()
    say(f"rot: {tally.trials} damages, {tally.notes or 'nothing broke'}")
    return tally.done()


def _made(folder: Path, *, blobs: int) -> Home:
    """A home with so many blobs, and an eighth more that stay sound: three for each asset."""
    home = Home(folder)
    plan = trial_plan(blobs * 3 // 8 + 2, rules=list(CALM), candidates=1, attempts=1)
    done_by(processes(), do_all, home.write(plan), home.environment())
    return home


def _damage(files: Sequence[Path], flips: int, cuts: int, rng: Random) -> None:
    """The first files lose a bit each, the next their ends, and the rest change places."""
    for file in files[:flips]:
        _rewrite(file, lambda data: _flipped(data, rng))
    for file in files[flips : flips + cuts]:
        _rewrite(file, lambda data: data[: rng.randrange(len(data))])
    rest = files[flips + cuts :]
    for one, other in zip(rest[::2], rest[1::2], strict=True):
        _exchange(one, other)


def _verified(store: Store, victims: Sequence[str], exchanged: set[str]) -> dict[str, int]:
    found = {difference.digest: difference.kind for difference in verify(store)}
    kinds = {one: Kind.SWAPPED if one in exchanged else Kind.DAMAGED for one in victims}
    return {
        "damage not found": len(kinds.keys() - found.keys()),
        "sound blobs accused": len(found.keys() - kinds.keys()),
        "called another damage": sum(found.get(k, kind) != kind for k, kind in kinds.items()),
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
    """Export asset by asset: a damaged one must be refused, the others come out whole."""
    assets = store.catalog.find_assets(status=Status.ACCEPTED)
    wrong = sum(_refused(store, one, folder) is not bool(_files(one) & victims) for one in assets)
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


def _exchange(one: Path, other: Path) -> None:
    first, second = one.read_bytes(), other.read_bytes()
    _rewrite(one, lambda _: second)
    _rewrite(other, lambda _: first)
