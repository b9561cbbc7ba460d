"""Prices of a model's seconds and calls, and budgets, read from YAML files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import Field, ValidationError

from app.errors import InvalidRequest
from app.settings import Settings
from app.types import EngineSettings, ModelVersion, Value

Usd = Annotated[float, Field(ge=0, le=1_000_000)]
Weight = Annotated[float, Field(ge=0.001, le=1000)]
_Sheet = TypeVar("_Sheet", bound=Value)


class Price(Value):
    """The price of an attempt: its seconds on a GPU or CPU, plus a fixed amount per call."""

    gpu_second: Usd = 0.0
    cpu_second: Usd = 0.0
    call: Usd = 0.0
    at_most_seconds: Annotated[float, Field(gt=0)] | None = None
    """The longest an attempt can take, such as a hosted model's timeout; None: it is estimated."""

    def attempt_usd(self, seconds: float, *, gpu: bool) -> float:
        """Returns the USD for an attempt of `seconds` on a GPU, or else on CPU cores."""
        return self.call + seconds * (self.gpu_second if gpu else self.cpu_second)

    def max_usd(self, seconds: float) -> float:
        """Returns an upper bound in USD for `seconds` of work when the device is not known yet."""
        return self.call + seconds * max(self.gpu_second, self.cpu_second)


class PriceSheet(Price):
    """Default prices, and prices of models and backends by name."""

    models: dict[str, Price] = Field(default_factory=dict)
    """By reference (`name/version`) or by name; an entry replaces the defaults as a whole."""
    backends: dict[str, Price] = Field(default_factory=dict)

    def price(self, model: ModelVersion, backend: str) -> Price:
        """Returns the most specific entry: for the version, the model, the backend, or all."""
        for prices, name in (
            (self.models, model.reference),
            (self.models, model.name),
            (self.backends, backend),
        ):
            if name in prices:
                return prices[name]
        return self


class Budgets(Value):
    """Spending limits above all plans, and the teams' shares of shared capacity.

    Days and months are UTC.
    """

    day: Usd | None = None
    """USD for all users together in one day."""
    teams: dict[str, Usd] = Field(default_factory=dict)
    """USD for each team in one calendar month."""
    shares: dict[str, Weight] = Field(default_factory=dict)
    """Weights by which teams share one engine or one run when several wait."""

    def share(self, team: str) -> float:
        """Returns the weight of a team; 1 for a team that is not named."""
        return self.shares.get(team, 1.0)


def price_sheet(settings: Settings) -> PriceSheet:
    """Returns the sheet in `ATELIER_PRICES`, else one that charges `usd_per_hour` per device hour.

    Raises InvalidRequest when the file is not a price sheet.
    """
    if settings.prices is not None:
        return _read(settings.prices, PriceSheet, "a price sheet")
    second = settings.usd_per_hour / 3600
    return PriceSheet(gpu_second=second, cpu_second=second)


def budgets(settings: Settings) -> Budgets:
    """Returns the budgets in `ATELIER_BUDGETS`, or no limits. Raises InvalidRequest."""
    if settings.budgets is None:
        return Budgets()
    return _read(settings.budgets, Budgets, "a file of budgets")


def on_gpu(engine: EngineSettings | None) -> bool:
    """Returns whether the engine ran on a GPU."""
    return engine is not None and not engine.device.startswith("cpu")


def _read(path: Path, kind: type[_Sheet], what: str) -> _Sheet:
    try:
        written: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        reason = str(exc).splitlines()[0]
        raise InvalidRequest(f"{path} cannot be read as {what}: {reason}") from exc
    known = ", ".join(kind.model_fields)
    if not isinstance(written, Mapping):
        raise InvalidRequest(f"{path} is not {what}; write keys with values: {known}")
    try:
        return kind.model_validate(written)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise InvalidRequest(
            f"{path}: {place} is {first['input']!r}: {first['msg']}; {what} knows {known}"
        ) from exc
