"""One URL each says where the catalog and the blobs are; nothing else does."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.errors import AtelierError
from app.settings import Settings
from app.store.publish import claim, open_store, publish_images
from app.store.verify import verify
from tests.store.places import KINDS, Places
from tests.store.values import image_of, key_of


@pytest.mark.parametrize("kind", KINDS)
def test_every_catalog_goes_with_every_sort_of_blobs(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    with places.new(kind, tmp_path, migrated=False) as place:
        monkeypatch.setenv("ATELIER_CATALOG_URL", place.catalog_url)
        monkeypatch.setenv("ATELIER_STORE_URL", place.blobs.url)
        settings = Settings()
        store = open_store(settings.blobs, settings.catalog)
        image = image_of(1, b"an icon")
        assert claim(store, [image.key], owner="ann", seconds=60).won == {image.key: 1}
        assert publish_images(store, [(image, b"an icon")], owner="ann") == (image,)
        assert place.open().catalog.images([key_of(1)]) == {image.key: image}
        assert place.blobs.all() == {image.digest: b"an icon"}
        assert verify(store) == []
        store.catalog.close()


def test_relative_places_are_below_where_the_command_was_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATELIER_CATALOG_URL", "sqlite:///deep/catalog.db")
    monkeypatch.setenv("ATELIER_STORE_URL", "deep/blobs")
    settings = Settings()
    monkeypatch.chdir("/")
    store = open_store(settings.blobs, settings.catalog)
    publish_images(store, [(image_of(1, b"an icon"), b"an icon")], owner="ann")
    assert {path.name for path in (tmp_path / "deep").iterdir()} >= {"catalog.db", "blobs"}


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////absolute/catalog.db",
        "postgresql+psycopg://me@host/atelier",
        "postgresql:///atelier?host=/run/postgresql",
    ],
)
def test_absolute_places_are_taken_as_they_are(url: str) -> None:
    assert Settings(catalog_url=url, store_url="s3://bucket/icons").catalog == url
    assert Settings(catalog_url=url, store_url="s3://bucket/icons").blobs == "s3://bucket/icons"


def test_a_password_in_a_url_is_not_shown() -> None:
    settings = Settings(catalog_url="postgresql://me:secret@host/atelier")
    assert "secret" not in f"{settings} {settings!r}"


def open_without(drivers: list[str], blobs_url: str, catalog_url: str) -> None:
    """Open a store where these packages are not installed; the error is the last word."""
    sys.modules.update(dict.fromkeys(drivers, None))  # type: ignore[arg-type]
    try:
        open_store(blobs_url, catalog_url)
    except AtelierError as error:
        advice = {"boto3": "pip install 'atelier[s3]'", "psycopg": "'atelier[postgresql]'"}
        os._exit(10 if advice[drivers[0]] in str(error) else 1)


@pytest.mark.parametrize(
    ("driver", "blobs_url", "catalog_url"),
    [
        ("boto3", "s3://bucket/prefix", "sqlite:///{}/catalog.db"),
        ("psycopg", "file://{}", "postgresql://localhost/atelier"),
    ],
)
def test_a_driver_that_is_not_installed_is_named_with_the_remedy(
    processes: Any, tmp_path: Path, driver: str, blobs_url: str, catalog_url: str
) -> None:
    urls = (blobs_url.format(tmp_path), catalog_url.format(tmp_path))
    process = processes.Process(target=open_without, args=([driver], *urls))
    process.start()
    process.join()
    assert process.exitcode == 10


def test_a_laptop_loads_no_driver_of_a_server(tmp_path: Path) -> None:
    program = (
        "import sys; from app.store.publish import open_store\n"
        f"open_store({(tmp_path / 'blobs').as_uri()!r}, 'sqlite:///{tmp_path}/catalog.db')\n"
        "print(sorted({'boto3', 'botocore', 'psycopg'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout == "[]\n"
