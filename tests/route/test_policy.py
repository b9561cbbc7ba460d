"""Policies: which one decides is a pointer's move, tried on a share, promoted, and taken back."""

from pathlib import Path

import pytest

from app.digest import digest
from app.errors import AssetNotFound, InvalidRequest, PromotionRefused
from app.route.policy import (
    Policy,
    Rollout,
    history,
    keep_policy,
    promote_policy,
    roll_back,
    rollout,
    start_trial,
)
from app.route.success_model import fit_success_model
from app.store.catalog import Catalog

KEYS = [digest(number) for number in range(2000)]


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog.open(f"sqlite:///{tmp_path / 'catalog.db'}")


def policy(catalog: Catalog, moment: str) -> str:
    return keep_policy(
        catalog, Policy(chances=fit_success_model([]), paces={}, assets=0, learned_at=moment)
    )


def test_a_policy_is_tried_promoted_and_taken_back(catalog: Catalog) -> None:
    first, second = policy(catalog, "monday"), policy(catalog, "tuesday")
    assert rollout(catalog) == Rollout()
    assert promote_policy(catalog, first[:12]) == Rollout(live=first)
    assert start_trial(catalog, second, share=0.25) == Rollout(live=first, trial=second, share=0.25)
    assert promote_policy(catalog, second) == Rollout(live=second)
    assert roll_back(catalog) == Rollout(live=first, trial=second, share=0.25)
    assert roll_back(catalog) == Rollout(live=first)
    assert roll_back(catalog) == Rollout() == rollout(catalog)
    with pytest.raises(PromotionRefused, match="nothing to undo"):
        roll_back(catalog)
    assert [change.number for change in history(catalog)] == [6, 5, 4, 3, 2, 1]


def test_there_is_nothing_to_go_back_to_before_the_first(catalog: Catalog) -> None:
    with pytest.raises(PromotionRefused, match="nothing to undo"):
        roll_back(catalog)


def test_only_a_policy_that_is_kept_can_decide_and_only_another_can_be_on_trial(
    catalog: Catalog,
) -> None:
    with pytest.raises(AssetNotFound, match="no policy 'monday'"):
        promote_policy(catalog, "monday")
    live = promote_policy(catalog, policy(catalog, "monday")).live
    assert live is not None
    with pytest.raises(InvalidRequest, match="live already"):
        start_trial(catalog, live, share=0.5)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_the_trial_gets_its_share_and_the_same_asset_always_the_same_answer(share: float) -> None:
    trial = Rollout(live=KEYS[0], trial=KEYS[1], share=share)
    tried = [trial.in_trial(key) for key in KEYS]
    assert sum(tried) / len(KEYS) == pytest.approx(share, abs=0.03)
    assert tried == [trial.in_trial(key) for key in KEYS]
    wider = Rollout(live=KEYS[0], trial=KEYS[1], share=min(share + 0.2, 1))
    assert all(wider.in_trial(key) for key, answer in zip(KEYS, tried, strict=True) if answer)
    assert not any(Rollout(share=1).in_trial(key) for key in KEYS), (
        "without a trial nothing is tried"
    )
