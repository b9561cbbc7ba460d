"""Budgets: however many ask at once, a cap holds, and nothing that it allows is refused."""

import threading
from concurrent.futures import ThreadPoolExecutor
from random import Random

from sqlalchemy import update

from app.store import tables
from app.store.budgets import Caps
from app.store.ledger import Account, AttemptCost
from app.store.publish import Claim, Store, claim, publish_images, release
from tests.store.values import image_of, key_of

SUBMITTERS, CAP, MOST = 100, 12.0, 1.0


def ask(
    store: Store,
    *seeds: int,
    caps: Caps,
    owner: str = "run",
    most: float = MOST,
    seconds: float = 60,
    team: str = "art",
) -> Claim:
    keys = [key_of(seed) for seed in seeds]
    account = Account(plan="icons", team=team, model="starter/1", most_usd=most)
    accounts = dict.fromkeys(keys, account)
    return claim(store, keys, owner=owner, seconds=seconds, accounts=accounts, caps=caps)


def pay(store: Store, seed: int, usd: float, *, owner: str = "run") -> None:
    data = b"image %d" % seed
    publish_images(store, [(image_of(seed, data).replace(cost_usd=usd), data)], owner=owner)


class Submitter:
    """Asks for one image after the other until the budget refuses; waits for others' ends."""

    def __init__(self, store: Store, number: int, ends: "Ends") -> None:
        self.store, self.number, self.ends, self.rng = store, number, ends, Random(number)

    def run(self) -> float:
        """What it paid."""
        paid, step = 0.0, 0
        while True:
            seed = 1000 * (self.number + 1) + step
            seen = self.ends.count
            claimed = ask(self.store, seed, caps=Caps(plan=CAP), owner=str(self.number))
            if claimed.busy:
                self.ends.wait(seen)
                continue
            if claimed.refused:
                assert self.store.catalog.spent_usd("plan", "icons") + MOST > CAP
                self.ends.tell()
                return paid
            usd = self.rng.randint(200_000, 1_000_000) / 1_000_000
            pay(self.store, seed, usd, owner=str(self.number))
            self.ends.tell()
            paid, step = paid + usd, step + 1


class Ends:
    """Counts attempts that came to an end; each lets one who waits ask again."""

    def __init__(self) -> None:
        self.count, self._told = 0, threading.Condition()

    def tell(self) -> None:
        with self._told:
            self.count += 1
            self._told.notify()

    def wait(self, seen: int) -> None:
        with self._told:
            if self.count == seen:
                self._told.wait(60)


def test_a_hundred_submitters_stay_below_the_cap_and_use_it_up(store: Store) -> None:
    with ThreadPoolExecutor(SUBMITTERS) as pool:
        ends = Ends()
        work = [pool.submit(Submitter(store, number, ends).run) for number in range(SUBMITTERS)]
        paid = sum(future.result() for future in work)
    spent = store.catalog.spent_usd("plan", "icons")
    assert round(spent, 6) == round(paid, 6)
    assert CAP - MOST < spent <= CAP


def test_what_is_set_aside_is_waited_for_and_what_is_spent_is_refused(store: Store) -> None:
    caps = Caps(plan=2.5)
    first = ask(store, 1, 2, 3, caps=caps)
    assert (list(first.won), first.busy) == ([key_of(1), key_of(2)], (key_of(3),))
    pay(store, 1, 0.75)
    assert ask(store, 3, caps=caps).busy == (key_of(3),)
    pay(store, 2, 0.75)
    assert list(ask(store, 3, caps=caps).won) == [key_of(3)]
    pay(store, 3, 1.0)
    (reason,) = ask(store, 4, caps=caps).refused.values()
    assert reason.startswith("budget: plan icons has spent $2.500000 of $2.500000")
    assert "raise budget.usd" in reason
    assert list(ask(store, 4, caps=Caps(plan=3.5)).won) == [key_of(4)]


def test_a_cap_is_used_to_its_last_cent(store: Store) -> None:
    """Ten times 0.1 is 1.0, which floating point would deny."""
    caps = Caps(plan=1.0)
    claimed = ask(store, *range(11), caps=caps, most=0.1)
    assert len(claimed.won) == 10
    for seed in range(10):
        pay(store, seed, 0.1)
    assert len(ask(store, 10, caps=caps, most=0.1).refused) == 1


def test_money_comes_back_from_failures_and_with_the_leases_of_the_dead(store: Store) -> None:
    caps = Caps(plan=1.0)
    ask(store, 1, caps=caps)
    assert ask(store, 2, caps=caps).busy
    release(store, [key_of(1)], owner="run", took={key_of(1): AttemptCost(1.0, 0.0)})
    assert ask(store, 2, caps=caps, owner="dead").won
    assert ask(store, 3, caps=caps).busy
    expire(store)
    assert ask(store, 3, caps=caps).won


def expire(store: Store) -> None:
    past = update(tables.leases).values(expires_at=0)
    store.catalog.write(lambda connection: connection.execute(past), names=())


def test_who_begins_anew_sets_nothing_aside_twice(store: Store) -> None:
    caps = Caps(plan=1.0)
    assert ask(store, 1, caps=caps).won == {key_of(1): 1}
    assert ask(store, 1, caps=caps).won == {key_of(1): 2}


def test_what_waits_for_money_keeps_its_count_of_attempts(store: Store) -> None:
    caps = Caps(plan=1.0)
    ask(store, 1, caps=Caps(), owner="dead", seconds=0, most=0.0)
    ask(store, 2, caps=caps)
    assert ask(store, 1, caps=caps).busy
    release(store, [key_of(2)], owner="run")
    assert ask(store, 1, caps=caps).won == {key_of(1): 2}


def test_teams_and_days_have_caps_of_their_own(store: Store) -> None:
    caps = Caps(teams={"art": 1.0}, day=2.0)
    assert ask(store, 1, caps=caps).won
    assert ask(store, 2, caps=caps).busy
    assert ask(store, 3, caps=caps, team="qa").won  # no cap but the day's
    pay(store, 1, 1.0)
    (reason,) = ask(store, 2, caps=caps).refused.values()
    assert "team art 20" in reason
    assert "ATELIER_BUDGETS" in reason
    pay(store, 3, 1.0)
    (reason,) = ask(store, 4, caps=caps, team="qa").refused.values()
    assert "budget: day 20" in reason


def test_what_costs_nothing_needs_no_budget(store: Store) -> None:
    assert ask(store, 1, caps=Caps(plan=0.0, day=0.0), most=0.0).won
