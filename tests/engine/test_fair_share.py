"""Teams that wait for one engine share its rows by weight: counted in row-steps, one step a second.

Start-time fair queuing promises that two teams that both wait are never further apart, in work
over weight, than the largest piece of work of each: here the rows of a step.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import combinations, count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.digest import digest_bytes
from app.engine.scheduler import PATIENCE_SECONDS, Scheduler
from app.engine.state import Delivery, ServiceClass
from app.models.random_weights import COMPUTE_BOUND, random_sd3
from app.types import GenerationRequest
from tests.engine.engines import Sd3Latents, engine_of
from tests.engine.test_scheduler import Waiting, scheduler_of

TICKETS = count()
WEIGHTS = {"ui": 1.0, "props": 2.0, "heroes": 3.0}
STEPS = 600


def work(
    team: str,
    share: float = 1.0,
    *,
    rows: int = 2,
    steps: int = 8,
    service: ServiceClass = ServiceClass.BULK,
    priority: int = 5,
    deadline: float | None = None,
    family: str = "small",
    joined: float = 0.0,
) -> Waiting:
    delivery = Delivery(service, deadline, team=team, share=share, priority=priority)
    return Waiting(next(TICKETS), rows, steps, joined, delivery, family)


def given_to(
    scheduler: Scheduler[Waiting], teams: Mapping[str, list[Waiting]], steps: int, start: int = 0
) -> Iterator[Counter[str]]:
    """Row-steps by team, a step at a time; every team always has all its kinds of work waiting."""
    for now in range(start, start + steps):
        for kinds in teams.values():
            for kind in kinds:
                here = [
                    request
                    for request in scheduler
                    if request.family == kind.family
                    and request.rows == kind.rows
                    and request.delivery == kind.delivery
                ]
                for _ in range(20 - len(here)):
                    again = Waiting(
                        next(TICKETS), kind.rows, kind.steps_left, now, kind.delivery, kind.family
                    )
                    scheduler.add(again)
        chosen = scheduler.take(float(now), step_seconds=1.0)
        for request in chosen:
            request.steps_left -= 1
            if not request.steps_left:
                scheduler.remove(request.ticket)
        rows: Counter[str] = Counter()
        for request in chosen:
            rows[request.delivery.team] += request.rows
        yield rows


def total(counters: Iterator[Counter[str]]) -> Counter[str]:
    return sum(counters, Counter[str]())


@pytest.mark.parametrize("service", ServiceClass)
@pytest.mark.parametrize(
    ("budget", "patience"), [(2, 1e9), (3, 1e9), (8, 1e9), (16, 1e9), (3, 10.0), (8, 10.0)]
)
def test_three_teams_get_one_two_and_three_parts(
    budget: int, patience: float, service: ServiceClass
) -> None:
    """Also where much is overdue, as long as that quarter is nobody's whole share."""
    scheduler: Scheduler[Waiting] = Scheduler(lambda family: budget, patience_seconds=patience)
    teams = {
        name: [work(name, share, rows=rows, steps=steps, service=service)]
        for (name, share), rows, steps in zip(WEIGHTS.items(), (2, 1, 2), (4, 28, 8), strict=True)
    }
    rows = total(given_to(scheduler, teams, STEPS))
    assert sum(rows.values()) >= (budget - 1) * STEPS
    for name, share in WEIGHTS.items():
        assert rows[name] / sum(rows.values()) == pytest.approx(share / 6, rel=0.1)


kinds = st.lists(
    st.tuples(st.integers(1, 2), st.integers(1, 30), st.sampled_from(["small", "large"])),
    min_size=1, max_size=2, unique_by=lambda kind: (kind[0], kind[2]),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    budgets=st.fixed_dictionaries(
        {"small": st.sampled_from([2, 4, 8]), "large": st.sampled_from([2, 8])}
    ),
    teams=st.dictionaries(
        st.sampled_from("abcd"), st.tuples(st.sampled_from([0.5, 1.0, 3.0, 10.0]), kinds),
        min_size=2,
    ),
)  # fmt: skip
def test_two_teams_that_wait_are_never_further_apart_than_a_step_of_each(
    budgets: dict[str, int], teams: dict[str, tuple[float, list[tuple[int, int, str]]]]
) -> None:
    """Whatever they ask for, and though a step holds one size alone."""
    scheduler: Scheduler[Waiting] = Scheduler(lambda family: budgets[family], patience_seconds=1e9)
    wanted = {
        name: [
            work(name, share, rows=rows, steps=steps, family=family)
            for rows, steps, family in asked
        ]
        for name, (share, asked) in teams.items()
    }
    rows: Counter[str] = Counter()
    for step in given_to(scheduler, wanted, 100):
        rows += step
        for team, other in combinations(teams, 2):
            apart = abs(rows[team] / teams[team][0] - rows[other] / teams[other][0])
            assert apart <= 8 / teams[team][0] + 8 / teams[other][0]


def test_a_team_alone_gets_every_row_however_small_its_share() -> None:
    for share in (0.001, 1000.0):
        rows = total(given_to(scheduler_of(8), {"ui": [work("ui", share)]}, 50))
        assert rows == {"ui": 400}


