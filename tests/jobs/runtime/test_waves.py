"""Waves and rounds: whatever is resumed meets the same neighbours as what was never stopped."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from app.accept.gate import AcceptanceGate
from app.check.duplicates import Neighbours
from app.plan.schema import AcceptPlan
from app.route.cascade import CascadePlan, Stage
from app.route.router import RouteChoice
from app.types import AssetRecord, AssetSpec, Measure, QualityReport, Rule, Status, Tier, Verdict
from app.types.candidate import Candidate, DecidedAsset, Outcome
from jobs.runtime.decisions import decide_items
from jobs.runtime.summary import Outcomes
from jobs.runtime.waves import Item, ItemState, waves
from tests.values import candidate_with, request_with, spec_with

UNLIKE = Rule(check=Measure.DUPLICATE_DISTANCE, at_least=8, otherwise=Verdict.RETRY)
ATTEMPTS = 3


def specs_of(number: int) -> list[AssetSpec]:
    return [
        spec_with(UNLIKE, name=f"gem.{index}", candidates=1, attempts=ATTEMPTS)
        for index in range(number)
    ]


def candidate_of(phash: int) -> Candidate:
    report = QualityReport(scores={}, verdict=Verdict.ACCEPT)
    return Candidate(outcome=Outcome(request=request_with()), report=report, phash=phash)


def record_of(item: DecidedAsset) -> AssetRecord:
    """As much of a catalog row as the rounds look at."""
    assert item.decision.status is not None
    return AssetRecord(
        key="0" * 64, name=item.spec.name, version="v", status=item.decision.status, spec=item.spec,
        model="echo/1", report=item.decision.report, reasons=item.decision.reasons, image=None,
        asset=None, provenance=None, attempts=item.attempts, run_id="r",
        phash=item.decision.winner.phash if item.decision.winner else 0,
    )  # fmt: skip


def played(
    hashes: list[list[int]], standing: Mapping[str, AssetRecord], *, size: int
) -> dict[str, AssetRecord]:
    """Run every round to the end; asset n's k-th attempt looks like hashes[n][k]."""
    neighbours, outcomes = Neighbours(), Outcomes(len(hashes))
    records = dict(standing)
    pending: list[Item] = []
    coming = waves(((spec,) for spec in specs_of(len(hashes))), size=size)
    while True:
        wave = next(coming, [])
        pending += wave
        if not pending:
            return records
        for item in pending:
            item.look_up(standing.get(item.spec.name))
            if item.state is ItemState.OPEN:
                item.candidates.append(candidate_of(hashes[item.index][item.rounds]))
        for asset in decide_items(pending, neighbours, outcomes):
            records[asset.spec.name] = record_of(asset)
        pending = [item for item in pending if item.state is not ItemState.ENDED]


looks = st.lists(
    st.lists(
        st.sampled_from([0, 1, 0xFF, 0xFFFF, 2**40 - 1]), min_size=ATTEMPTS, max_size=ATTEMPTS
    ),
    min_size=1,
    max_size=12,
)


@given(hashes=looks, size=st.integers(1, 5), data=st.data())
def test_a_resumed_run_decides_as_one_that_was_never_stopped(
    hashes: list[list[int]], size: int, data: st.DataObject
) -> None:
    undisturbed = played(hashes, {}, size=size)
    assert len(undisturbed) == len(hashes)
    kept = data.draw(st.sets(st.sampled_from(sorted(undisturbed))))
    standing = {name: undisturbed[name] for name in kept}
    assert played(hashes, standing, size=size) == undisturbed


def test_every_asset_of_a_plan_joins_once_and_in_order() -> None:
    items = list(waves(((spec,) for spec in specs_of(7)), size=3))
    assert [len(wave) for wave in items] == [3, 3, 1]
    assert [item.index for wave in items for item in wave] == list(range(7))


