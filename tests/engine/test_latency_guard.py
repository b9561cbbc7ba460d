"""What bulk may add to a wait: learned costs, waits as they would be alone, and rows by both."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.digest import digest_bytes
from app.engine.cost_curve import StepCosts
from app.engine.engine import Engine, Mode
from app.engine.latency_guard import (
    INTERACTIVE_IDLE_SECONDS,
    MAX_BULK_STEP_SHARE,
    MAX_SLOWDOWN,
    BaselineTimeline,
    LatencyGuard,
)
from app.engine.results import Preview, RenderedImage
from app.engine.row_budget import bucket_for
from app.engine.scheduler import Scheduler
from app.engine.state import Delivery, ServiceClass
from app.models.random_weights import COMPUTE_BOUND, random_sd3
from app.types import GenerationRequest
from tests.engine.engines import Sd3Latents, engine_of
from tests.engine.test_scheduler import Waiting

BUDGET = 16
LINEAR = {rows: 0.01 * rows**1.01 for rows in (1, 2, 4, 8, 16)}
"""A step whose rows share nothing: company only costs."""
SHARED = {1: 0.010, 2: 0.011, 4: 0.012, 8: 0.013, 16: 0.016}
"""A step whose rows share nearly all."""
PERSON = Delivery(ServiceClass.INTERACTIVE)


def guard_of(table: dict[int, float], *, floor: int = 4, known: bool = True) -> LatencyGuard:
    costs = StepCosts()
    for rows, seconds in table.items() if known else ():
        costs.record_step("small", rows, seconds)

    def padded(family: object, rows: int) -> int:
        return min(bucket_for(max(rows, floor)), BUDGET)

    return LatencyGuard(costs, padded, lambda family: BUDGET)


def test_costs_lie_between_what_was_run_and_beyond_it_in_proportion() -> None:
    costs = StepCosts()
    assert costs.step_seconds("small", 4) is None
    costs.record_step("small", 4, 0.1)
    assert [costs.step_seconds("small", rows) for rows in (1, 4, 16)] == [0.1, 0.1, 0.4]
    costs.record_step("small", 16, 0.2)
    assert costs.step_seconds("small", 10) == pytest.approx(0.15)
    assert (costs.is_measured("small", 16), costs.is_measured("small", 8)) == (True, False)
    assert costs.step_seconds("large", 4) is None
    for disturbed in (0.1, 0.3, 0.9):
        costs.record_step("small", 4, disturbed)
    assert costs.step_seconds("small", 4) == 0.1
    assert costs.decode_seconds("small") == 0.0
    costs.record_decode("small", 0.02)
    assert costs.decode_seconds("small") == 0.02


def test_alone_is_each_others_company_and_nothing_else() -> None:
    alone = BaselineTimeline(lambda family, rows: 0.1 * rows, lambda family: 2, lambda family: 0.05)
    alone.join(0.0, "small", 1, 2)
    alone.advance_to(0.0)
    assert alone.p95_seconds is None
    alone.join(0.05, "small", 1, 1)
    alone.advance_to(10.0)
    assert alone.p95_seconds == pytest.approx(0.1 + 0.2 + 0.05)
    alone.join(20.0, "small", 2, 10)
    alone.advance_to(30.0)
    assert alone.p95_seconds == pytest.approx(10 * 0.2 + 0.05)


def test_of_what_nothing_is_known_nobody_is_promised_anything() -> None:
    alone = BaselineTimeline(lambda family, rows: None, lambda family: 2, lambda family: 0.0)
    alone.join(0.0, "small", 1, 2)
    alone.advance_to(1.0)
    assert alone.p95_seconds is None


def test_a_step_is_first_run_without_bulk_so_that_its_cost_is_known() -> None:
    latency_guard, person = guard_of(SHARED, known=False), Waiting(1, 1, 8, 0.0, PERSON)
    latency_guard.join(person, 0.0)
    assert latency_guard.rows("small", 1, [person], 0.0) == 4


def test_rows_that_share_a_step_well_fill_it_and_those_that_only_cost_do_not() -> None:
    for table, rows in ((SHARED, BUDGET), (LINEAR, 4)):
        latency_guard, person = guard_of(table), Waiting(1, 1, 8, 0.0, PERSON)
        latency_guard.join(person, 0.0)
        assert latency_guard.rows("small", 1, [person], 0.0) == rows


def test_who_waited_longer_than_promised_has_no_company_but_what_padding_gives() -> None:
    latency_guard, person = guard_of(SHARED), Waiting(1, 1, 8, 0.0, PERSON)
    latency_guard.join(person, 0.0)
    promised = MAX_SLOWDOWN * 8 * SHARED[4]
    assert latency_guard.rows("small", 1, [person], promised) == 4
    assert latency_guard.rows("small", 3, [person], promised) == 4
    assert latency_guard.rows("small", 5, [person], promised) == 8


def test_bulk_by_itself_takes_short_steps_while_people_are_about_and_full_ones_else() -> None:
    latency_guard, person = guard_of(LINEAR), Waiting(1, 1, 8, 0.0, PERSON)
    assert latency_guard.rows("small", 0, [], 0.0) == BUDGET
    latency_guard.join(person, 0.0)
    latency_guard.rows("small", 1, [person], 0.0)
    later = 8 * LINEAR[4] + 0.001
    rows = latency_guard.rows("small", 0, [], later)
    assert rows < BUDGET
    assert LINEAR[rows] <= MAX_BULK_STEP_SHARE * MAX_SLOWDOWN * 8 * LINEAR[4]
    assert latency_guard.rows("small", 0, [], later + INTERACTIVE_IDLE_SECONDS + 1) == BUDGET


@given(
    table=st.lists(st.floats(0.001, 1.0), min_size=5, max_size=5).map(sorted),
    taken=st.integers(0, BUDGET), waited=st.floats(0, 100), floor=st.sampled_from([1, 4, 16]),
    steps=st.integers(1, 40),
)  # fmt: skip
def test_there_is_always_room_for_what_is_taken_and_never_more_than_fits(
    table: list[float], taken: int, waited: float, floor: int, steps: int
) -> None:
    latency_guard = guard_of(dict(zip((1, 2, 4, 8, 16), table, strict=True)), floor=floor)
    person = Waiting(1, 1, steps, 0.0, PERSON)
    latency_guard.join(person, 0.0)
    rows = latency_guard.rows("small", taken, [person] if taken else [], waited)
    assert max(taken, 2 if not taken else 0) <= rows <= BUDGET
    if floor == BUDGET and taken:
        assert rows == BUDGET  # where every step is padded to the full, company is free


def test_the_overdue_have_their_quarter_whatever_was_promised() -> None:
    latency_guard = guard_of(LINEAR, floor=1)
    scheduler: Scheduler[Waiting] = Scheduler(
        lambda family: BUDGET, patience_seconds=1.0, latency_guard=latency_guard
    )
    bulk = Waiting(1, 2, 1000)
    scheduler.add(bulk)
    given_steps = 0
    for now in range(100):
        scheduler.add(Waiting(100 + now, 1, 1, float(now), PERSON))
        taken = scheduler.take(float(now))
        given_steps += bulk in taken
        for request in taken:
            if request is not bulk:
                scheduler.remove(request.ticket)
    assert given_steps >= 50  # two rows of sixteen: less than the quarter of all that is due


@pytest.mark.parametrize("mode", ["reproducible", "exact"])
def test_bulk_that_comes_and_goes_beside_it_does_not_change_an_image(mode: Mode) -> None:
    requests = [
        GenerationRequest(
            prompt="a potion", width=64, height=64, num_inference_steps=2 + seed % 3,
            guidance_scale=4.0 * (seed % 2), seed=seed,
        )
        for seed in range(6)
    ]  # fmt: skip

    def made(engine: Engine, of: list[GenerationRequest]) -> dict[str, str]:
        for request in of:
            delivery = PERSON if request.seed % 3 == 0 else Delivery()
            engine.submit(request, delivery, since=engine.now - request.seed)
        results = []
        while engine.busy:
            results += [event.result for event in engine.step()]
        engine.close()
        return {
            result.request.id: digest_bytes(result.pixels.tobytes())
            for result in results
            if isinstance(result, RenderedImage)
        }

    stock = random_sd3(COMPUTE_BOUND)
    together = made(engine_of(Sd3Latents(stock), rows=8, mode=mode), requests)
    alone: dict[str, str] = {}
    for request in requests:
        alone |= made(engine_of(Sd3Latents(stock), rows=8, mode=mode), [request])
    assert together == alone
    assert len(together) == len(requests)


def test_a_picture_that_somebody_waits_for_is_decoded_before_bulk(
    stock: Any, request_of: Any
) -> None:
    pipeline = Sd3Latents(stock)
    engine = engine_of(pipeline, rows=16)
    for seed in range(6):
        engine.submit(request_of(seed=seed, guidance_scale=0), Delivery())
    engine.submit(request_of(seed=99, guidance_scale=0), PERSON)
    ended = []
    while engine.busy:
        for event in engine.step():
            assert not isinstance(event.result, Preview)
            ended.append(event.result.request.seed)
    engine.close()
    assert sorted(ended) == [0, 1, 2, 3, 4, 5, 99]
    assert 99 in ended[:2]  # one may have been begun when it came
