"""Promotion: figures decide, exactly one of many wins, and whatever dies the pointer is whole."""

import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from threading import Barrier

import pytest

from app.errors import PromotionRefused, RegistryError
from app.models.bundled import ECHO, FOLDERS, read_version, weights_digest
from app.models.describe import describe, describe_bundled
from app.registry.golden import PROMPTS
from app.registry.measure import measure_version
from app.registry.promote import gate, promote_version, roll_back_version
from app.registry.references import find_registered
from app.registry.registry import open_registry
from app.store.catalog import Catalog
from app.store.pointers import moves, pointer
from app.types.registered_version import GoldenResult, RegisteredVersion
from tests.registries import golden_of, settings_in
from tests.store.places import sqlite_url

PROMOTERS = 8


def version_of(number: int, *, golden: GoldenResult | None = None) -> RegisteredVersion:
    model = ECHO.replace(name="draft", version=str(number), weights_digest=f"{number}" * 64)
    return RegisteredVersion(
        model=model, role="draft", registered_at="2026-01-01T00:00:00.000Z", golden=golden
    )


def measured(number: int, **changes: object) -> RegisteredVersion:
    fields = {"reference": f"draft/{number}", "weights_digest": f"{number}" * 64} | changes
    golden = golden_of(**fields)
    return version_of(number, golden=golden)


def failing(candidate: RegisteredVersion, champion: RegisteredVersion | None) -> list[str]:
    return [row.asks for row in gate(candidate, champion) if not row.holds]


def nobody(name: str, alias: str, number: str) -> None:
    """Where no mirror is wanted."""


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog.open(sqlite_url(tmp_path))


def test_a_good_version_may_be_the_first_and_follow_its_equal() -> None:
    assert failing(measured(1), None) == []
    assert failing(measured(2), measured(1)) == []
    assert failing(measured(1), measured(1)) == []


@pytest.mark.parametrize(
    ("mine", "champions", "message"),
    [
        (("aaaaaaaa.00000000000000ff", ""), ("aaaaaaaa.00000000000000ff", ""), "0 of 1"),
        (
            ("aaaaaaaa.00000000000000ff", "bbbbbbbb.0000000000000001"),
            ("aaaaaaaa.00000000000000ff", "cccccccc.0000000000000007"),
            "1 of 2, by 2.0 of 64 bits",
        ),
        ((), (), "measure both again to know"),
    ],
)
def test_how_far_the_pictures_differ_is_told_and_stops_nobody(
    mine: tuple[str, ...], champions: tuple[str, ...], message: str
) -> None:
    rows = gate(measured(2, looks=mine), measured(1, looks=champions))
    (row,) = (row for row in rows if row.asks.startswith("pictures other"))
    assert row.holds
    assert row.candidate.startswith(message)


def test_without_a_golden_result_nothing_is_promoted() -> None:
    (row,) = gate(version_of(1), None)
    assert not row.holds
    assert "atelier models measure draft/1" in str(row)


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({"weights_digest": "9" * 64}, "weights that were measured"),
        ({"measured_at": "2025-12-31T23:59:59.999Z"}, "date of the golden result"),
        ({"failed": 1}, "failed images"),
        ({"acceptance": 0.49}, "acceptance"),
        ({"damaged_passes": 0.11}, "damaged pictures that pass"),
    ],
)
def test_a_result_must_be_passed_and_of_this_version(
    changes: dict[str, object], asked: str
) -> None:
    assert failing(measured(1, **changes), None) == [asked]


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({"acceptance": 0.84}, ["acceptance"]),
        ({"acceptance": 0.86}, []),
        ({"agreement": 0.74}, ["agreement"]),
        ({"agreement": 0.76}, []),
        ({"seconds_per_image": 0.131}, ["seconds per image"]),
        ({"seconds_per_image": 0.129}, []),
        ({"damaged_passes": 0.03}, ["damaged pictures that pass"]),
        ({"damaged_passes": 0.01}, []),
        ({"processor": "another"}, ["processor"]),
        ({"golden_set": "6" * 64}, ["golden set"]),
        ({"acceptance": 0.61, "tolerance": {"acceptance": 0.3}}, []),
        ({"acceptance": 0.7, "agreement": 0.1}, ["acceptance", "agreement"]),
    ],
)
def test_no_axis_may_be_worse_than_the_champion_beyond_the_tolerance(
    changes: dict[str, object], asked: list[str]
) -> None:
    assert failing(measured(2, **changes), measured(1)) == asked


