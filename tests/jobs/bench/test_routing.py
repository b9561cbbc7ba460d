"""The benchmark of routing: what it counts, what it calls best, and that it finds nothing made."""

from pathlib import Path

import pytest
import torch
from diffusers.models import SD3Transformer2DModel

from app.fleet.prices import PriceSheet
from app.image.init_image import read_init_image
from app.models.bundled import FOLDERS, read_version
from app.models.load import load
from app.plan.schema import RoutePlan
from app.route.router import ModelRouter
from app.store.catalog import Catalog
from app.store.publish import open_store
from app.store.verify import verify
from app.types import Status
from jobs.bench.routing import workload
from jobs.bench.routing.bench import RoutingFigures, RoutingRow
from jobs.bench.routing.fleet import DROPPED, pruned
from jobs.bench.routing.render import draw_routing_figures, show_routing_figures
from jobs.bench.routing.simulator import RunSimulator, direct_plan


def row(way: str, accepted: float, usd: float | None) -> RoutingRow:
    return RoutingRow(
        way=way, asked=10, refused=0, accepted=accepted, first_accepted=0.5, images=12,
        by_model={"starter": 12}, cpu_seconds=3.0, usd=0.1, usd_per_accepted=usd,
    )  # fmt: skip


def figures(*rows: RoutingRow) -> RoutingFigures:
    return RoutingFigures(
        processor="test", learned_from=5, calibration_error=0.01, foretold=9, rows=rows
    )


def test_the_best_single_model_passes_most_and_then_costs_least() -> None:
    routing_figures = figures(
        row("all by a", 0.9, 0.01), row("all by b", 1.0, 0.04), row("all by c", 1.0, 0.05),
        row("by chance", 1.0, 0.001), row("routed, light before heavy", 1.0, 0.02),
    )  # fmt: skip
    assert routing_figures.best_single.way == "all by b"
    assert routing_figures.saving == pytest.approx(0.5)
    assert figures(row("all by a", 0, None), row("routed", 0, None)).saving is None


def test_the_figures_are_shown_and_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    routing_figures = figures(
        row("all by a", 0.9, 0.04), row("all by b", 0, None), row("routed", 0.9, 0.01)
    )
    show_routing_figures(routing_figures)
    assert "75% less than all by a" in " ".join(capsys.readouterr().out.split())
    draw_routing_figures(routing_figures, tmp_path / "chart.png")
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_the_pruned_model_is_the_starter_without_a_block(tmp_path: Path) -> None:
    version = pruned(tmp_path)
    starter = read_version(FOLDERS["starter"])
    folders = FOLDERS["starter"], Path(version.folder)
    blocks = [
        SD3Transformer2DModel.from_pretrained(
            folder / "transformer", use_safetensors=True
        ).transformer_blocks
        for folder in folders
    ]
    load(folders[1], version)
    assert len(blocks[1]) == len(blocks[0]) - 1
    kept = [block for at, block in enumerate(blocks[0]) if at != DROPPED]
    for block, other in zip(kept, blocks[1], strict=True):
        left, right = block.state_dict(), other.state_dict()
        assert left.keys() == right.keys()
        assert all(left[name].equal(right[name]) for name in left)
    assert version.weights_digest != starter.weights_digest
    assert version.latent_space == starter.latent_space


@pytest.mark.slow
def test_every_game_makes_its_assets_itself_and_counts_what_each_model_took(
    tmp_path: Path,
) -> None:
    models = {"starter": read_version(FOLDERS["starter"])}
    player = RunSimulator(models, tmp_path)
    written = workload.plan(seed=3, cascade=False, colours=1, posters=1)
    icons = written.replace(
        route=written.route and written.route.replace(models=("starter",)),
        assets=written.assets[:1],
    )
    assets = workload.assets(icons, models)[:3]
    for _ in range(2):
        played = player.run(assets, lambda variants, _: direct_plan(variants[0], models["starter"]))
        assert (played.asked, played.accepted, played.first_accepted) == (3, 3, 3)
        assert played.images == {"starter": 3}
        assert played.cpu_seconds["starter"] > 0
        for record in played.records:
            assert record.status is Status.ACCEPTED
            assert [(turn.model, turn.passed) for turn in record.turns] == [("starter-icons/1", 1)]
    nobody = player.run(assets, lambda _ways, _key: None)
    assert (nobody.asked, nobody.decided, nobody.images.total()) == (3, [], 0)


@pytest.mark.slow
def test_the_heavier_model_goes_on_from_the_lighter_ones_latents(tmp_path: Path) -> None:
    models = {"pruned": pruned(tmp_path), "starter": read_version(FOLDERS["starter"])}
    player = RunSimulator(models, tmp_path)
    terms = RoutePlan(models=("pruned", "starter"))
    written = workload.plan(seed=3, cascade=True, colours=1, posters=1)
    (keys,) = (
        variants
        for variants in workload.assets(
            written.replace(route=terms, assets=written.assets[:1]), models
        )
        if variants[0].axes["object"] == "key"  # the pruned model never paints one that passes
    )
    catalog = Catalog.open(f"sqlite:///{tmp_path / 'catalog.db'}")
    routing = ModelRouter(terms, models, catalog, PriceSheet(), keeps=False)
    (record,) = player.run([keys], routing.choose).records
    assert [(turn.model, turn.after, turn.passed) for turn in record.turns] == [
        ("pruned/1", "", 0), ("starter-icons/1", "pruned/1~0.6", 1),
    ]  # fmt: skip
    store = open_store(
        (tmp_path / "run-0" / "blobs").as_uri(), f"sqlite:///{tmp_path / 'run-0' / 'catalog.db'}"
    )
    (light,) = store.catalog.find_images(model="pruned/1")
    (heavy,) = store.catalog.find_images(model="starter-icons/1")
    request = heavy.provenance.request
    assert (request.init_image, request.strength) == (light.latents, 0.6)
    assert light.latents is not None
    assert isinstance(read_init_image(store.blobs.get(light.latents)), torch.Tensor)
    assert verify(store) == []
