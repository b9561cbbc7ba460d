"""Where things are: addresses from the environment, read at the edges only."""

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Addresses with embedded defaults below `ATELIER_HOME`; nothing is created by reading them."""

    model_config = SettingsConfigDict(env_prefix="ATELIER_", extra="ignore")

    home: Path = Path(".atelier")
    store_url: str = ""
    catalog_url: str = ""

    @property
    def blobs(self) -> str:
        """The blob store's URL: a local folder below home unless `ATELIER_STORE_URL` is set."""
        return self.store_url or (self.home.absolute() / "blobs").as_uri()

    @property
    def catalog(self) -> str:
        """The catalog's SQLAlchemy URL: SQLite below home unless `ATELIER_CATALOG_URL` is set."""
        return self.catalog_url or f"sqlite:///{self.home.absolute() / 'catalog.db'}"
