"""Models stay where they are loaded, and teams take turns, in the order of a run: loads counted."""

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.backends import Backend
from app.backends.echo import EchoBackend, EchoSettings
from app.generate.terms import GenerationTerms
from app.models.bundled import ECHO, bundled_models, folder_of
from app.settings import Settings
from app.store.publish import open_store
from app.types import Route, Tags
from jobs.bench.shares.simulation import (
    MODELS,
    batches_by_arrival,
    batches_in_order,
    count_loads,
    jobs_of,
    routes_to,
)
from jobs.runtime.batches import GenerateRow, generate_batches, row_steps, team_of
from jobs.stages.generate import GenerateStage
from jobs.stages.model_cache import ModelCache, weight_bytes
from tests.jobs.runtime.test_batches import ROUTES, asked_for

TEAMS = ("heroes", "props", "ui")


def route_to(name: str) -> Route:
    return Route(backend="echo", model=ECHO.replace(name=name), reason="the test")


def warm_with(max_bytes: int, sizes: dict[str, int], loaded: list[str]) -> ModelCache:
    def load(route: Route) -> Backend:
        loaded.append(route.model.name)
        return EchoBackend(EchoSettings())

    return ModelCache(load, lambda route: sizes[route.model.name], max_bytes=max_bytes)


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("models_kept", [1, 2, 4])
@pytest.mark.parametrize("teams", [("",), TEAMS])
def test_four_models_are_loaded_three_times_less_than_in_order_of_arrival(
    workers: int, models_kept: int, teams: tuple[str, ...]
) -> None:
    rows, routes = jobs_of(100, teams=teams), routes_to()
    plainly = count_loads(batches_by_arrival(rows, routes), workers=workers, models_kept=1)
    ours = count_loads(batches_in_order(rows, routes, workers=workers), workers=workers,
        models_kept=models_kept)  # fmt: skip
    assert plainly >= 3 * ours
    if models_kept == len(MODELS):
        assert ours <= workers * len(MODELS)


@pytest.mark.parametrize("workers", [2, 3])
def test_a_model_that_all_ask_for_is_not_left_to_one_worker(workers: int) -> None:
    rows, routes = jobs_of(100, models=["light"]), routes_to()
    batches = batches_in_order(rows, routes, workers=workers)
    assert count_loads(batches, workers=workers, models_kept=1) == workers


def test_the_one_used_least_recently_goes_when_there_is_no_room() -> None:
    loaded: list[str] = []
    warm = warm_with(10, {"small": 3, "medium": 4, "large": 6, "huge": 99}, loaded)
    for name in ("small", "medium", "small", "large", "small", "medium", "huge", "huge", "small"):
        warm.backend(route_to(name))
    assert loaded == ["small", "medium", "large", "medium", "huge", "small"]
    assert warm.loads == 6


def test_room_is_made_before_a_model_is_loaded() -> None:
    """So that two that fit only alone are never there at once."""
    alive: list[str] = []

    class Heavy(EchoBackend):
        def __init__(self, name: str) -> None:
            super().__init__(EchoSettings())
            self.name, self.myself = name, self  # a cycle, as the parts of a pipeline have them
            alive.append(name)

        def __del__(self) -> None:
            alive.remove(self.name)

    seen: list[list[str]] = []

    def load(route: Route) -> Backend:
        seen.append(list(alive))
        return Heavy(route.model.name)

    warm = ModelCache(load, lambda route: 1, max_bytes=1)
    for name in ("a", "b", "a"):
        warm.backend(route_to(name))
    assert seen == [[], [], []]


def test_what_a_model_weighs_is_what_its_files_weigh_with_those_beneath() -> None:
    versions = bundled_models()
    ways = {
        name: Route(backend="engine", model=version, reason="the test")
        for name, version in versions.items()
        if name != "echo"
    }
    starter = sum(
        path.stat().st_size for path in folder_of(versions["starter"]).rglob("*.safetensors")
    )
    assert weight_bytes(ways["starter"]) == starter > 0
    assert weight_bytes(ways["polish"]) > starter
    assert weight_bytes(route_to("echo")) == 0


