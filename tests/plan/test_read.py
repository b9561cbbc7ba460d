"""A bad plan is refused with every fault at once: the line, the field, the value, the remedy."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import Fault, PlanError
from app.plan.expand import count
from app.plan.read import MAX_BYTES, read_plan
from app.plan.yaml_document import MAX_VALUES
from tests.plan.broken import ASSETS, GEM, TOP, Broken, asset_text, marked_line
from tests.plan.broken_axes import AXES
from tests.plan.broken_files import PLANS
from tests.plan.plans import faults, read


def expect(fault: Fault, broken: Broken, *, field: str, line: int) -> None:
    assert (fault.field, fault.line) == (field, line)
    assert broken.message in fault.message
    assert broken.remedy in fault.remedy
    assert fault.value
    assert "pydantic" not in str(fault)


BROKEN_ASSETS = ASSETS | AXES


@pytest.mark.parametrize("name", BROKEN_ASSETS)
def test_a_broken_asset_is_refused_with_line_field_and_remedy(name: str) -> None:
    broken = BROKEN_ASSETS[name]
    text = asset_text(broken)
    (fault,) = faults(text)
    expect(fault, broken, field=f"assets[0].{broken.field}".rstrip("."), line=marked_line(text))


@pytest.mark.parametrize("name", PLANS)
def test_a_broken_plan_is_refused_with_line_field_and_remedy(name: str) -> None:
    broken = PLANS[name]
    (fault,) = faults(broken.text)
    expect(fault, broken, field=broken.field, line=marked_line(broken.text))


@pytest.mark.parametrize(
    "rule", ["{check: text_contrast, at_least: 3}", "{check: text_contrast, at_most: 21}"]
)
def test_a_rule_may_use_the_whole_range_of_its_measure(rule: str) -> None:
    (asset,) = read(TOP + GEM + f"rules: [{rule}]").assets
    assert len(asset.rules) == 1


def test_no_fault_hides_another_and_all_come_in_the_order_of_the_file() -> None:
    parts = [broken.text + "\n" for broken in BROKEN_ASSETS.values()]
    plan_faults = faults(TOP + "".join(parts))
    starts = [TOP.count("\n") + "".join(parts[:at]).count("\n") for at in range(len(parts))]
    lines = [start + marked_line(part) for start, part in zip(starts, parts, strict=True)]
    expected = [
        f"assets[{at}].{broken.field}".rstrip(".")
        for at, broken in enumerate(BROKEN_ASSETS.values())
    ]
    assert [(fault.field, fault.line) for fault in plan_faults] == list(
        zip(expected, lines, strict=True)
    )


def test_several_faults_of_one_asset_come_together() -> None:
    text = (
        TOP
        + """- name: Gem
  kind: icn
  promt: a {color} gem
  axes: {colour: [red, off], locale: [de]}
  exclude: [{colour: green}, {local: de}]
  candidates: 3
  attempts: 1
  rules: [{check: border}, {check: agreement, at_least: 2}]
