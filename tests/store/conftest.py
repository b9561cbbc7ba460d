"""Stores in empty folders."""

from pathlib import Path

import pytest

from app.store.publish import Store
from tests.store.values import store_in


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A fresh store; its blobs lie in `blobs`, its catalog in `catalog.db`."""
    return store_in(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """One store for all tests of a module that leave nothing behind that another could see."""
    return store_in(tmp_path_factory.mktemp("shared"))
