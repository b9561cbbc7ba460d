"""Scheduling laws in virtual time: one step a second, no tensors, no clock."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from app.engine.scheduler import Scheduler
from app.engine.state import Delivery, ServiceClass

PATIENCE = 10.0
WHENEVER = Delivery()


@dataclass(slots=True)
class Waiting:
    """A request as the scheduler sees it."""

    ticket: int
    rows: int = 1
    steps_left: int = 4
    joined: float = 0.0
    delivery: Delivery = WHENEVER
    family: str = "small"


def scheduler_of(budget: int, *waiting: Waiting) -> Scheduler[Waiting]:
    scheduler: Scheduler[Waiting] = Scheduler(lambda family: budget, patience_seconds=PATIENCE)
    for request in waiting:
        scheduler.add(request)
    return scheduler


def run(
    scheduler: Scheduler[Waiting], arrivals: Callable[[int], list[Waiting]], steps: int
) -> Iterator[list[int]]:
    """Take a step a second; yields the tickets of each."""
    for now in range(steps):
        for arrival in arrivals(now):
            scheduler.add(arrival)
        chosen = scheduler.take(float(now), step_seconds=1.0)
        for arrival in chosen:
            arrival.steps_left -= 1
            if not arrival.steps_left:
                scheduler.remove(arrival.ticket)
        yield [request.ticket for request in chosen]


def age(request: Waiting) -> tuple[float, int]:
    return request.joined, request.ticket


arrivals = st.builds(
    Waiting,
    ticket=st.just(0),
    rows=st.integers(1, 2),
    steps_left=st.integers(1, 8),
    joined=st.integers(0, 40).map(float),
    delivery=st.builds(
        Delivery,
        service=st.sampled_from(ServiceClass),
        deadline=st.none() | st.integers(0, 60).map(float),
        team=st.sampled_from(["", "art", "ui"]),
        share=st.sampled_from([0.01, 1.0, 100.0]),
        priority=st.integers(0, 9),
    ),
    family=st.sampled_from(["small", "large"]),
)


@settings(max_examples=300)
@given(budget=st.sampled_from([2, 3, 4, 8, 16]), many=st.lists(arrivals, max_size=25))
def test_nobody_starves_however_many_interactive_requests_keep_coming(
    budget: int, many: list[Waiting]
) -> None:
    """Once overdue, a request waits for its elders alone: at most four steps for each of theirs."""
    for ticket, request in enumerate(sorted(many, key=lambda request: request.joined)):
        request.ticket = ticket
    scheduler = scheduler_of(budget)
    finished: dict[int, int] = {}
    bound: dict[int, float] = {}
    flood = Delivery(ServiceClass.INTERACTIVE)
    for now in range(2000):
        for request in many:
            if request.joined == now:
                scheduler.add(request)
        for number in range(budget):  # enough to fill every step by themselves
            scheduler.add(Waiting(10_000 + now * 100 + number, 1, 1, now, flood))
        for request in many:
            if now > request.joined + PATIENCE and request.ticket not in bound:
                elders = [two for two in scheduler if age(two) <= age(request)]  # of the flood too
                bound[request.ticket] = now + 4 * sum(two.steps_left for two in elders) + 4
        for request in scheduler.take(float(now), step_seconds=1.0):
            request.steps_left -= 1
            if not request.steps_left:
                scheduler.remove(request.ticket)
                finished[request.ticket] = now
        if all(request.steps_left == 0 for request in many):
            break
    for request in many:
        assert request.ticket in finished
        assert finished[request.ticket] <= bound.get(request.ticket, finished[request.ticket])


@settings(max_examples=100)
@given(budget=st.sampled_from([2, 4, 8, 16]), bulk_rows=st.integers(1, 2), rows=st.integers(1, 2))
def test_an_interactive_request_starts_with_the_next_step_though_bulk_fills_every_row(
    budget: int, bulk_rows: int, rows: int
) -> None:
    bulk = [Waiting(number, rows=bulk_rows, steps_left=1) for number in range(2 * budget)]
    scheduler = scheduler_of(budget, *bulk)
    assert sum(request.rows for request in scheduler.take(0.0)) >= budget - 1
    scheduler.add(Waiting(999, rows, 8, 1.0, Delivery(ServiceClass.INTERACTIVE)))
    assert 999 in [request.ticket for request in scheduler.take(1.0)]


def test_it_also_starts_at_once_when_all_bulk_is_overdue() -> None:
    for budget in (4, 8, 16):
        bulk = [Waiting(number, rows=2, steps_left=100) for number in range(2 * budget)]
        scheduler = scheduler_of(budget, *bulk)
        list(run(scheduler, lambda now: [], 20))
        scheduler.add(Waiting(999, 2, 8, 20.0, Delivery(ServiceClass.INTERACTIVE)))
        assert 999 in [request.ticket for request in scheduler.take(20.0)]


def test_with_room_for_one_guided_request_only_the_overdue_get_one_step_in_four() -> None:
    bulk = Waiting(0, rows=2, steps_left=100)
    stream = [Waiting(1, 2, 1000, 0.0, Delivery(ServiceClass.INTERACTIVE))]
    steps = list(run(scheduler_of(2, bulk, *stream), lambda now: [], 11 + 40))
    assert [0 in step for step in steps[11:]].count(True) == 10


def test_bulk_fills_what_interactive_leaves_empty() -> None:
    interactive = Waiting(0, 2, 4, 0.0, Delivery(ServiceClass.INTERACTIVE))
    bulk = [Waiting(number, steps_left=50) for number in range(1, 9)]
    chosen = scheduler_of(8, interactive, *bulk).take(0.0)
    assert chosen[0] is interactive
    assert sum(request.rows for request in chosen) == 8


def test_the_least_work_left_goes_first_and_a_smaller_one_fills_the_gap() -> None:
    long, short, wide = Waiting(1, 2, 9), Waiting(2, 1, 3), Waiting(3, 2, 4)
    assert [request.ticket for request in scheduler_of(3, long, short, wide).take(0.0)] == [2, 3]
    assert [request.ticket for request in scheduler_of(2, long, Waiting(4, 1, 30)).take(0.0)] == [1]


def test_a_deadline_in_danger_goes_before_less_work_and_a_lost_one_does_not() -> None:
    soon = Waiting(1, 2, 6, delivery=Delivery(deadline=8.0))
    lost = Waiting(2, 2, 6, delivery=Delivery(deadline=3.0))
    far = Waiting(3, 2, 6, delivery=Delivery(deadline=90.0))
    short = Waiting(4, 2, 2)
    scheduler = scheduler_of(2, lost, far, short, soon)
    assert [request.ticket for request in scheduler.take(0.0, step_seconds=1.0)] == [1]
    scheduler.remove(1)
    assert [request.ticket for request in scheduler.take(0.0, step_seconds=1.0)] == [4]


def test_one_step_holds_one_family() -> None:
    scheduler = scheduler_of(8, Waiting(1, family="a"), Waiting(2, family="b", steps_left=2))
    assert [request.ticket for request in scheduler.take(0.0)] == [2]
    assert scheduler.find(1) is not None
    assert 1 in scheduler
    assert len(scheduler) == 2
