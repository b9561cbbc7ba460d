"""One URL each says where the catalog and the blobs are; nothing else does."""

import subprocess
import sys
from pathlib import Path

import pytest

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


def python(program: str) -> str:
    """What a new interpreter prints."""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    return run.stdout + run.stderr


@pytest.mark.parametrize(
    ("driver", "blobs_url", "catalog_url", "remedy"),
    [
        ("boto3", "s3://bucket/prefix", "sqlite:///{}/c.db", "pip install 'atelier[s3]'"),
        ("psycopg", "{}", "postgresql://localhost/atelier", "'atelier[postgresql]'"),
    ],
)
def test_a_driver_that_is_not_installed_is_named_with_the_remedy(
    tmp_path: Path, driver: str, blobs_url: str, catalog_url: str, remedy: str
) -> None:
    output = python(
        f"import sys; sys.modules[{driver!r}] = None\n"
        "from app.store.publish import open_store\n"
        f"open_store({blobs_url.format(tmp_path)!r}, {catalog_url.format(tmp_path)!r})"
    )
    assert remedy in output


def test_a_laptop_loads_no_driver_of_a_server(tmp_path: Path) -> None:
    output = python(
        "import sys; from app.store.publish import open_store\n"
        f"open_store({(tmp_path / 'blobs').as_uri()!r}, 'sqlite:///{tmp_path}/catalog.db')\n"
        "print(sorted({'boto3', 'botocore', 'psycopg'} & set(sys.modules)))"
    )
    assert output == "[]\n"