def test_what_stood_before_is_counted_as_reused_and_keeps_its_round() -> None:
    hashes = [[0, 0xFF, 0], [1, 0xFFFF, 0]]
    done = played(hashes, {}, size=5)
    assert [record.attempts for record in done.values()] == [
        1,
        2,
    ]  # the second looked like the first
    outcomes = Outcomes(2)
    late = Item(1, (specs_of(2)[1],))
    late.look_up(done["gem.1"])
    assert list(decide_items([late], Neighbours(), outcomes)) == []
    assert late.state is ItemState.EXISTING
    assert list(decide_items([late], Neighbours(), outcomes)) == []
    assert late.state is ItemState.ENDED
    assert outcomes.before[Status.ACCEPTED] == 1


def refused() -> Candidate:
    error = "budget: gone"
    return Candidate(outcome=Outcome(request=request_with(), error=error, refused=True))


def test_what_no_money_is_left_for_turns_to_its_draft_once_and_then_fails() -> None:
    (spec,) = specs_of(1)
    draft = spec.replace(model="draft")
    ((item,),) = waves([(spec,)], drafts=[draft])
    item.candidates = [refused()]
    assert list(decide_items([item], Neighbours(), Outcomes(1))) == []
    assert (item.state, item.spec.model) == (ItemState.NEW, "draft")
    assert item.spec.digest == draft.digest
    assert item.spec.request.tier is Tier.DRAFT
    item.candidates = [refused()]
    (ended,) = decide_items([item], Neighbours(), Outcomes(1))
    assert (ended.decision.status, ended.attempts) == (Status.FAILED, 0)
    assert item.cut_short == "budget: gone"


def test_a_good_picture_of_the_plans_own_model_is_not_drawn_again_as_a_draft() -> None:
    (spec,) = specs_of(1)
    ((item,),) = waves([(spec,)], drafts=[spec.replace(model="draft")])
    item.candidates = [candidate_of(0), refused()]
    (ended,) = decide_items([item], Neighbours(), Outcomes(1))
    assert (ended.decision.status, ended.spec.model) == (Status.ACCEPTED, "echo")
    assert (ended.attempts, item.cut_short) == (1, "budget: gone")


def test_what_a_lighter_model_cannot_make_goes_to_the_heavier_one_whatever_the_judge_says() -> None:
    flat = Rule(check=Measure.CONTRAST, at_least=0.1, otherwise=Verdict.REJECT)
    light = spec_with(flat, candidates=1, attempts=ATTEMPTS)
    heavy = light.replace(model="heavy")
    stages = (
        Stage(name="echo", model="echo/1", images=1),
        Stage(name="heavy", model="heavy/1", images=2, after="echo/1"),
    )
    plan = CascadePlan(
        rungs=stages, chance=0.5, least=0, images=2, seconds=None, usd=None,
        usd_per_accepted=None, seconds_per_accepted=None,
    )  # fmt: skip
    ((item,),) = waves([(light, heavy)])
    item.choice = RouteChoice(plan, "e" * 64)
    assert not item.continues
    continuing = plan.replace(rungs=(stages[0], stages[1].replace(strength=0.6)))
    assert Item(0, (light, heavy), choice=RouteChoice(continuing, "e" * 64)).continues
    assert (item.spec, item.continues) == (light, False)
    continuing = plan.replace(rungs=(stages[0], stages[1].replace(strength=0.6)))
    assert Item(0, (light, heavy), choice=RouteChoice(continuing, "e" * 64)).continues
    item.candidates.append(candidate_with(contrast=0.0))
    assert list(decide_items([item], Neighbours(), Outcomes(1))) == []
    assert item.spec == heavy
    assert [request.seed for request in item.next_requests] == [heavy.candidate(1).seed]
    item.candidates.append(candidate_with(contrast=0.2))
    (asset,) = decide_items([item], Neighbours(), Outcomes(1))
    assert (asset.decision.status, asset.attempts) == (Status.ACCEPTED, 2)
    assert (asset.spec, asset.explained) == (heavy, "e" * 64)


def test_without_labels_nothing_is_accepted_on_its_own_where_the_plan_asks_for_a_rate() -> None:
    ((item,),) = waves([tuple(specs_of(1))])
    item.candidates = [candidate_of(0)]
    gate = AcceptanceGate(AcceptPlan(false_accepts=0.05))
    (asset,) = decide_items([item], Neighbours(), Outcomes(1), gate=gate)
    assert asset.decision.status is Status.REVIEW
    assert any("risk" in reason for reason in asset.decision.reasons)
