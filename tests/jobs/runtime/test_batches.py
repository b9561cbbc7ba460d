"""Micro-batches: nothing is lost, one bucket a row, rows small enough to share."""

from hypothesis import given
from hypothesis import strategies as st

from app.types import Route
from jobs.runtime.batches import (
    FIRST_REQUESTS,
    REQUESTS_PER_BATCH,
    GenerateRow,
    generate_batches,
)
from tests.values import ROUTE, request_with, spec_with

SMALL = ROUTE.model.replace(name="small")
ROUTES = {"echo": ROUTE, "small": Route(backend="echo", model=SMALL, reason="the test")}


def asked_for(number: int, model: str, side: int, requests: int) -> GenerateRow:
    request = request_with(f"prompt {number % 3}", side=side)
    spec = spec_with(name=f"asset.{number}").replace(model=model, request=request)
    return GenerateRow(
        spec=spec, requests=tuple(spec.candidate(index) for index in range(requests))
    )


everything = st.lists(
    st.tuples(st.sampled_from(["echo", "small"]), st.sampled_from([16, 32]), st.integers(1, 9)),
    max_size=40,
).map(lambda rows: [asked_for(number, *row) for number, row in enumerate(rows)])


@given(rows=everything, workers=st.integers(1, 4))
def test_every_request_stands_in_exactly_one_row(rows: list[GenerateRow], workers: int) -> None:
    batches = list(generate_batches(rows, ROUTES, workers=workers))
    names = sorted(item.spec.name for batch in batches for item in batch.items)
    assert names == sorted(item.spec.name for item in rows)


@given(rows=everything, workers=st.integers(1, 4))
def test_a_row_has_one_model_one_size_and_a_bounded_length(
    rows: list[GenerateRow], workers: int
) -> None:
    for batch in generate_batches(rows, ROUTES, workers=workers):
        assert {ROUTES[item.spec.model] for item in batch.items} == {batch.route}
        assert len({item.spec.request.width for item in batch.items}) == 1
        requests = sum(len(item.requests) for item in batch.items)
        assert requests <= REQUESTS_PER_BATCH or len(batch.items) == 1


def test_the_same_text_stands_side_by_side() -> None:
    rows = [asked_for(number, "echo", 16, 1) for number in range(9)]
    (batch, *rest) = generate_batches(rows, ROUTES, workers=1)
    prompts = [item.spec.request.prompt for row in (batch, *rest) for item in row.items]
    assert prompts == sorted(prompts)


@given(rows=everything, workers=st.integers(1, 4))
def test_each_worker_starts_with_a_short_row(rows: list[GenerateRow], workers: int) -> None:
    for batch in list(generate_batches(rows, ROUTES, workers=workers))[:workers]:
        requests = sum(len(item.requests) for item in batch.items)
        assert requests <= FIRST_REQUESTS or len(batch.items) == 1
