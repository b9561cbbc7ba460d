"""A small plan run without Ray, step by step, in a process of its own that may be killed."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import TypeAlias

from app.backends.echo import EchoBackend, EchoSettings
from app.check.duplicates import Neighbours
from app.errors import AtelierError
from app.flow.complete import complete
from app.flow.decide import decide
from app.flow.examine import examine
from app.generate.generate import Generator
from app.models.bundled import bundled_models
from app.plan.expand import expand
from app.plan.read import read_plan
from app.refine import next_attempts
from app.route.by_name import route_by_name
from app.settings import Settings
from app.store.publish import Store, open_store, publish_assets
from app.types import Status
from app.types.candidate import Candidate, DecidedAsset
from jobs.runtime.batches import SpriteFile
from jobs.stages.pack import PackStage, atlases

Step: TypeAlias = Callable[["StepwiseRun"], None]
FAILED_LOUDLY, FAILED_BARE = 1, 70
"""Exit codes: an AtelierError, or an error that was not translated into one."""


class StepwiseRun:
    """One run of a plan in steps; each step publishes and is safe to repeat."""

    def __init__(self, plan: Path, settings: Settings) -> None:
        self.settings = settings
        self.store: Store = open_store(self.settings.blobs, self.settings.catalog)
        self.plan = read_plan(plan)
        models = bundled_models()
        self.specs = list(expand(self.plan, models))
        self.route = route_by_name(self.specs[0], models)
        self.generator = Generator(self.route, EchoBackend(EchoSettings()), self.store, "trial")

    def images(self) -> None:
        """Generates every candidate, published together."""
        self.generator.generate([r for spec in self.specs for r in next_attempts(spec, 0)])

    def assets(self) -> None:
        """Finishes and publishes the winners, half of them at a time."""
        decided = list(self._decided())
        half = (len(decided) + 1) // 2
        for some in (decided[:half], decided[half:]):
            made = [complete(item, self.route, self.store, run_id="trial") for item in some]
            publish_assets(self.store, made)

    def pages(self) -> None:
        """Packs what was accepted, one atlas after the other."""
        accepted = self.store.catalog.find_assets(status=Status.ACCEPTED)
        sprites = [
            SpriteFile(name=record.name, file=file)
            for record in accepted
            if record.asset
            for file in record.asset.files
        ]
        for atlas in atlases(self.plan.name, sprites, self.plan.pack):
            PackStage(self.settings).run(atlas)

    def _decided(self) -> Iterator[DecidedAsset]:
        neighbours = Neighbours()
        for spec in self.specs:
            outcomes = self.generator.generate(next_attempts(spec, 0))
            candidates: list[Candidate] = examine(outcomes, spec, self.store, None)
            decision = decide(spec, candidates, neighbours, last=True)
            key = self.route.key(spec.digest)
            yield DecidedAsset(key=key, spec=spec, decision=decision, attempts=1)


STEPS: dict[str, Step] = {
    "images": StepwiseRun.images,
    "assets": StepwiseRun.assets,
    "pages": StepwiseRun.pages,
}


def run_all_steps(plan: Path, environment: Mapping[str, str]) -> None:
    """Runs every step in order; ends the process."""
    with ending(environment):
        work = StepwiseRun(plan, Settings())
        for step in STEPS.values():
            step(work)
        work.store.catalog.close()


def run_one_step(plan: Path, environment: Mapping[str, str], name: str, gate: Connection) -> None:
    """Runs the earlier steps, waits for the tracer, then runs one step; ends the process.

    Everything is done once in another home before, so that what the libraries read and start on
    first use is not traced.
    """
    with ending(environment):
        elsewhere = StepwiseRun(plan, Settings(home=Settings().home / "warm"))
        for step in STEPS.values():
            step(elsewhere)
        work = StepwiseRun(plan, Settings())
        for earlier in list(STEPS)[: list(STEPS).index(name)]:
            STEPS[earlier](work)
        gate.send(os.getpid())
        gate.recv()
        STEPS[name](work)
        work.store.catalog.close()


@contextmanager
def ending(environment: Mapping[str, str]) -> Iterator[None]:
    """Updates the environment, and ends the process with a code that says how it went."""
    os.environ.update(environment)
    code = 0
    try:
        yield
    except AtelierError:
        code = FAILED_LOUDLY
    except BaseException:
        code = FAILED_BARE
    os._exit(code)


def processes() -> ForkServerContext:
    """Returns a context of processes that import little anew and share no thread with ours."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def run_in_process(
    context: ForkServerContext, work: Callable[..., None], *arguments: object
) -> int:
    """Runs `work` in a process; returns its exit code, negative for a signal."""
    process = context.Process(target=work, args=arguments)
    process.start()
    process.join()
    code = process.exitcode
    process.close()
    return code if code is not None else FAILED_BARE
