"""A provider for each test that asks for one."""

from collections.abc import Iterator

import pytest

from tests.backends.provider import Provider, provider


@pytest.fixture
def hosting() -> Iterator[Provider]:
    """It behaves well until it is told otherwise."""
    with provider() as opened:
        yield opened
