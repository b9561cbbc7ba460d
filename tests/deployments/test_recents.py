"""Pictures painted a short while ago: each caller's own, within bounds, the unasked leave first."""

from hypothesis import given
from hypothesis import strategies as st

from app.api.responses import Painted
from deployments.calls.recent_images import Recent, Recents
from tests.deployments.studios import DRAFT
from tests.store.values import provenance_of
from tests.values import request_with


def recent(seed: int, size: int = 10) -> Recent:
    request = request_with(seed=seed)
    painted = Painted(
        request=request, png=b"p" * size, provenance=provenance_of(request), seconds=0
    )
    return Recent(painted, DRAFT, {"f" * 64: b"file"})


def name(seed: int) -> str:
    return request_with(seed=seed).id


def test_each_caller_finds_its_own_alone() -> None:
    recents = Recents(max_bytes=1000)
    recents.add("ann", recent(1))
    assert recents.find("ann", name(1)) == recent(1)
    assert recents.find("bob", name(1)) is None
    assert recents.find("ann", name(2)) is None


def test_those_that_nobody_asked_for_leave_first() -> None:
    recents = Recents(max_bytes=3 * recent(0).bytes)
    for seed in (1, 2, 3):
        recents.add("", recent(seed))
    recents.find("", name(1))
    recents.add("", recent(4))
    held = [seed for seed in (1, 2, 3, 4) if recents.find("", name(seed))]
    assert held == [1, 3, 4]


def test_painting_the_same_again_takes_no_more_room() -> None:
    recents = Recents(max_bytes=2 * recent(0).bytes)
    for _ in range(5):
        recents.add("", recent(1))
    recents.add("", recent(2))
    assert recents.find("", name(1))
    assert recents.find("", name(2))


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 120)), max_size=40))
def test_it_never_holds_more_than_its_bounds(added: list[tuple[int, int]]) -> None:
    recents = Recents(max_bytes=150)
    for seed, size in added:
        recents.add("", recent(seed, size))
        held = [found for one in range(7) if (found := recents.find("", name(one)))]
        assert sum(one.bytes for one in held) <= 150
        assert recents.find("", name(seed)) is not None or recent(seed, size).bytes > 150
