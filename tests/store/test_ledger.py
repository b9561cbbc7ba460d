"""The ledger: one row per attempt, whatever happens to it, and sums that add up exactly."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, select

from app.errors import KeyConflict
from app.store import database, ledger, tables
from app.store.costs import Cost
from app.store.ledger import Account, Attempt, AttemptCost, AttemptEnding
from app.store.publish import Store, claim, publish_assets, publish_images, release, release_all
from app.store.sweep import sweep
from app.types import CostGroup
from tests.store.values import image_of, key_of, record_of, request_for

ART = Account(who="ann", plan="icons", team="art", model="starter/1", asset="red-potion")


def begin(store: Store, *seeds: int, owner: str = "run", seconds: float = 60) -> None:
    keys = [key_of(seed) for seed in seeds]
    accounts = dict.fromkeys(keys, ART)
    claimed = claim(store, keys, owner=owner, seconds=seconds, accounts=accounts)
    assert set(claimed.won) == set(keys)


def publish(store: Store, seed: int, *, owner: str = "run", attempt: int = 1) -> None:
    data = b"image %d" % seed
    image = image_of(seed, data).replace(cost_usd=0.5)
    image = image.replace(provenance=image.provenance.replace(attempt=attempt))
    publish_images(store, [(image, data)], owner=owner)


def booked(store: Store) -> list[tuple[Any, ...]]:
    row = tables.ledger.c
    query = select(row.run_id, row.attempt, row.ending, row.nano_usd).order_by(row.sequence)
    return [
        tuple(row) for row in store.catalog.read(lambda connection: connection.execute(query).all())
    ]


def test_an_attempt_is_booked_with_its_image_on_the_account_of_its_claim(store: Store) -> None:
    begin(store, 1)
    assert booked(store) == []
    publish(store, 1)
    publish(store, 1)  # the same again books nothing twice
    assert booked(store) == [("run", 1, "made", 500_000_000)]
    (asset,) = store.catalog.costs(CostGroup.ASSET).groups
    assert (asset.name, asset.usd, asset.seconds, asset.attempts) == ("red-potion", 0.5, 0.25, 1)
    row = tables.ledger.c
    query = select(row.who, row.plan, row.team, row.model)
    (who,) = store.catalog.read(lambda connection: connection.execute(query).all())
    assert tuple(who) == ("ann", "icons", "art", "starter/1")


def test_a_reused_image_costs_nothing(store: Store) -> None:
    begin(store, 1)
    publish(store, 1)
    again = claim(store, [key_of(1)], owner="another", seconds=60)
    assert list(again.committed) == [key_of(1)]
    assert len(booked(store)) == 1


def test_a_failure_is_booked_with_what_it_took_and_may_be_tried_again(store: Store) -> None:
    begin(store, 1)
    took = AttemptCost(seconds=2.0, usd=0.125)
    release(store, [key_of(1)], owner="run", took={key_of(1): took})
    release(store, [key_of(1)], owner="run", took={key_of(1): took})
    begin(store, 1)
    publish(store, 1)
    assert booked(store) == [("run", 1, "failed", 125_000_000), ("run", 1, "made", 500_000_000)]


def test_who_takes_a_dead_owners_place_books_its_attempt_as_lost(store: Store) -> None:
    begin(store, 1, owner="dead", seconds=0)
    begin(store, 1)
    publish(store, 1, attempt=2)
    assert booked(store) == [("dead", 1, "lost", 0), ("run", 2, "made", 500_000_000)]


def test_an_owner_believed_dead_is_booked_once_it_tells_its_end(store: Store) -> None:
    begin(store, 1, owner="slow", seconds=0)
    begin(store, 1)
    publish(store, 1, owner="slow")
    publish(store, 1, owner="slow")
    assert booked(store) == [("slow", 1, "made", 500_000_000), ("run", 2, "lost", 0)]
    publish(store, 1, attempt=2)
    assert Counter(booked(store)) == Counter(
        [("slow", 1, "made", 500_000_000), ("run", 2, "second", 500_000_000)]
    )


def test_what_was_stopped_or_swept_is_booked_as_lost(store: Store) -> None:
    begin(store, 1, 2)
    release_all(store, owner="run")
    begin(store, 3, owner="dead", seconds=-60)
    sweep(store, grace_seconds=30)
    assert booked(store) == [("run", 1, "lost", 0)] * 2 + [("dead", 1, "lost", 0)]
    sweep(store, grace_seconds=30)
    assert len(booked(store)) == 3


def test_bytes_that_differ_from_the_committed_ones_were_paid_for_too(store: Store) -> None:
    publish(store, 1)
    other = image_of(1, b"other").replace(cost_usd=0.5)
    with pytest.raises(KeyConflict):
        publish_images(store, [(other, b"other")], owner="another")
    assert [row[2] for row in booked(store)] == ["made", "second"]


def test_without_a_claim_the_image_says_team_and_model(store: Store) -> None:
    image = image_of(1, b"an icon", request=request_for(1, team="art"))
    publish_images(store, [(image, b"an icon")], owner="ann")
    assert [cost.name for cost in store.catalog.costs(CostGroup.TEAM).groups] == ["art"]
    (unnamed,) = store.catalog.costs(CostGroup.ASSET).groups
    assert (unnamed.name, unnamed.assets, unnamed.usd_per_asset) == ("", 0, None)


def test_the_cost_of_an_accepted_asset_bears_the_failures_and_the_rejected(store: Store) -> None:
    begin(store, 1, 2, 3)
    release(store, [key_of(3)], owner="run", took={key_of(3): AttemptCost(1.0, 0.25)})
    publish(store, 1)
    publish(store, 2)
    (before,) = store.catalog.costs(CostGroup.MODEL).groups
    assert (before.assets, before.accepted, before.usd_per_accepted) == (1, 0, None)
    image = store.catalog.images([key_of(1)])[key_of(1)]
    publish_assets(store, [(record_of(image, b"finished"), [b"finished"])])
    (after,) = store.catalog.costs(CostGroup.MODEL).groups
    assert (after.usd, after.usd_per_asset, after.usd_per_accepted) == (1.25, 1.25, 1.25)
    assert store.catalog.costs(CostGroup.MODEL, since="2999").total.attempts == 0
    assert (
        store.catalog.costs(CostGroup.MODEL, since="20").total
        == store.catalog.costs(CostGroup.RUN).total
    )


ATTEMPTS = st.lists(
    st.builds(
        Attempt,
        key=st.sampled_from([key_of(seed) for seed in range(3)]),
        run_id=st.sampled_from(["run-1", "run-2"]),
        number=st.integers(1, 3),
        account=st.builds(
            Account,
            plan=st.sampled_from(["icons", "posters"]),
            team=st.sampled_from(["", "art", "Ärt", "live ops"]),
            model=st.sampled_from(["starter/1", "starter/2"]),
            asset=st.sampled_from([None, "red-potion", "gem"]),
        ),
        ending=st.sampled_from(AttemptEnding),
        took=st.builds(
            AttemptCost, seconds=st.floats(0, 1e4), usd=st.floats(0, 1e4), gpu=st.booleans()
        ),
    ),
    max_size=12,
)


@given(attempts=ATTEMPTS)
def test_however_costs_are_told_apart_the_groups_add_up_to_the_total(
    shared: Store, attempts: list[Attempt]
) -> None:
    def write(connection: Connection) -> None:
        connection.execute(delete(tables.ledger))
        connection.execute(delete(tables.spending))
        half = len(attempts) // 2
        for some in (attempts[:half], attempts[half:]):
            ledger.book_attempts(connection, some, database.clock(connection))

    shared.catalog.write(write, names=())
    nano_usd = sum(ledger.nano(attempt.took.usd) for attempt in attempts)
    for by in CostGroup:
        costs = shared.catalog.costs(by)
        assert costs.total.nano_usd == nano_usd
        for number in ("nano_usd", "attempts", "made", "failed", "lost"):
            assert sum(getattr(cost, number) for cost in costs.groups) == of(costs.total, number)
    assert spending(shared) == dict.fromkeys(("plan", "team", "day"), nano_usd) or not nano_usd
    for team in shared.catalog.costs(CostGroup.TEAM).groups:
        mine = sum(ledger.nano(o.took.usd) for o in attempts if o.account.team == team.name)
        assert team.nano_usd == mine


def of(cost: Cost, number: str) -> int:
    return int(getattr(cost, number))


def spending(store: Store) -> dict[str, int]:
    """What the running sums say, by kind of budget."""
    sums: Counter[str] = Counter()
    for row in store.catalog.read(
        lambda connection: connection.execute(select(tables.spending)).all()
    ):
        sums[row.scope] += row.nano_usd
    return dict(sums)