@pytest.mark.parametrize("away", [10, 1000])
def test_who_was_away_saved_nothing_up_and_who_was_alone_owes_nothing(away: int) -> None:
    scheduler: Scheduler[Waiting] = Scheduler(lambda family: 8, patience_seconds=1e9)
    ui, props = {"ui": [work("ui")]}, {"props": [work("props")]}
    total(given_to(scheduler, ui | props, 20))
    for request in [request for request in scheduler if request.delivery.team == "props"]:
        scheduler.remove(request.ticket)
    total(given_to(scheduler, ui, away, start=20))
    rows = total(given_to(scheduler, ui | props, 10, start=20 + away))
    assert abs(rows["ui"] - rows["props"]) <= 16


def test_who_asked_for_less_than_its_share_saved_nothing_up_either() -> None:
    """A row in every step for a long time, where half of all would have been its."""
    scheduler: Scheduler[Waiting] = Scheduler(lambda family: 8, patience_seconds=1e9)
    scheduler.add(work("props", rows=1, steps=500))
    ui = {"ui": [work("ui", rows=1)]}
    modest = total(given_to(scheduler, ui, 500))
    assert modest == {"ui": 7 * 500, "props": 500}
    rows = total(given_to(scheduler, ui | {"props": [work("props", rows=1)]}, 10, start=500))
    assert abs(rows["ui"] - rows["props"]) <= 16


def test_priority_orders_the_work_of_a_team_and_takes_nothing_from_another() -> None:
    teams = {
        "ui": [work("ui", priority=9, steps=30), work("ui", priority=1, steps=2, rows=1)],
        "props": [work("props", priority=0)],
    }
    rows = total(given_to(scheduler_of(8), teams, 10))
    assert rows == {"ui": 40, "props": 40}
    mine = [work("ui", priority=priority, steps=steps) for priority, steps in ((5, 2), (6, 40))]
    assert scheduler_of(2, *mine).take(0.0) == [mine[1]]


def test_what_people_are_given_is_not_taken_from_their_team_s_bulk() -> None:
    scheduler: Scheduler[Waiting] = Scheduler(lambda family: 8, patience_seconds=1e9)
    scheduler.add(work("ui", steps=200, service=ServiceClass.INTERACTIVE))
    teams = {"ui": [work("ui", rows=1)], "props": [work("props", rows=1)]}
    rows = total(given_to(scheduler, teams, 200))
    assert rows == {"ui": 200 * (2 + 3), "props": 200 * 3}


def test_a_deadline_goes_first_and_is_charged() -> None:
    scheduler: Scheduler[Waiting] = Scheduler(lambda family: 2, patience_seconds=1e9)
    hurried = work("ui", steps=20, deadline=20.0)
    scheduler.add(hurried)
    teams = {"ui": [work("ui")], "props": [work("props")]}
    first = total(given_to(scheduler, teams, 20))
    assert first == {"ui": 40}
    assert hurried.steps_left == 0
    then = total(given_to(scheduler, teams, 40, start=20))
    assert abs(then["props"] - 40 - then["ui"]) <= 4


def test_a_small_share_is_no_sentence_to_wait_for_ever() -> None:
    crumb = work("ui", 0.001, steps=10)
    scheduler: Scheduler[Waiting] = Scheduler(lambda family: 2)
    scheduler.add(crumb)
    scheduler.take(0.0)
    crumb.steps_left -= 1
    total(given_to(scheduler, {"props": [work("props", 1000.0)]}, int(PATIENCE_SECONDS) + 40, 1))
    assert crumb.steps_left == 0


def test_company_of_other_teams_does_not_change_an_image() -> None:
    """Rows come and go by share, priority and deadline; the pixels stay."""
    requests = [
        GenerationRequest(
            prompt=f"a {colour} potion", width=64, height=64, num_inference_steps=2 + seed,
            guidance_scale=1.0 + seed % 2, seed=seed,
        )
        for seed, colour in enumerate(["red", "blue", "green", "grey"])
    ]  # fmt: skip

    def pixels(deliveries: list[Delivery], of: list[GenerationRequest]) -> dict[str, str]:
        engine = engine_of(Sd3Latents(random_sd3(COMPUTE_BOUND)), rows=4)
        for request, delivery in zip(of, deliveries, strict=True):
            engine.submit(request, delivery)
        results = [event.result for _ in range(100) if engine.busy for event in engine.step()]
        engine.close()
        return {result.request.id: digest_bytes(result.pixels.tobytes()) for result in results}

    alone = {}
    for request in requests:
        alone |= pixels([Delivery()], [request])
    together = pixels(
        [
            Delivery(team="ui", share=0.1),
            Delivery(team="props", share=10.0, priority=9),
            Delivery(ServiceClass.INTERACTIVE, team="ui", share=0.1),
            Delivery(team="props", share=10.0, priority=0),
        ],
        requests,
    )
    assert together == alone
    assert len(set(together.values())) == len(requests)