def test_a_champion_that_was_not_measured_must_be_first() -> None:
    (row,) = [row for row in gate(measured(2), version_of(1)) if not row.holds]
    assert "atelier models measure draft/1" in str(row)


def test_a_refusal_names_every_row_and_moves_nothing(catalog: Catalog) -> None:
    bad = measured(1, acceptance=0.1, failed=2)
    with pytest.raises(PromotionRefused, match=r"acceptance is 0\.1; required: >= 0\.5") as refusal:
        promote_version(catalog, bad, None, None, mirror=nobody)
    assert "failed images" in str(refusal.value)
    assert pointer(catalog, "draft", "champion") is None


def test_a_promotion_is_mirrored_kept_and_reversible(catalog: Catalog) -> None:
    shown: list[tuple[str, str, str]] = []
    first = promote_version(
        catalog, measured(1), None, None, mirror=lambda *call: shown.append(call)
    )
    promote_version(
        catalog, measured(2), measured(1), first, mirror=lambda *call: shown.append(call)
    )
    back = roll_back_version(
        catalog, "draft", mirror=lambda *call: shown.append(call), reason="hands"
    )
    assert back.target == "draft/1"
    assert "rolled back from draft/2: hands" in back.reason
    assert shown == [("draft", "champion", number) for number in "121"]
    assert len(moves(catalog, "draft", "champion")) == 3
    with pytest.raises(PromotionRefused, match="nothing to go back to"):
        roll_back_version(catalog, "draft", mirror=nobody)
    with pytest.raises(PromotionRefused, match="points nowhere"):
        roll_back_version(catalog, "final", mirror=nobody)


def test_what_bears_the_alias_is_only_mirrored_again(catalog: Catalog) -> None:
    first = promote_version(catalog, measured(1), None, None, mirror=nobody)
    shown: list[str] = []
    again = promote_version(
        catalog, measured(1), measured(1), first, mirror=lambda _, __, number: shown.append(number)
    )
    assert (again, shown) == (first, ["1"])


def test_a_mirror_that_fails_leaves_the_promotion_standing_and_says_so(catalog: Catalog) -> None:
    def broken(name: str, alias: str, number: str) -> None:
        raise RegistryError("the server is gone")

    with pytest.raises(RegistryError, match=r"draft/1 is draft@champion now.*server is gone"):
        promote_version(catalog, measured(1), None, None, mirror=broken)
    current = pointer(catalog, "draft", "champion")
    assert current is not None
    assert current.target == "draft/1"


def test_of_eight_promoters_one_wins_and_the_mirror_shows_the_winner(catalog: Catalog) -> None:
    together, shown = Barrier(PROMOTERS), ["0"]
    first = promote_version(catalog, measured(9), None, None, mirror=nobody)

    def compete(number: int) -> bool:
        together.wait()
        try:
            promote_version(
                catalog, measured(number), measured(9), first,
                mirror=lambda _, __, winner: shown.append(winner),
            )  # fmt: skip
        except PromotionRefused:
            return False
        return True

    with ThreadPoolExecutor(PROMOTERS) as pool:
        wins = list(pool.map(compete, range(1, PROMOTERS + 1)))
    assert wins.count(True) == 1
    current = pointer(catalog, "draft", "champion")
    assert current is not None
    assert current.target == f"draft/{wins.index(True) + 1}"
    assert shown[-1] == str(wins.index(True) + 1)


