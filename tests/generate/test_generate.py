"""Generation makes each image at most once, whoever asks and whatever breaks."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.backends.echo import draw_card
from app.engine.results import FailedRequest, RenderedImage
from app.errors import NotFinite
from app.fleet.prices import Price
from app.generate.generate import MAX_TRIES, Generator
from app.generate.terms import GenerationTerms
from app.models.bundled import ECHO
from app.store.budgets import Caps
from app.store.publish import Store, claim, open_store, release_all
from app.types import CostGroup, GenerationRequest, Route, Tags

ROUTE = Route(backend="echo", model=ECHO, reason="the test names it")


class CountingBackend:
    """The echo with a log of what it was asked, as a paid service would keep it."""

    def __init__(self, *, broken: str = "", deadly: str = "") -> None:
        self.log: list[list[str]] = []
        self._broken, self._deadly = broken, deadly

    def generate(
        self, requests: Iterable[GenerationRequest]
    ) -> Iterator[RenderedImage | FailedRequest]:
        batch = list(requests)
        self.log += [[request.prompt for request in batch]] if batch else []
        if any(request.prompt == self._deadly for request in batch):
            raise SystemExit("this request kills the worker")
        for request in batch:
            if request.prompt == self._broken:
                yield FailedRequest(request, NotFinite("latents are not finite"))
            else:
                yield RenderedImage(request, draw_card(request), seconds=1.8)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store((tmp_path / "blobs").as_uri(), f"sqlite:///{tmp_path / 'catalog.db'}")


def generator_of(store: Store, backend: CountingBackend, **changes: Any) -> Generator:
    settings: dict[str, Any] = {"route": ROUTE, "backend": backend, "store": store, "owner": "run"}
    return Generator(**(settings | changes))


def test_what_was_committed_is_never_made_again(store: Store, request_of: Any) -> None:
    backend = CountingBackend()
    requests = [request_of(prompt=prompt) for prompt in "abc"]
    first = generator_of(store, backend).generate(requests[:2])
    second = generator_of(store, backend, owner="another run").generate(requests)
    assert backend.log == [["a", "b"], ["c"]]
    assert [outcome.made for outcome in first] == [True, True]
    assert [outcome.made for outcome in second] == [False, False, True]
    assert [outcome.image for outcome in second[:2]] == [outcome.image for outcome in first]


def test_outcomes_keep_the_order_and_twins_share_an_image(store: Store, request_of: Any) -> None:
    backend = CountingBackend()
    requests = [request_of(prompt=prompt) for prompt in "abab"]
    outcomes = generator_of(store, backend).generate(requests)
    assert [outcome.request.prompt for outcome in outcomes] == list("abab")
    assert outcomes[0].image == outcomes[2].image
    assert backend.log == [["a", "b"]]


def test_the_stored_bytes_are_the_backends_pixels(store: Store, request_of: Any) -> None:
    from app.image.png import read_png

    (outcome,) = generator_of(store, CountingBackend()).generate([request_of()])
    assert outcome.image is not None
    assert (read_png(store.blobs.get(outcome.image.digest)) == draw_card(request_of())).all()


def test_an_image_carries_its_share_of_the_machines_price(store: Store, request_of: Any) -> None:
    terms = GenerationTerms(price=Price(cpu_second=2.0 / 3600))
    (outcome,) = generator_of(store, CountingBackend(), terms=terms).generate([request_of()])
    assert outcome.image is not None
    assert outcome.image.cost_usd == pytest.approx(2.0 * 1.8 / 3600)


def test_what_no_budget_is_left_for_is_not_begun_and_says_so(store: Store, request_of: Any) -> None:
    terms = GenerationTerms(
        plan="icons", price=Price(cpu_second=1.0), most_seconds=2.0, caps=Caps(plan=4.0)
    )
    backend = CountingBackend()
    requests = [request_of(prompt=prompt) for prompt in "abcd"]
    outcomes = generator_of(store, backend, terms=terms, wait=lambda _: None).generate(requests)
    assert backend.log == [["a", "b"]]  # 1.8 each: no third can be sure to cost less than 0.4
    assert [outcome.refused for outcome in outcomes] == [False, False, True, True]
    assert outcomes[2].error.startswith("budget: plan icons has spent $3.6")
    again = generator_of(store, backend, terms=terms).generate(requests)
    assert [outcome.made for outcome in again] == [False] * 4
    assert store.catalog.spent_usd("plan", "icons") == pytest.approx(3.6)
    wider = replace(terms, caps=Caps(plan=8.0))
    assert all(
        outcome.image for outcome in generator_of(store, backend, terms=wider).generate(requests)
    )


def test_every_attempt_is_booked_on_its_account(store: Store, request_of: Any) -> None:
    asked = [request_of(prompt=prompt, tags=Tags(team="art")) for prompt in "ab"]
    terms = GenerationTerms(
        who="ann", plan="icons", price=Price(call=0.5), assets={asked[0].id: "potion.red"}
    )
    generator = generator_of(store, CountingBackend(broken="b"), terms=terms)
    generator.generate(asked)
    (team,) = store.catalog.costs(CostGroup.TEAM).groups
    assert (team.name, team.made, team.failed, team.usd) == ("art", 1, 1, 1.0)
    assert [cost.name for cost in store.catalog.costs(CostGroup.ASSET).groups] == ["", "potion.red"]
    generator.generate(asked[:1])  # reused: nothing more is booked
    assert store.catalog.costs(CostGroup.TEAM).total.attempts == 2
    assert store.catalog.run_spending("run").images == 1


def test_a_failure_is_charged_the_time_that_no_image_accounts_for(
    store: Store, request_of: Any
) -> None:
    terms = GenerationTerms(price=Price(cpu_second=1.0))
    backend = CountingBackend(broken="b")
    generator_of(store, backend, terms=terms).generate([request_of(prompt="b")])
    (run,) = store.catalog.costs(CostGroup.RUN).groups
    assert run.seconds > 0
    assert run.usd == pytest.approx(run.seconds, abs=1e-6)  # seconds are told to the microsecond


def test_a_failure_is_an_outcome_and_may_be_tried_again(store: Store, request_of: Any) -> None:
    backend = CountingBackend(broken="b")
    requests = [request_of(prompt=prompt) for prompt in "ab"]
    for _ in range(MAX_TRIES + 1):
        good, bad = generator_of(store, backend).generate(requests)
        assert good.image is not None
        assert bad.image is None
        assert "not finite" in bad.error
    assert backend.log == [["a", "b"], *[["b"]] * MAX_TRIES]


def test_a_lease_of_another_run_is_waited_for(store: Store, request_of: Any) -> None:
    request, backend, waited = request_of(), CountingBackend(), []
    claim(store, [ROUTE.key(request.id)], owner="other", seconds=600)

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            release_all(store, owner="other")

    (outcome,) = generator_of(store, backend, wait=wait).generate([request])
    assert outcome.made
    assert len(waited) == 3


def test_a_lease_that_never_ends_is_an_outcome(store: Store, request_of: Any) -> None:
    request, backend = request_of(), CountingBackend()
    claim(store, [ROUTE.key(request.id)], owner="other", seconds=600)
    (outcome,) = generator_of(store, backend, wait=lambda _: None).generate([request])
    assert outcome.image is None
    assert "another run" in outcome.error
    assert backend.log == []


def test_a_deadly_request_ends_as_poison_and_its_neighbours_finish(
    store: Store, request_of: Any
) -> None:
    backend = CountingBackend(deadly="b")
    requests = [request_of(prompt=prompt) for prompt in "abc"]
    deaths = 0
    outcomes = None
    while outcomes is None:
        try:
            outcomes = generator_of(store, backend).generate(requests)
        except SystemExit:
            deaths += 1
    assert deaths == MAX_TRIES
    assert [outcome.image is not None for outcome in outcomes] == [True, False, True]
    assert "poison" in outcomes[1].error
    booked = store.catalog.costs(CostGroup.RUN).total
    assert (booked.made, booked.failed) == (2, 1)
    assert booked.lost >= MAX_TRIES
    assert sum(batch.count("b") for batch in backend.log) == MAX_TRIES


def test_a_run_that_stopped_in_order_leaves_no_lease_behind(store: Store, request_of: Any) -> None:
    request = request_of()
    claim(store, [ROUTE.key(request.id)], owner="stopped", seconds=600)
    release_all(store, owner="stopped")
    (outcome,) = generator_of(store, CountingBackend()).generate([request])
    assert outcome.made
    assert outcome.image is not None
    assert outcome.image.provenance.attempt == 1
