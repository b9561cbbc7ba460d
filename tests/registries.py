"""Registries for tests: MLflow's SQLite file is migrated once, which takes longer than any test."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from app.registry.registry import Registry, open_registry
from app.settings import Settings
from app.types.registered_version import GoldenResult


def settings_in(home: Path) -> Settings:
    """Settings of a home whose registry is there and empty."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "mlflow.db").write_bytes(_migrated_file())
    return Settings(home=home)


def registry_in(home: Path) -> Registry:
    """An empty registry of its own."""
    return open_registry(settings_in(home))


@cache
def _migrated_file() -> bytes:
    with TemporaryDirectory() as folder:
        open_registry(Settings(home=Path(folder)))
        return (Path(folder) / "mlflow.db").read_bytes()


def golden_of(**changes: object) -> GoldenResult:
    """A good result where the test does not care; it must say of which version and weights."""
    fields: dict[str, object] = {
        "golden_set": "5" * 64,
        "images": 48,
        "failed": 0,
        "acceptance": 0.9,
        "agreement": 0.8,
        "seconds_per_image": 0.1,
        "usd_per_image": 0.0,
        "damaged_passes": 0.0,
        "complaints": {"agreement": 3},
        "processor": "a processor",
        "measured_at": "2999-01-01T00:00:00.000Z",
    }
    return GoldenResult.model_validate(fields | changes)
