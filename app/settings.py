"""Addresses and options from the environment, read only at the entry points."""

import getpass
import os
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    field_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict


def _login() -> str:
    """Returns the account's name, or its number where a container has no name for it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


class Settings(BaseSettings):
    """Settings from `ATELIER_...`; data lives below `ATELIER_HOME` by default. Creates no files."""

    model_config = SettingsConfigDict(
        env_prefix="ATELIER_",
        extra="ignore",
        frozen=True,
        validate_default=True,
        populate_by_name=True,
    )

    home: Path = Path(".atelier")
    store_url: str = Field("", repr=False)
    catalog_url: str = Field("", repr=False)
    tracking_uri: str = Field("", validation_alias="MLFLOW_TRACKING_URI", repr=False)
    """URLs may hold a password, so they are left out of the repr."""
    fonts: Path | None = None
    """A folder of `.otf` and `.ttf` files that text layers may name besides the bundled fonts."""
    usd_per_hour: NonNegativeFloat = 0.0
    """USD per hour of generation on this machine, used where no price sheet is set."""
    prices: Path | None = None
    """A price sheet: see `app/fleet/prices.py`."""
    budgets: Path | None = None
    """A file of daily and team budgets: see `app/fleet/prices.py`."""
    user: str = Field(default_factory=_login)
    """The user's name, recorded in the ledger with every attempt."""
    cluster_gpus: NonNegativeInt = 0
    """GPUs that the cluster's pools may scale up to, if more than now; Ray does not report this."""
    stuck_seconds: PositiveFloat = 900.0
    """A worker that yields no image for this long ends itself; its requests are started again."""
    hosted_keys: SecretStr = SecretStr("")
    """Keys of hosted models by host, separated by spaces: `api.openai.com=sk-...`."""
    hosted_timeout_seconds: PositiveFloat = 60.0
    """The deadline of one call to a hosted model."""
    hosted_at_once: PositiveInt = 4
    """The most calls that one worker runs at the same time against a hosted model."""
    service: str = ""
    """URL of a running service that renders a run's images: `http://127.0.0.1:8000`.

    Empty: the run's workers load the models themselves.
    """
    key: SecretStr = SecretStr("")
    """The API key for that service."""
    warm_gib: NonNegativeFloat = 4.0
    """GiB of weights that a worker keeps loaded: the current model and the ones used before."""
    engine_mode: Literal["reproducible", "exact", "fast"] = "reproducible"
    attention: Literal["native", "xformers"] = "native"
    compiled: bool = False
    """Compile each transformer block: slow to start, worth it on a GPU at volume."""
    cuda_graphs: bool = False

    @field_validator("home", "fonts", "prices", "budgets", mode="after")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        """Returns absolute paths: workers may run in another directory than the command."""
        return path and path.absolute()

    @field_validator("store_url", mode="after")
    @classmethod
    def _absolute_folder(cls, url: str) -> str:
        """Accepts a plain folder in place of a `file://` URL."""
        return Path(url).absolute().as_uri() if url and not urlsplit(url).scheme else url

    @field_validator("catalog_url", mode="after")
    @classmethod
    def _absolute_file(cls, url: str) -> str:
        """Returns an absolute SQLite URL: SQLAlchemy reads `sqlite:///file` as a relative path."""
        scheme, separator, path = url.partition(":///")
        if not path or not scheme.startswith("sqlite") or path == ":memory:":
            return url
        return f"{scheme}{separator}{Path(path).absolute()}"

    @property
    def service_key(self) -> SecretStr | None:
        """Returns the service's key, or None when none is set."""
        return self.key if self.key.get_secret_value() else None

    def hosted_key(self, host: str) -> SecretStr | None:
        """Returns the key for exactly this host, so that no other URL can receive it; else None."""
        pairs = (pair.partition("=") for pair in self.hosted_keys.get_secret_value().split())
        keys = {name: key for name, _, key in pairs}
        return SecretStr(keys[host]) if host in keys else None

    @property
    def blobs(self) -> str:
        """Returns the blob store's URL, `file://` or `s3://`; by default a folder below home."""
        return self.store_url or (self.home / "blobs").as_uri()

    @property
    def catalog(self) -> str:
        """Returns the catalog's URL, `sqlite:///` or `postgresql://`; by default below home."""
        return self.catalog_url or f"sqlite:///{self.home / 'catalog.db'}"

    @property
    def registry(self) -> str:
        """Returns the model registry's URI: an MLflow server's, else a SQLite file below home."""
        return self.tracking_uri or f"sqlite:///{self.home / 'mlflow.db'}"