"""
    )
    fields = [fault.field.removeprefix("assets[0].") for fault in faults(text)]
    assert fields == [
        "name",
        "sizes",
        "kind",
        "promt",
        "axes.colour[1]",
        "exclude[1].local",
        "attempts",
        "rules[0]",
        "rules[1]",
    ]


def test_the_error_says_all_faults_one_per_line_as_editors_read_them(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text("atelier: 1\nname: CON\nasets: []\n")
    with pytest.raises(PlanError) as caught:
        read_plan(path)
    assert str(caught.value).splitlines() == [
        f"{path}:2: name: is a name that Windows reserves for a device (CON); write con-icon",
        f"{path}:3: asets: is not a known key here ([]); did you mean assets?",
    ]


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (b"x" * (MAX_BYTES + 1), 1, "larger than"),
        (b"atelier: 1\nname: \xff\xfe\n", 2, "not UTF-8"),
        (b"atelier: 1\n\nname: a\x00b\n", 3, "character '\\x00'"),
        (b"[" * 100_000, 1, "deeper"),
        (b"- a\n" * (MAX_VALUES + 1), MAX_VALUES, "more than"),
    ],
)
def test_what_is_no_text_of_a_plan_is_refused(content: bytes, line: int, message: str) -> None:
    (fault,) = faults(content)
    assert fault.line == line
    assert message in fault.message
    assert fault.remedy


def test_aliases_of_aliases_are_counted_as_if_written_out() -> None:
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 12)]
    (fault,) = faults("\n".join(["l0: &l0 [lol]", *levels]))
    assert "more than" in fault.message


def test_an_alias_of_itself_ends() -> None:
    (fault,) = faults("atelier: 1\nassets: &a [*a]\n")
    assert "more than" in fault.message


@pytest.mark.parametrize("name", ["missing.yaml", ""])
def test_a_file_that_cannot_be_read_is_a_fault_too(tmp_path: Path, name: str) -> None:
    with pytest.raises(PlanError) as caught:
        read_plan(tmp_path / name)
    (fault,) = caught.value.faults
    assert fault.file == str(tmp_path / name)
    assert "cannot be read" in fault.message
    assert "give the path of a plan" in fault.remedy


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm() -> None:
    text = TOP + "- {name: gem, kind: icon, prompt: a gem, sizes: 64}\n"
    assert read(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()) == read(text)


def test_a_large_product_is_read_when_it_is_allowed() -> None:
    text = PLANS["product beyond the limit"].text.replace(
        "name: test", "name: t\nmax_assets: 20000"
    )
    assert count(read(text, allow_large=True)) == 101 * 101
    (fault,) = faults(text)
    assert fault.field == "assets[0].axes"


def test_as_many_assets_as_are_declared_are_allowed() -> None:
    broken = PLANS["more than the declared maximum"].text
    assert count(read(broken.replace("max_assets: 5", "max_assets: 6"))) == 6


def test_an_absurd_product_is_refused_at_once_even_when_large_ones_are_allowed() -> None:
    axes = {f"axis{number}": list(range(10)) for number in range(30)}
    asset = {"name": "a", "kind": "icon", "prompt": "a", "sizes": 64, "axes": axes}
    data = {"atelier": 1, "name": "t", "assets": [asset | {"carry": sorted(axes)}] * 2}
    (fault,) = faults(yaml.safe_dump(data), allow_large=True)
    assert fault.field == "max_assets"


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
A_PLAN: dict[str, Any] = {
    "atelier": 1,
    "name": "test",
    "seed": 1,
    "max_assets": 9,
    "tags": {"team": "art", "residency": "local"},
    "defaults": {"kind": "icon", "sizes": ["64x64"], "candidates": 1, "pivot": {"x": 0.5}},
    "bounds": {"width": [1, 64], "axes": {"colour": ["red", "blue"]}},
    "pack": {"padding": 1, "sizes": [64]},
    "assets": [
        {
            "name": "gem",
            "prompt": "a {colour} gem",
            "axes": {"colour": ["red", "blue"]},
            "exclude": [{"colour": "red"}],
            "rules": [{"check": "border", "at_most": 0.5}],
            "text_layers": [{"text": "{colour}"}],
        },
        {"name": "coin", "prompt": "a coin", "carry": []},
    ],
}


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if not isinstance(value, dict | list):
        return [path]
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return [path, *(place for key, item in items for place in places(item, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], by: Any) -> Any:
    if not path:
        return by
    if not isinstance(value, dict | list):
        return value
    items = value.items() if isinstance(value, dict) else enumerate(value)
    pairs = [(k, replaced(v, path[1:], by) if k == path[0] else v) for k, v in items]
    return dict(pairs) if isinstance(value, dict) else [item for _, item in pairs]


BREAK = re.compile("[\n\x85\u2028\u2029]")
"""What YAML 1.1 counts as the end of a line."""


def read_or_explain(text: str) -> None:
    """Whatever the text, there is a plan or there are explained faults."""
    try:
        read(text)
    except PlanError as error:
        for fault in error.faults:
            assert 1 <= fault.line <= len(BREAK.split(text))
            assert fault.field
            assert fault.message
            assert fault.remedy
            assert "is not valid here" not in fault.message
            fault.message.encode()
            fault.value.encode()


def test_the_plan_that_is_mutilated_below_is_sound() -> None:
    assert count(read(yaml.safe_dump(A_PLAN))) == 2


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(places(A_PLAN)[1:]), json), min_size=1, max_size=3))
def test_whatever_stands_in_a_plan_it_is_read_or_explained(
    changes: list[tuple[tuple[Any, ...], Any]],
) -> None:
    data = A_PLAN
    for path, value in changes:
        data = replaced(data, path, value)
    read_or_explain(yaml.safe_dump(data, allow_unicode=True))


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=60) | st.text(alphabet="a:-[]{}&*!|>'\"#%@\\ \n\t1?,", max_size=40))
def test_any_text_is_read_or_explained(text: str) -> None:
    read_or_explain(text.replace("\r", "\n"))


def test_reading_a_plan_loads_nothing_heavy() -> None:
    code = (
        "import sys, app.plan.read, app.plan.expand, app.plan.templates;"
        "print(*{'torch', 'ray', 'mlflow', 'numpy', 'cv2', 'PIL'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == ""
