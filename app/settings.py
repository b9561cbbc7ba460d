"""Where things are: addresses from the environment, read at the edges only."""

from pathlib import Path
from typing import Literal

from pydantic import NonNegativeFloat, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Addresses with embedded defaults below `ATELIER_HOME`; nothing is created by reading them."""

    model_config = SettingsConfigDict(
        env_prefix="ATELIER_", extra="ignore", frozen=True, validate_default=True
    )

    home: Path = Path(".atelier")
    store_url: str = ""
    catalog_url: str = ""
    usd_per_hour: NonNegativeFloat = 0.0
    """What an hour of this machine's generation costs; images carry their share of it."""
    engine_mode: Literal["reproducible", "fast"] = "reproducible"
    attention: Literal["native", "xformers"] = "native"
    compiled: bool = False
    """Compile each transformer block: slow to start, worth it on a GPU at volume."""
    cuda_graphs: bool = False

    @field_validator("home", mode="after")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        """Workers may stand in another directory than the person who typed the command."""
        return home.absolute()

    @property
    def blobs(self) -> str:
        """The blob store's URL: a local folder below home unless `ATELIER_STORE_URL` is set."""
        return self.store_url or (self.home / "blobs").as_uri()

    @property
    def catalog(self) -> str:
        """The catalog's SQLAlchemy URL: SQLite below home unless `ATELIER_CATALOG_URL` is set."""
        return self.catalog_url or f"sqlite:///{self.home / 'catalog.db'}"
