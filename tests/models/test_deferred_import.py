"""A deferred package loads at its first use, and every form of import works as before."""

import subprocess
import sys

import pytest

SETUP = """
import sys
from app.models.deferred_import import defer_imports
defer_imports("email", "no_such_package", "no_such_package.part")
import email
assert "email.message" not in sys.modules, "loaded by an import statement"
assert not {"no_such_package", "no_such_package.part"} & set(sys.modules)
"""
USES = [
    'assert email.message_from_string("a: b")["a"] == "b"',
    'from email import message_from_string as read; assert read("a: b")["a"] == "b"',
    'import email.charset; assert email.charset.Charset("utf-8")',
    'import email.charset; assert email.message_from_string("a: b")["a"] == "b"',
]


@pytest.mark.parametrize("use", USES)
def test_a_deferred_package_loads_at_its_first_use(use: str) -> None:
    subprocess.run([sys.executable, "-c", SETUP + use], check=True)


def test_a_package_that_is_loaded_already_stays_as_it_is() -> None:
    code = "import json, sys; from app.models.deferred_import import defer_imports as defer; "
    code += "defer('json'); assert sys.modules['json'] is json and json.loads('1') == 1"
    subprocess.run([sys.executable, "-c", code], check=True)
