"""Input of every command: groups of options, dates, and the stores that the settings name."""

import inspect
import re
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

from app.errors import InvalidRequest

if TYPE_CHECKING:
    from app.settings import Settings
    from app.store.catalog import Catalog
    from app.store.store import Store

_DATE = re.compile(r"(\d{4}(-\d\d(-\d\d(T[\d:.]+Z?)?)?)?)?")


def read_settings() -> "Settings":
    """Returns the settings of the environment; help, which needs none, does not load them."""
    from app.settings import Settings

    return Settings()


def open_catalog() -> "Catalog":
    """Opens the catalog of the settings. Raises CatalogError."""
    from app.store.catalog import Catalog

    return Catalog.open(read_settings().catalog)


def open_store() -> "Store":
    """Opens the blobs and the catalog of the settings. Raises StoreError or CatalogError."""
    from app.store.store import open_store

    settings = read_settings()
    return open_store(settings.blobs, settings.catalog)


def parse_since(text: str) -> str:
    """Returns the date, or the beginning of one, unchanged; raises InvalidRequest for others."""
    if not _DATE.fullmatch(text):
        raise InvalidRequest(f"--since {text!r} is not a date; write 2026, 2026-11 or 2026-11-21")
    return text


def option_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Returns a command whose dataclass parameters are replaced by their fields.

    Typer makes an option of each parameter and knows no groups of them; the command itself gets one
    value for each group.
    """
    parameters = inspect.signature(command).parameters
    groups: dict[str, Any] = {
        name: parameter.annotation
        for name, parameter in parameters.items()
        if is_dataclass(parameter.annotation)
    }

    @wraps(command)
    def expanded(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
        command(**given)

    options: dict[str, inspect.Parameter] = {}
    for name, parameter in parameters.items():
        grouped = name in groups
        options |= inspect.signature(groups[name]).parameters if grouped else {name: parameter}
    keywords = [option.replace(kind=option.KEYWORD_ONLY) for option in options.values()]
    expanded.__signature__ = inspect.Signature(keywords)  # type: ignore[attr-defined]
    expanded.__annotations__ = {name: option.annotation for name, option in options.items()}
    return expanded
