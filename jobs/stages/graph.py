"""The graph of a plan's stages with their resources, without starting anything."""

from app.plan.schema import Plan
from app.settings import Settings
from app.types import Value
from jobs.runtime.cluster import cores
from jobs.runtime.ray_data import StageWorker
from jobs.stages.check import CheckStage
from jobs.stages.finish import FinishStage
from jobs.stages.generate import GenerateStage
from jobs.stages.pack import PackStage

DRIVER, POOL = "the driver", "a pool of actors"


class StageDescription(Value):
    """One stage of the flow: where it runs and what each of its workers takes."""

    name: str
    does: str
    runs_in: str = DRIVER
    workers: str = ""
    num_cpus: float = 0
    num_gpus: str = ""


class StageGraph(Value):
    """The stages of a plan in the order of the flow."""

    plan: str
    stages: tuple[StageDescription, ...]


def stage_graph(plan: Plan, settings: Settings) -> StageGraph:
    """Returns the stages that a run of the plan goes through on this machine's settings."""
    return StageGraph(plan=plan.name, stages=(
        StageDescription(name="plan", does="expands axes, resolves models, finds what exists"),
        StageDescription(name="route", does="chooses the model of each asset"),
        _generate(settings),
        _pool("check", CheckStage, "scores every candidate"),
        StageDescription(name="refine", does="decides, or asks for the next candidate"),
        _pool("finish", FinishStage, "sizes, trims and publishes what was chosen"),
        _pool("pack", PackStage, "packs accepted sprites into atlas pages"),
    ))  # fmt: skip


def _generate(settings: Settings) -> StageDescription:
    if settings.service:
        return _pool("generate", GenerateStage, f"asks the service at {settings.service}")
    stage = _pool("generate", GenerateStage, "renders candidates in shared denoising steps")
    return stage.replace(
        workers=f"1 to {cores()}, or one per GPU",
        num_gpus="1 if there are any (no CPU then)",
    )


def _pool(name: str, stage: type[StageWorker], does: str) -> StageDescription:  # type: ignore[type-arg]
    return StageDescription(
        name=name, does=does, runs_in=POOL, workers="1", num_cpus=stage.num_cpus
    )
