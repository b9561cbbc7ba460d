"""The laws of the one way in, against a model: two owners, leases that end, deaths in between."""

import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import func, select, update

from app.errors import KeyConflict
from app.store import tables
from app.store.publish import attempts, claim, publish_images, release, release_all
from app.types import GeneratedImage
from tests.store.places import BOTH, Places
from tests.store.values import image_of, key_of

OWNERS = st.sampled_from(["ann", "ben"])
SEEDS = st.integers(0, 3)
SEED_SETS = st.lists(SEEDS, min_size=1, max_size=3)


def rival(owner: str) -> str:
    return "ben" if owner == "ann" else "ann"


def bytes_of(seed: int, variant: int) -> bytes:
    return f"image {seed} variant {variant}".encode()


class TwoOwners(RuleBasedStateMachine):
    """What the store answers to any history of claims, deaths, late commits and other bytes."""

    places: ClassVar[Places]
    kind: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.resources = ExitStack()
        folder = Path(self.resources.enter_context(tempfile.TemporaryDirectory()))
        place = self.resources.enter_context(self.places.new(self.kind, folder))
        self.store = place.open()
        self.committed: dict[int, GeneratedImage] = {}
        self.leases: dict[int, tuple[str, bool]] = {}
        """Who began a key last, and whether that lease is living."""
        self.attempts: dict[int, int] = {}
        self.alarms = 0
        self.begun = 0

    def teardown(self) -> None:
        self.resources.close()

    @rule(owner=OWNERS, seeds=SEED_SETS)
    def claims(self, owner: str, seeds: list[int]) -> None:
        answer = claim(self.store, [key_of(s) for s in seeds], owner=owner, seconds=3600)
        wanted = [s for s in dict.fromkeys(seeds) if s not in self.committed]
        busy = [s for s in wanted if self.leases.get(s) == (rival(owner), True)]
        won = [s for s in wanted if s not in busy]
        for seed in won:
            self.begun += 1
            self.leases[seed] = (owner, True)
            self.attempts[seed] = self.attempts.get(seed, 0) + 1
        assert answer.won == {key_of(s): self.attempts[s] for s in won}
        assert answer.busy == tuple(key_of(s) for s in busy)
        assert answer.committed == {
            key_of(s): self.committed[s] for s in seeds if s in self.committed
        }

    @rule(owner=OWNERS, seeds=SEED_SETS)
    def releases(self, owner: str, seeds: list[int]) -> None:
        release(self.store, [key_of(s) for s in seeds], owner=owner)
        self.ended(seed for seed in seeds if self.leases.get(seed, ("", True))[0] == owner)

    @rule(owner=OWNERS)
    def stops_in_good_order(self, owner: str) -> None:
        release_all(self.store, owner=owner)
        self.ended(seed for seed, (last, _) in self.leases.items() if last == owner)

    def ended(self, seeds: Iterable[int]) -> None:
        for seed in set(seeds):
            self.leases.pop(seed, None)
            self.attempts.pop(seed, None)

    @rule(seed=SEEDS)
    def a_lease_runs_out(self, seed: int) -> None:
        lease = tables.leases
        with self.store.catalog.writing() as connection:
            ended = update(lease).where(lease.c.key == key_of(seed)).values(expires_at=1.0)
            connection.execute(ended)
        if seed in self.leases:
            self.leases[seed] = (self.leases[seed][0], False)

    @rule(seed=SEEDS, variant=st.integers(0, 1))
    def an_owner_dies_between_blob_and_row(self, seed: int, variant: int) -> None:
        self.store.blobs.put(bytes_of(seed, variant))

    @rule(
        owner=OWNERS,
        offers=st.lists(st.tuples(SEEDS, st.sampled_from([0, 0, 0, 1])), min_size=1, max_size=2),
    )
    def publishes(self, owner: str, offers: list[tuple[int, int]]) -> None:
        pairs = [(image_of(s, bytes_of(s, v)), bytes_of(s, v)) for s, v in offers]
        other = 0
        for (seed, _), (image, _) in zip(offers, pairs, strict=True):
            other += image.digest != self.committed.setdefault(seed, image).digest
            self.ended([seed])
        self.alarms += other
        try:
            answer = publish_images(self.store, pairs, owner=owner)
        except KeyConflict:
            assert other
        else:
            assert not other
            assert answer == tuple(self.committed[seed] for seed, _ in offers)

    @invariant()
    def what_was_committed_first_stands_with_its_bytes(self) -> None:
        images = self.store.catalog.images(key_of(seed) for seed in range(4))
        assert images == {key_of(seed): image for seed, image in self.committed.items()}
        for image in images.values():
            assert self.store.blobs.get(image.digest)

    @invariant()
    def every_alarm_is_kept_and_what_was_begun_without_an_end_is_known(self) -> None:
        with self.store.catalog.reading() as connection:
            assert connection.scalar(select(func.count()).select_from(tables.alarms)) == self.alarms
        begun = attempts(self.store, [key_of(seed) for seed in range(4)])
        assert begun == {key_of(seed): number for seed, number in self.attempts.items()}

    @invariant()
    def every_attempt_that_ended_is_booked_and_every_image_once_as_made(self) -> None:
        row = tables.ledger.c
        with self.store.catalog.reading() as connection:
            booked = connection.execute(select(row.key, row.ending)).all()
        made = [attempt.key for attempt in booked if attempt.ending == "made"]
        assert sorted(made) == sorted(key_of(seed) for seed in self.committed)
        assert len(booked) >= self.begun - len(self.leases)


HISTORIES = settings(
    max_examples=6,
    stateful_step_count=25,
    deadline=None,
    # Every step waits for the disk: to shrink a failing history would take many minutes.
    phases=[Phase.reuse, Phase.generate],
)


@pytest.mark.parametrize("kind", BOTH)
def test_any_history_of_two_owners_keeps_the_laws(places: Places, kind: str) -> None:
    here = type("Here", (TwoOwners,), {"places": places, "kind": kind})
    run_state_machine_as_test(here, settings=HISTORIES)
