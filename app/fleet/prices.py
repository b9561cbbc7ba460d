"""Prices: what a second and a call of a model cost, from a sheet that people write."""

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
    """What one attempt is charged: its seconds by the device that took them, and the call."""

    gpu_second: Usd = 0.0
    cpu_second: Usd = 0.0
    call: Usd = 0.0
    at_most_seconds: Annotated[float, Field(gt=0)] | None = None
    """The longest an attempt can take, a hosted model's timeout say; None: see `longest`."""

    def attempt_usd(self, seconds: float, *, gpu: bool) -> float:
        """USD for an attempt that took so long on a GPU, or else on CPU cores."""
        return self.call + seconds * (self.gpu_second if gpu else self.cpu_second)

    def max_usd(self, seconds: float) -> float:
        """USD for so long on the dearer device, where nobody knows yet which it will be."""
        return self.call + seconds * max(self.gpu_second, self.cpu_second)


class PriceSheet(Price):
    """The price of whatever is not named, and of models and backends by name."""

    models: dict[str, Price] = Field(default_factory=dict)
    """By reference (`name/version`) or by name alone; what is named here is priced by it alone."""
    backends: dict[str, Price] = Field(default_factory=dict)

    def price(self, model: ModelVersion, backend: str) -> Price:
        """The nearest entry: the version's, the model's, the backend's, else the sheet's own."""
        for prices, name in (
            (self.models, model.reference),
            (self.models, model.name),
            (self.backends, backend),
        ):
            if name in prices:
                return prices[name]
        return self


class Budgets(Value):
    """What may be spent at most, whatever plans ask for, and how teams share what there is.

    Days and months are UTC.
    """

    day: Usd | None = None
    """By everybody together in one day."""
    teams: dict[str, Usd] = Field(default_factory=dict)
    """By each team in one calendar month."""
    shares: dict[str, Weight] = Field(default_factory=dict)
    """What each team is given where several wait for one engine or in one run, as weights."""

    def share(self, team: str) -> float:
        """The weight of a team; 1 for whoever is not named."""
        return self.shares.get(team, 1.0)


def price_sheet(settings: Settings) -> PriceSheet:
    """The sheet that `ATELIER_PRICES` names, else this machine's hours at `usd_per_hour`.

    Raises InvalidRequest when the file is not a price sheet.
    """
    if settings.prices is not None:
        return _read(settings.prices, PriceSheet, "a price sheet")
    second = settings.usd_per_hour / 3600
    return PriceSheet(gpu_second=second, cpu_second=second)


def budgets(settings: Settings) -> Budgets:
    """The caps that `ATELIER_BUDGETS` names, else none. Raises InvalidRequest."""
    if settings.budgets is None:
        return Budgets()
    return _read(settings.budgets, Budgets, "a file of budgets")


def on_gpu(engine: EngineSettings | None) -> bool:
    """Whether the engine's seconds were a GPU's."""
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
