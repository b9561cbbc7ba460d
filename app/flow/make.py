"""The flow of one asset, whole and in order: generate -> check -> refine -> finish -> publish.

`jobs/bulk.py` runs the same verbs over a whole plan, each as a stage of its own.
"""

from collections.abc import Sequence
from typing import Protocol

from app.check.duplicates import Neighbours
from app.check.scores import Critic
from app.flow.complete import complete
from app.flow.decide import decide
from app.flow.examine import examine
from app.refine.attempts import Refiner
from app.route.stages import next_requests, retries_of
from app.store.publish import Store, publish_assets
from app.types import AssetRecord, AssetSpec, GenerationRequest, Route
from app.types.candidate import Candidate, DecidedAsset, Outcome


class Source(Protocol):
    """Where images come from: a generator, or images that exist already."""

    @property
    def route(self) -> Route:
        """Returns the route by which the images are made."""

    @property
    def store(self) -> Store:
        """Returns the store in which the images are committed."""

    @property
    def owner(self) -> str:
        """Returns the id of the run that requests them."""

    def generate(self, requests: Sequence[GenerationRequest]) -> list[Outcome]:
        """Returns one outcome per request, in order."""


def make(
    spec: AssetSpec,
    generator: Source,
    critic: Critic | None,
    neighbours: Neighbours,
    refiner: Refiner | None = None,
) -> AssetRecord:
    """Makes one asset, with further attempts while the judge asks for them and the plan allows.

    Further attempts use other seeds or, where the spec says so and there is a refiner, a
    refinement. Publishes the asset and returns its record.
    """
    candidates: list[Candidate] = []
    decision = None
    while decision is None or decision.status is None:
        outcomes = generator.generate(next_requests(spec, (), candidates, refiner))
        candidates += examine(outcomes, spec, generator.store, critic)
        decision = decide(spec, candidates, neighbours)
    decided = DecidedAsset(
        key=generator.route.key(spec.digest),
        spec=spec,
        decision=decision,
        attempts=len(candidates),
        retries=retries_of(lambda _: spec, (), candidates, decision, refiner),
    )
    made = complete(decided, generator.route, generator.store, run_id=generator.owner)
    (record,) = publish_assets(generator.store, [made])
    return record
