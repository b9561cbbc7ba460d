"""Pictures painted a short while ago: each caller's own, within bounds, the unasked leave first."""

from hypothesis import given
from hypothesis import strategies as st

from app.api.responses import ServedImage
from deployments.calls.recent_images import RecentImage, RecentImages
from tests.deployments.workers import DRAFT
from tests.store.values import provenance_of
from tests.values import request_with


def recent(seed: int, size: int = 10) -> RecentImage:
    request = request_with(seed=seed)
    image = ServedImage(
        request=request, png=b"p" * size, provenance=provenance_of(request), seconds=0
    )
    return RecentImage(image, DRAFT, {"f" * 64: b"file"})


def name(seed: int) -> str:
    return request_with(seed=seed).id


def test_each_caller_finds_its_own_alone() -> None:
    recent_images = RecentImages(max_bytes=1000)
    recent_images.add("ann", recent(1))
    assert recent_images.find("ann", name(1)) == recent(1)
    assert recent_images.find("bob", name(1)) is None
    assert recent_images.find("ann", name(2)) is None


def test_those_that_nobody_asked_for_leave_first() -> None:
    recent_images = RecentImages(max_bytes=3 * recent(0).bytes)
    for seed in (1, 2, 3):
        recent_images.add("", recent(seed))
    recent_images.find("", name(1))
    recent_images.add("", recent(4))
    held = [seed for seed in (1, 2, 3, 4) if recent_images.find("", name(seed))]
    assert held == [1, 3, 4]


def test_painting_the_same_again_takes_no_more_room() -> None:
    recent_images = RecentImages(max_bytes=2 * recent(0).bytes)
    for _ in range(5):
        recent_images.add("", recent(1))
    recent_images.add("", recent(2))
    assert recent_images.find("", name(1))
    assert recent_images.find("", name(2))


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 120)), max_size=40))
def test_it_never_holds_more_than_its_bounds(added: list[tuple[int, int]]) -> None:
    recent_images = RecentImages(max_bytes=150)
    for seed, size in added:
        recent_images.add("", recent(seed, size))
        held = [
            remembered for seed in range(7) if (remembered := recent_images.find("", name(seed)))
        ]
        assert sum(image.bytes for image in held) <= 150
        assert recent_images.find("", name(seed)) is not None or recent(seed, size).bytes > 150