def test_a_mirror_that_comes_late_shows_the_last_word(catalog: Catalog) -> None:
    """While the first is being shown the second takes over: shown last is the second."""
    shown: list[str] = []
    first = promote_version(catalog, measured(1), None, None, mirror=nobody)

    def slow(name: str, alias: str, number: str) -> None:
        if not shown:
            second = pointer(catalog, "draft", "champion")
            promote_version(catalog, measured(3), measured(2), second, mirror=nobody)
        shown.append(number)

    promote_version(catalog, measured(2), measured(1), first, mirror=slow)
    assert shown == ["2", "3"]


DIES = """
import os, signal, sys
from app.registry.promote import promote_version
from app.store.catalog import Catalog
from app.store.pointers import pointer
from tests.registry.test_promote import measured
catalog = Catalog.open(sys.argv[1])
present = pointer(catalog, "draft", "champion")
promote_version(catalog, measured(2), measured(1), present,
                mirror=lambda *_: os.kill(os.getpid(), signal.SIGKILL))
"""


def test_a_death_between_pointer_and_mirror_is_mended_by_the_same_promotion(
    catalog: Catalog, tmp_path: Path
) -> None:
    promote_version(catalog, measured(1), None, None, mirror=nobody)
    command = [sys.executable, "-c", DIES, sqlite_url(tmp_path)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, check=False, env=os.environ)
    assert done.returncode == -signal.SIGKILL, done.stderr
    current = pointer(catalog, "draft", "champion")
    assert current is not None
    assert current.target == "draft/2"
    shown: list[str] = []
    promote_version(
        catalog,
        measured(2),
        measured(2),
        current,
        mirror=lambda _, __, number: shown.append(number),
    )
    assert shown == ["2"]


def degraded_starter(folder: Path) -> Path:
    """The starter with noise on its transformer's weights."""
    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(FOLDERS["starter"], folder / "icons")
    shutil.copytree(FOLDERS["starter"].parent / "critic", folder / "critic")
    (weights,) = (folder / "icons" / "transformer").glob("*.safetensors")
    tensors = load_file(weights)
    generator = torch.Generator().manual_seed(0)
    for tensor in tensors.values():
        if tensor.is_floating_point() and tensor.dim() > 1:
            noise = torch.randn(tensor.shape, generator=generator)
            tensor += (noise * tensor.float().std() * 0.5).to(tensor.dtype)
    save_file(tensors, weights, metadata={"format": "pt"})
    version = read_version(folder / "icons")
    model = version.replace(weights_digest=weights_digest(folder / "icons"))
    (folder / "icons" / "version.json").write_text(model.model_dump_json())
    return folder / "icons"


@pytest.mark.slow
def test_a_degraded_model_is_refused_and_the_starter_passes(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "home")
    registry = open_registry(settings)
    registry.register(describe_bundled("starter", "draft"))
    registry.register(describe(degraded_starter(tmp_path / "models"), "draft"))
    counted: list[int] = []
    for reference in ("draft/1", "draft/2"):
        measure_version(
            reference, settings, prompts=PROMPTS[:4], samples=2,
            progress=lambda total: nullcontext(counted.append),
        )  # fmt: skip
    assert sum(counted) == 16
    good, bad = (find_registered(f"draft/{number}", settings) for number in (1, 2))
    catalog = Catalog.open(settings.catalog)
    champion = promote_version(catalog, good, None, None, mirror=registry.mirror)
    with pytest.raises(PromotionRefused, match="acceptance"):
        promote_version(catalog, bad, good, champion, mirror=registry.mirror)
    assert registry.mirrored_alias("draft", "champion") == "draft/1"
    assert good.golden is not None
    assert bad.golden is not None
    assert good.golden.damaged_passes <= 0.1
    assert bad.golden.acceptance < good.golden.acceptance
    assert good.golden.golden_set == bad.golden.golden_set
    catalog.close()
