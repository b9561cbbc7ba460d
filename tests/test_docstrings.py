"""Public docstrings begin with a verb and say what the caller gets.

A command's docstring is its help and begins with an imperative; all others use the third person.
`verbs.txt` grows by review: add a verb when the one you need is missing, and nothing but verbs.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("app", "deployments", "jobs")
VERBS = frozenset((Path(__file__).parent / "verbs.txt").read_text().split())


def first_words(source: str) -> Iterator[tuple[int, str]]:
    """The line and the first word of each public function's docstring."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        text = ast.get_docstring(node)
        if text and not node.name.startswith("_"):
            yield node.lineno, text.split()[0].rstrip(".,:;")


@pytest.mark.parametrize("package", PACKAGES)
def test_public_docstrings_begin_with_a_verb(package: str) -> None:
    odd = [
        f"{path.relative_to(ROOT)}:{line}: {word}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for line, word in first_words(path.read_text())
        if word not in VERBS
    ]
    assert odd == []


def test_other_words_are_noticed() -> None:
    source = 'def f() -> int:\n    """What it is."""\n\n\ndef _g() -> int:\n    """Anything."""\n'
    assert list(first_words(source)) == [(1, "What")]
    assert "What" not in VERBS
