"""One run of a plan: how it starts, what its stages share, and how it ends or is stopped."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from time import perf_counter

from app.flow.prepare import PreparedPlan
from app.generate.renderer import require_service
from app.generate.terms import GenerationTerms
from app.registry.references import background_files
from app.settings import Settings
from app.store.publish import begin_run, new_run_id, release_all
from app.store.store import Store, open_store
from app.types import AtlasPage
from jobs.runtime.artifacts import write_artifacts
from jobs.runtime.cluster import joined_cluster
from jobs.runtime.decisions import Decisions, open_decisions
from jobs.runtime.progress import RunProgress
from jobs.runtime.summary import Outcomes, RunNotes, Summary


class Stopped(KeyboardInterrupt):
    """The run was interrupted and cleaned up; the same command continues it."""


@dataclass(frozen=True, slots=True)
class Run:
    """The values that the stages of one run share."""

    id: str
    prepared: PreparedPlan
    settings: Settings
    store: Store
    terms: Mapping[str, GenerationTerms]
    """By model: the price of its images and the budgets they count against."""
    decisions: Decisions
    """Chooses models and decides assets, by what was known when the run began."""
    outcomes: Outcomes
    workers: int | None
    """Generation workers as given; None leaves it to `generation_workers`."""
    progress: RunProgress
    started: float
    ray: ExitStack
    """Holds the cluster from the first row on; a plan that is already made never starts it."""

    def start_ray(self) -> None:
        """Starts or joins the cluster, once for the whole run."""
        self.ray.enter_context(joined_cluster())

    @contextmanager
    def running(self) -> Iterator[None]:
        """Shows progress and keeps the cluster; Ctrl-C becomes `Stopped`, with everything kept."""
        try:
            with self.progress, self.ray:
                yield
        except KeyboardInterrupt as interrupt:
            release_all(self.store, owner=self.id)
            spent = self.store.catalog.run_spending(self.id)
            notes = {"stopped": True, "made": spent.images, "cost_usd": spent.cost_usd}
            self.store.catalog.end_run(self.id, notes)
            raise Stopped(
                f"stopped; the {spent.images} images this run made are kept, "
                "run the same command to go on"
            ) from interrupt


def start_run(
    prepared: PreparedPlan,
    settings: Settings,
    progress: RunProgress,
    *,
    workers: int | None = None,
) -> Run:
    """Opens the store and records that a run begins.

    Raises InvalidRequest before any work is spent.
    """
    started = perf_counter()
    require_service(prepared.routes.values(), settings)
    plan, store, run_id = prepared.plan, open_store(settings.blobs, settings.catalog), new_run_id()
    files = background_files(plan)
    record = begin_run(store, run_id, plan=plan.name, document=plan.as_json(), files=files)
    return Run(
        id=run_id,
        prepared=prepared,
        settings=settings,
        store=store,
        terms=prepared.terms(store.catalog, who=settings.user),
        decisions=open_decisions(prepared, record.plan_digest, store.catalog),
        outcomes=Outcomes(prepared.count),
        workers=workers,
        progress=progress,
        started=started,
        ray=ExitStack(),
    )


def finish_run(run: Run, pages: Sequence[AtlasPage]) -> Summary:
    """Counts all outcomes, writes the pages and the contact sheet, and records the run's end."""
    folder = run.settings.home / "runs" / run.id
    spent = run.store.catalog.run_spending(run.id)
    summary = run.outcomes.summary(run.id, spent, perf_counter() - run.started)
    summary = write_artifacts(
        run.outcomes, pages, summary, run.store, folder, title=run.prepared.plan.name
    )
    notes = RunNotes(
        **dict(summary),
        first_image_seconds=run.progress.first_image_seconds,
        generation_seconds=run.progress.seconds,
        generation_cpu_seconds=run.progress.cpu_seconds,
        estimate=run.decisions.forecast.estimate(),
        attempt_seconds=spent.seconds,
        model_loads=run.progress.loads,
    )
    run.store.catalog.end_run(run.id, notes.as_json())
    return summary
