"""Where things are: addresses from the environment, read at the edges only."""

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
    """The account's name; its number where a container has no name for it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


class Settings(BaseSettings):
    """Addresses with embedded defaults below `ATELIER_HOME`; nothing is created by reading them."""

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
    """URLs may hold a password, so they are not shown."""
    fonts: Path | None = None
    """A folder of `.otf` and `.ttf` files that texts may name besides the bundled fonts."""
    usd_per_hour: NonNegativeFloat = 0.0
    """What an hour of this machine's generation costs, where no price sheet says it closer."""
    prices: Path | None = None
    """A price sheet: see `app/fleet/prices.py`."""
    budgets: Path | None = None
    """A file of budgets for days and teams."""
    user: str = Field(default_factory=_login)
    """Who is asking: it stands in the ledger beside every attempt."""
    cluster_gpus: NonNegativeInt = 0
    """GPUs that the cluster's pools may grow to, where there are fewer now; Ray does not tell."""
    stuck_seconds: PositiveFloat = 900.0
    """A worker from which no image came for so long ends itself; its requests are begun anew."""
    hosted_keys: SecretStr = SecretStr("")
    """Keys of hosted models by their host, divided by spaces: `api.openai.com=sk-...`."""
    hosted_timeout_seconds: PositiveFloat = 60.0
    """When a call to a hosted model ends, whatever became of it."""
    hosted_at_once: PositiveInt = 4
    """Calls that one worker has under way to a hosted model at most."""
    service: str = ""
    """A running service whose engines make a run's images, in place of models of the run's own:
    `http://127.0.0.1:8000`. Empty: none."""
    key: SecretStr = SecretStr("")
    """The key that the service wants."""
    warm_gib: NonNegativeFloat = 4.0
    """Weights that a worker of a run keeps loaded: the model at work and those it met before."""
    engine_mode: Literal["reproducible", "exact", "fast"] = "reproducible"
    attention: Literal["native", "xformers"] = "native"
    compiled: bool = False
    """Compile each transformer block: slow to start, worth it on a GPU at volume."""
    cuda_graphs: bool = False

    @field_validator("home", "fonts", "prices", "budgets", mode="after")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        """Workers may stand in another directory than the person who typed the command."""
        return path and path.absolute()

    @field_validator("store_url", mode="after")
    @classmethod
    def _absolute_folder(cls, url: str) -> str:
        """A plain folder is as good as its URL."""
        return Path(url).absolute().as_uri() if url and not urlsplit(url).scheme else url

    @field_validator("catalog_url", mode="after")
    @classmethod
    def _absolute_file(cls, url: str) -> str:
        """SQLAlchemy takes `sqlite:///file` to be relative: three slashes, not four."""
        scheme, separator, path = url.partition(":///")
        if not path or not scheme.startswith("sqlite") or path == ":memory:":
            return url
        return f"{scheme}{separator}{Path(path).absolute()}"

    @property
    def service_key(self) -> SecretStr | None:
        """The service's key; None where none is set."""
        return self.key if self.key.get_secret_value() else None

    def hosted_key(self, host: str) -> SecretStr | None:
        """The key for this host and no other, so that no URL can be made to receive another's."""
        pairs = (pair.partition("=") for pair in self.hosted_keys.get_secret_value().split())
        keys = {name: key for name, _, key in pairs}
        return SecretStr(keys[host]) if host in keys else None

    @property
    def blobs(self) -> str:
        """The blobs' URL: `file://` or `s3://`; a folder below home unless set."""
        return self.store_url or (self.home / "blobs").as_uri()

    @property
    def catalog(self) -> str:
        """The catalog's URL: `sqlite:///` or `postgresql://`; a file below home unless set."""
        return self.catalog_url or f"sqlite:///{self.home / 'catalog.db'}"

    @property
    def registry(self) -> str:
        """The model registry's URI: an MLflow server's, else a SQLite file below home."""
        return self.tracking_uri or f"sqlite:///{self.home / 'mlflow.db'}"
