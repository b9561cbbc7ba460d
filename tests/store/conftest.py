"""Stores in empty places, of each kind a test asks for."""

import multiprocessing
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from app.store.store import Store
from tests.store import servers
from tests.store.places import BOTH, Place, Places


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server for all tests; each makes a database of its own."""
    with servers.postgresql() as address:
        yield address


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """An S3 server for all tests; each makes a bucket of its own."""
    with servers.s3() as address:
        yield address


@pytest.fixture(scope="session")
def places(request: pytest.FixtureRequest) -> Places:
    """Where stores of every kind can be kept."""
    return Places(request)


@pytest.fixture(params=BOTH)
def place(request: pytest.FixtureRequest, places: Places, tmp_path: Path) -> Iterator[Place]:
    """A fresh place; a test that names kinds runs once for each of them."""
    with places.new(request.param, tmp_path) as place:
        yield place


@pytest.fixture
def store(place: Place) -> Store:
    """A fresh store."""
    return place.open()


@pytest.fixture(scope="module", params=BOTH)
def shared(
    request: pytest.FixtureRequest, places: Places, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    """One store for all tests of a module that leave nothing behind that another could see."""
    with places.new(request.param, tmp_path_factory.mktemp("shared")) as place:
        yield place.open()


@pytest.fixture(scope="session")
def processes(s3_server: str) -> ForkServerContext:
    """Processes that need not import everything anew, and share no thread with ours."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.store.preload"])
    return context
