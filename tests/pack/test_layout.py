"""The order of the boxes, the shape of the page."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from app.pack.layout import Box, lay_out

boxes = st.lists(st.tuples(st.sampled_from([3, 5, 8]), st.sampled_from([3, 5, 8])), max_size=30)


@settings(max_examples=40, deadline=None)
@given(boxes, st.randoms(use_true_random=False), st.booleans())
def test_boxes_in_another_order_stand_in_the_same_places(
    sizes: list[tuple[int, int]], random: Random, power_of_two: bool
) -> None:
    ordered = [Box(f"box-{index}", *size) for index, size in enumerate(sizes)]
    shuffled = random.sample(ordered, len(ordered))
    layouts = lay_out(ordered, max_side=32, gap=1, power_of_two=power_of_two)
    assert layouts == lay_out(shuffled, max_side=32, gap=1, power_of_two=power_of_two)


def test_the_smallest_page_is_the_one_with_the_shortest_long_side() -> None:
    squares = [Box(f"box-{index}", 16, 16) for index in range(8)]
    (layout,) = lay_out(squares, max_side=256, gap=0, power_of_two=True)
    assert str(layout.size) == "64x32"


def test_a_long_box_gets_a_strip() -> None:
    (layout,) = lay_out([Box("pole", 200, 10)], max_side=256, gap=2, power_of_two=True)
    assert str(layout.size) == "256x16"
