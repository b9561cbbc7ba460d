"""Identity: one canonical form per value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.digest import Json, canonical_json, digest, digest_folder

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)  # fmt: skip


@given(mapping=st.dictionaries(st.text(st.characters(codec="utf-8")), values, max_size=5))
def test_key_order_does_not_change_a_digest(mapping: dict[str, Json]) -> None:
    turned = dict(reversed(mapping.items()))
    assert digest(turned) == digest(mapping)


def test_a_whole_float_names_the_same_value_as_its_integer() -> None:
    assert canonical_json({"guidance": 4.0, "list": [1.0, 2.5]}) == b'{"guidance":4,"list":[1,2.5]}'
    assert digest([True]) != digest([1])


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_without_a_canonical_form_are_refused(number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest([number])


def test_a_folder_is_named_by_paths_and_contents_alone(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    first, second = tmp_path_factory.mktemp("a"), tmp_path_factory.mktemp("b")
    for folder in (first, second):
        (folder / "inner").mkdir()
        (folder / "inner" / "x").write_bytes(b"1")
        (folder / "card.md").write_text(str(folder))
    assert digest_folder(first, exclude={"card.md"}) == digest_folder(second, exclude={"card.md"})
    (second / "inner" / "x").rename(second / "inner" / "y")
    assert digest_folder(first, exclude={"card.md"}) != digest_folder(second, exclude={"card.md"})
