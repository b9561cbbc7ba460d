"""The flow of one asset, whole and in order: generate -> check -> refine -> finish -> publish.

`jobs/bulk.py` runs the same verbs over a whole plan, each as a stage of its own.
"""

from app.attempt import Candidate
from app.check.scores import Critic
from app.check.similarity import Neighbours
from app.complete import complete
from app.decide import decide
from app.examine import examine
from app.generate import Generator
from app.refine import next_attempts
from app.store.publish import publish_assets
from app.types import AssetRecord, AssetSpec


def make(
    spec: AssetSpec,
    generator: Generator,
    critic: Critic | None,
    neighbours: Neighbours,
) -> AssetRecord:
    """Make one asset, trying further seeds while the judge asks for them and the plan allows."""
    candidates: list[Candidate] = []
    decision = None
    while decision is None or decision.status is None:
        requests = next_attempts(spec, len(candidates))
        outcomes = generator.generate(requests)
        candidates += examine(outcomes, spec, generator.store, critic)
        decision = decide(spec, candidates, neighbours)
    route, store, run_id = generator.route, generator.store, generator.owner
    made = complete(spec, route, decision, store, run_id=run_id, attempts=len(candidates))
    (record,) = publish_assets(store, [made])
    return record