def test_a_stage_tells_how_many_models_it_loaded(tmp_path: Path) -> None:
    here = Settings(home=tmp_path)
    open_store(here.blobs, here.catalog)
    routes = routes_to(("light", "heavy"))
    terms = {route.model.reference: GenerationTerms() for route in routes.values()}
    stage = GenerateStage(here, "run", terms)
    batches = batches_by_arrival(
        jobs_of(4, models=["light"]) + jobs_of(4, models=["heavy"]), routes
    )
    loads = [stage.run(batch).loads for batch in batches]
    assert loads == [1, 0, 0, 0, 1, 0, 0, 0]
    assert stage.run(batches[0]).loads == 0


def with_tags(row: GenerateRow, **tags: object) -> GenerateRow:
    request = row.spec.request.replace(tags=Tags(**tags))
    requests = tuple(request.replace(tags=Tags(**tags)) for request in row.requests)
    return row.replace(spec=row.spec.replace(request=request), requests=requests)


everything = st.lists(
    st.tuples(
        st.sampled_from(["echo", "small"]), st.sampled_from([16, 32]), st.integers(1, 9),
        st.sampled_from(TEAMS), st.integers(0, 9),
    ),
    min_size=1, max_size=30,
)  # fmt: skip


def tagged(rows: list[tuple[str, int, int, str, int]]) -> Iterator[GenerateRow]:
    for number, (model, side, requests, team, priority) in enumerate(rows):
        yield with_tags(asked_for(number, model, side, requests), team=team, priority=priority)


@settings(max_examples=30)
@given(rows=everything, shares=st.fixed_dictionaries({team: st.floats(0.1, 10) for team in TEAMS}))
def test_as_long_as_two_teams_have_work_they_are_a_batch_apart_at_most(
    rows: list[tuple[str, int, int, str, int]], shares: dict[str, float]
) -> None:
    asked = list(tagged(rows))
    batches = list(generate_batches(asked, ROUTES, workers=2, share=shares.__getitem__))
    assert sorted(item.spec.name for batch in batches for item in batch.items) == sorted(
        item.spec.name for item in asked
    )
    left = {team: sum(team_of(batch) == team for batch in batches) for team in TEAMS}
    largest = {
        team: max((row_steps(batch) for batch in batches if team_of(batch) == team), default=0)
        for team in TEAMS
    }
    given_to = dict.fromkeys(TEAMS, 0.0)
    for batch in batches:
        assert {item.spec.request.tags.team for item in batch.items} == {team_of(batch)}
        given_to[team_of(batch)] += row_steps(batch) / shares[team_of(batch)]
        left[team_of(batch)] -= 1
        for first, other in combinations([team for team in TEAMS if left[team]], 2):
            bound = largest[first] / shares[first] + largest[other] / shares[other]
            assert abs(given_to[first] - given_to[other]) <= bound + 1e-9


@settings(max_examples=15)
@given(rows=everything)
def test_priority_orders_a_team_s_batches(rows: list[tuple[str, int, int, str, int]]) -> None:
    batches = list(generate_batches(list(tagged(rows)), ROUTES, workers=2))
    for team in TEAMS:
        priorities = [
            item.spec.request.tags.priority
            for batch in batches if team_of(batch) == team
            for item in batch.items
        ]  # fmt: skip
        assert priorities == sorted(priorities, reverse=True)


def test_three_teams_get_their_parts_of_a_run() -> None:
    rows = jobs_of(1200, teams=TEAMS)
    weights = {"heroes": 3.0, "props": 2.0, "ui": 1.0}
    batches = batches_in_order(rows, routes_to(), workers=2, shares=weights)
    given_to = dict.fromkeys(TEAMS, 0)
    for batch in batches[: len(batches) // 2]:
        given_to[team_of(batch)] += row_steps(batch)
    for team, weight in weights.items():
        assert given_to[team] / sum(given_to.values()) == pytest.approx(weight / 6, rel=0.1)
