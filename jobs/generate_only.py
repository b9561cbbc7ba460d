"""Generation alone: plan -> claim -> generate -> publish, in waves, without checks."""

import resource
from collections import Counter
from collections.abc import Iterator, Sequence
from time import perf_counter

from app.errors import InvalidRequest
from app.flow.prepare import PreparedPlan
from app.plan.expand import model_variants
from app.refine import next_attempts
from app.settings import Settings
from app.types import AssetSpec, Value
from app.types.candidate import Outcome
from jobs.bulk import generated
from jobs.runtime.batches import GeneratedBatch, GenerateRow
from jobs.runtime.progress import RunProgress
from jobs.runtime.ray_data import from_dataset
from jobs.runtime.run import Run, start_run
from jobs.runtime.waves import Item, waves

ASSETS_AT_A_TIME = 16_384
"""More than a checked wave holds: the driver keeps only counts of these assets."""


class Generation(Value):
    """What became of every request of a plan's first round; the images wait to be checked."""

    run_id: str
    asked: int
    reused: int
    made: int
    failed: int
    seconds: float
    images_per_second: float
    cost_usd: float
    budget: str = ""
    """The budget that kept requests from being started, if one did; they count as failed."""
    driver_memory_mib: float
    """The driver's largest resident size."""

    @property
    def adds_up(self) -> bool:
        """Returns whether every request was reused, made or failed, exactly one of them."""
        return self.asked == self.reused + self.made + self.failed


def generate_only(
    prepared: PreparedPlan,
    settings: Settings,
    progress: RunProgress,
    *,
    workers: int | None = None,
) -> Generation:
    """Makes the candidates of a plan's first round that are not stored yet.

    The driver's memory does not grow with the plan. Safe to repeat. Raises InvalidRequest before
    any work is spent, Stopped when interrupted.
    """
    run = start_run(prepared, settings, progress, workers=workers)
    counts: Counter[str] = Counter()
    budget = ""
    with run.running():
        for wave in waves(_named(prepared), size=ASSETS_AT_A_TIME):
            outcome_kinds, refusal = _generated(run, wave)
            counts += outcome_kinds
            budget = refusal or budget
    generation = _generation(run, counts, budget)
    run.store.catalog.end_run(run.id, generation.as_json())
    return generation


def _named(prepared: PreparedPlan) -> Iterator[tuple[AssetSpec, ...]]:
    if len(model_variants(prepared.plan)) > 1:
        raise InvalidRequest(
            "which of the plan's models makes an asset is decided by what the checks say, and here "
            "nothing is checked; run the whole plan (bulk), or name one model"
        )
    return prepared.assets()


def _generated(run: Run, wave: Sequence[Item]) -> tuple[Counter[str], str]:
    """Returns the number of requests by outcome, and the refusal of a budget, if there was one."""
    rows = [GenerateRow(spec=item.spec, requests=next_attempts(item.spec, 0)) for item in wave]
    total = sum(len(item.requests) for item in rows)
    counts = Counter(asked=total, failed=total)  # until it comes back, a request counts as failed
    budget = ""
    with run.progress.stage("images", total) as stage:
        for batch in from_dataset(generated(run, rows), GeneratedBatch):
            outcomes = [outcome for item in batch.items for outcome in item.outcomes]
            for outcome in outcomes:
                run.progress.count(outcome)
                counts[_outcome_kind(outcome)] += 1
                budget = outcome.error if outcome.refused else budget
            counts["failed"] -= len(outcomes)
            run.progress.loads += batch.loads
            stage.advance(len(outcomes))
    return counts, budget


def _outcome_kind(outcome: Outcome) -> str:
    if outcome.image is None:
        return "failed"
    return "made" if outcome.made else "reused"


def _generation(run: Run, counts: Counter[str], budget: str) -> Generation:
    seconds = perf_counter() - run.started
    return Generation(
        run_id=run.id,
        asked=counts["asked"],
        reused=counts["reused"],
        made=counts["made"],
        failed=counts["failed"],
        seconds=round(seconds, 3),
        images_per_second=round((counts["made"] + counts["reused"]) / seconds, 1),
        cost_usd=run.store.catalog.run_spending(run.id).cost_usd,
        budget=budget,
        driver_memory_mib=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    )
