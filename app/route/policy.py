"""Policies: statistics of models as stored documents, and which document is in use.

A policy never changes and is identified by its digest. A rollout says which policy is live and
which one is on trial; the catalog's pointer names the current rollout and can be moved back.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field

from app.digest import canonical_json
from app.errors import InvalidRequest, PromotionRefused
from app.route.success_model import (
    Observation,
    Reliability,
    SuccessModel,
    fit_success_model,
    reliability,
)
from app.store import documents
from app.store.catalog import Catalog
from app.store.pointers import Pointer, move, moves, pointer, step_back
from app.types import AssetRecord, Digest, StageResult, Status, Value

POLICY = "policy"
"""The kind of document."""
_ROUTING, _LIVE = "routing", "live"


class ModelPace(Value):
    """The mean time of an image of a model."""

    seconds: Annotated[float, Field(gt=0)]
    images: Annotated[int, Field(ge=1)]


class Policy(Value):
    """Success probabilities and image times by model, learned from decided assets."""

    chances: SuccessModel
    paces: dict[str, ModelPace]
    assets: Annotated[int, Field(ge=0)]
    """Number of decided assets it was learned from."""
    learned_at: str
    reliability: Reliability | None = None
    """How well half of the assets predict the other half; None: too few assets."""


class Rollout(Value):
    """Which policy decides, and which one is on trial."""

    live: Digest | None = None
    trial: Digest | None = None
    share: Annotated[float, Field(ge=0, le=1)] = 0.0
    """The share of assets that the trial policy decides; otherwise its choice is only recorded."""

    @property
    def text(self) -> str:
        """Returns the rollout as the pointer's target."""
        return canonical_json(self.as_json()).decode()

    def in_trial(self, key: str) -> bool:
        """Returns whether the trial policy decides the asset; the same key, the same answer."""
        return self.trial is not None and int(key[:13], 16) / 16**13 < self.share

    def __str__(self) -> str:
        live = self.live[:12] if self.live else "none"
        trial = f", {self.trial[:12]} on trial for {self.share:.0%}" if self.trial else ""
        return f"{live} live{trial}"


def rollout(catalog: Catalog) -> Rollout:
    """Returns which policies decide now."""
    return _rollout(pointer(catalog, _ROUTING, _LIVE))


def history(catalog: Catalog) -> list[Pointer]:
    """Returns every change of the rollout, the newest first; each target is a `Rollout`."""
    return moves(catalog, _ROUTING, _LIVE)


def keep_policy(catalog: Catalog, policy: Policy) -> str:
    """Stores a policy and returns its digest, by which it can be tried and promoted."""
    (digest,) = documents.put(catalog, POLICY, [policy])
    return digest


def start_trial(catalog: Catalog, reference: str, *, share: float) -> Rollout:
    """Lets a policy decide a share of the assets; with a share of 0 its choices are only recorded.

    Raises AssetNotFound, InvalidRequest when it is live already, and PromotionRefused when another
    process changed the rollout first.
    """
    present = pointer(catalog, _ROUTING, _LIVE)
    live = _rollout(present).live
    trial = _digest(catalog, reference)
    if trial == live:
        raise InvalidRequest(f"policy {trial[:12]} is live already; try another policy")
    wanted = Rollout(live=live, trial=trial, share=share)
    return _moved(catalog, wanted, present, f"{trial[:12]} on trial for {share:.0%}")


def promote_policy(catalog: Catalog, reference: str) -> Rollout:
    """Makes a policy decide everything; a trial ends.

    Raises AssetNotFound, and PromotionRefused when another process changed the rollout first.
    """
    present = pointer(catalog, _ROUTING, _LIVE)
    wanted = Rollout(live=_digest(catalog, reference))
    return _moved(catalog, wanted, present, f"promoted over {_rollout(present)}")


def roll_back(catalog: Catalog) -> Rollout:
    """Restores the rollout before the last change.

    Raises PromotionRefused when there was none, or another process changed the rollout first.
    """
    present = pointer(catalog, _ROUTING, _LIVE)
    if present is None or _rollout(present) == Rollout():
        raise PromotionRefused("no policy is in use; there is nothing to undo")
    if present.below is None:
        return _moved(catalog, Rollout(), present, "back to the built-in cascade")
    return _rollout(step_back(catalog, present, reason=f"back from {_rollout(present)}"))


def _moved(catalog: Catalog, wanted: Rollout, present: Pointer | None, reason: str) -> Rollout:
    target = wanted.text
    return _rollout(move(catalog, _ROUTING, _LIVE, target, present=present, reason=reason))


def _rollout(pointer: Pointer | None) -> Rollout:
    return Rollout.model_validate_json(pointer.target) if pointer else Rollout()


def _digest(catalog: Catalog, reference: str) -> str:
    return documents.digest_of(catalog, POLICY, reference)


MIN_ASSETS = 40
"""Assets below which one half predicts nothing about the other half."""


def learn_policy(records: Sequence[AssetRecord]) -> Policy:
    """Learns a policy from every model tried in the records; their order does not matter."""
    turns = [(record, turn) for record in records for turn in recorded_stages(record)]
    return Policy(
        chances=fit_success_model(_observation(record, turn) for record, turn in turns),
        paces=_paces(turns),
        assets=len(records),
        learned_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        reliability=_reliability(turns) if len(records) >= MIN_ASSETS else None,
    )


def recorded_stages(record: AssetRecord) -> tuple[StageResult, ...]:
    """Returns the record's stages; an older record without stages gets one of its only model."""
    if record.turns or not record.attempts:
        return record.turns
    passed = int(record.status is Status.ACCEPTED)
    return (StageResult(model=record.model, tried=record.attempts, passed=passed, seconds=0),)


def _observation(record: AssetRecord, turn: StageResult) -> Observation:
    return Observation(
        model=turn.model,
        kind=record.spec.kind,
        labels=record.spec.labels,
        after=turn.after,
        tried=turn.tried,
        passed=turn.passed,
    )


def _paces(turns: Sequence[tuple[AssetRecord, StageResult]]) -> dict[str, ModelPace]:
    """Returns the mean times of images that started from noise; continued images take less."""
    seconds: dict[str, float] = defaultdict(float)
    images: dict[str, int] = defaultdict(int)
    for _, turn in turns:
        if turn.seconds and "~" not in turn.after:
            seconds[turn.model] += turn.seconds
            images[turn.model] += turn.tried
    return {
        model: ModelPace(seconds=seconds[model] / images[model], images=images[model])
        for model in sorted(images)
    }


def _reliability(turns: Sequence[tuple[AssetRecord, StageResult]]) -> Reliability:
    """Predicts the first round of each stage, for each half of the assets from the other half."""
    halves = [[(r, t) for r, t in turns if int(r.key[0], 16) % 2 == side] for side in (0, 1)]
    pairs = [*_predicted(halves[0], halves[1]), *_predicted(halves[1], halves[0])]
    return reliability([chance for chance, _ in pairs], [passed for _, passed in pairs])


def _predicted(
    known: Sequence[tuple[AssetRecord, StageResult]],
    asked: Sequence[tuple[AssetRecord, StageResult]],
) -> Iterator[tuple[float, bool]]:
    success_model = fit_success_model(_observation(record, turn) for record, turn in known)
    for record, turn in asked:
        at_once = record.spec.candidates
        posterior = success_model.posterior(
            turn.model, record.spec.kind, record.spec.labels, after=turn.after
        )
        yield posterior.pass_probability(at_once), turn.passed > 0 and turn.tried <= at_once
