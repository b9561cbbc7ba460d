"""Micro-batches: nothing is lost, one bucket a row, rows small enough to share."""

from hypothesis import given
from hypothesis import strategies as st

from app.types import Route
from jobs.runtime.batches import REQUESTS_PER_BATCH, Asked, asked_batches
from tests.values import ROUTE, request_with, spec_with

SMALL = ROUTE.model.replace(name="small")
ROUTES = {"echo": ROUTE, "small": Route(backend="echo", model=SMALL, reason="the test")}


def asked_for(number: int, model: str, side: int, requests: int) -> Asked:
    request = request_with(f"prompt {number % 3}", side=side)
    spec = spec_with(name=f"asset.{number}").replace(model=model, request=request)
    return Asked(spec=spec, requests=tuple(spec.candidate(index) for index in range(requests)))


everything = st.lists(
    st.tuples(st.sampled_from(["echo", "small"]), st.sampled_from([16, 32]), st.integers(1, 9)),
    max_size=40,
).map(lambda rows: [asked_for(number, *row) for number, row in enumerate(rows)])


@given(asked=everything, workers=st.integers(1, 4))
def test_every_request_stands_in_exactly_one_row(asked: list[Asked], workers: int) -> None:
    batches = list(asked_batches(asked, ROUTES, workers=workers))
    names = sorted(item.spec.name for batch in batches for item in batch.items)
    assert names == sorted(item.spec.name for item in asked)


@given(asked=everything, workers=st.integers(1, 4))
def test_a_row_has_one_model_one_size_and_a_bounded_length(
    asked: list[Asked], workers: int
) -> None:
    for batch in asked_batches(asked, ROUTES, workers=workers):
        assert {ROUTES[item.spec.model] for item in batch.items} == {batch.route}
        assert len({item.spec.request.width for item in batch.items}) == 1
        requests = sum(len(item.requests) for item in batch.items)
        assert requests <= REQUESTS_PER_BATCH or len(batch.items) == 1


def test_the_same_text_stands_side_by_side() -> None:
    asked = [asked_for(number, "echo", 16, 1) for number in range(9)]
    (batch, *rest) = asked_batches(asked, ROUTES, workers=1)
    prompts = [item.spec.request.prompt for one in (batch, *rest) for item in one.items]
    assert prompts == sorted(prompts)
