"""Costs: sums of the ledger by team, run, model or asset."""

from typing import Any

from pydantic import computed_field
from sqlalchemy import ColumnElement, Connection, Row, Select, case, distinct, func, literal, select

from app.store import tables
from app.store.ledger import NANO, AttemptEnding
from app.types import CostGroup, Status, Value

RECENT = 200


class Cost(Value):
    """What some attempts cost, and their outcomes; money in billionths of a dollar sums exactly."""

    name: str
    """Empty for attempts of no team, or for no known asset."""
    attempts: int
    made: int
    failed: int
    lost: int
    """Attempts whose end was never reported; their cost is unknown and counts as zero."""
    seconds: float
    nano_usd: int
    assets: int
    """Assets that these attempts were for, as far as the ledger knows."""
    accepted: int
    """Those assets that are accepted, in whatever run that was decided."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def usd(self) -> float:
        """Returns the money in USD."""
        return self.nano_usd / NANO

    @computed_field  # type: ignore[prop-decorator]
    @property
    def usd_per_asset(self) -> float | None:
        """Returns all the money divided by all the assets; None without any."""
        return self.usd / self.assets if self.assets else None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def usd_per_accepted(self) -> float | None:
        """Returns all the money, failures included, divided by the accepted assets, or None."""
        return self.usd / self.accepted if self.accepted else None


class Costs(Value):
    """Every group, the most expensive first, and the total."""

    by: CostGroup
    since: str
    total: Cost
    groups: tuple[Cost, ...]


class RunSpending(Value):
    """The images that one run committed, and what all its attempts cost."""

    images: int
    seconds: float
    cost_usd: float


class AttemptTime(Value):
    """One attempt of a model that made an image: its duration and its device."""

    seconds: float
    gpu: bool


def costs(connection: Connection, by: CostGroup, since: str) -> Costs:
    """Returns the costs of all attempts booked at `since` (ISO 8601, or a prefix) or later."""
    ledger = tables.ledger.c
    columns = (ledger.team, ledger.run_id, ledger.model, ledger.asset)
    column = dict(zip(CostGroup, columns, strict=True))[by]
    grouped = _query(column, since).group_by(column).order_by(_NANO.desc(), column)
    groups = tuple(_cost(row) for row in connection.execute(grouped))
    total = _cost(connection.execute(_query(literal("total"), since)).one())
    return Costs(by=by, since=since, total=total, groups=groups)


def run_spending(connection: Connection, run_id: str) -> RunSpending:
    """Returns what one run's attempts cost in total, including those of dead workers."""
    ledger = tables.ledger.c
    query = select(_ended(AttemptEnding.MADE), func.coalesce(func.sum(ledger.seconds), 0.0), _NANO)
    made, seconds, nano_usd = connection.execute(query.where(ledger.run_id == run_id)).one()
    return RunSpending(images=int(made), seconds=round(seconds, 6), cost_usd=int(nano_usd) / NANO)


def spent_usd(connection: Connection, scope: str, name: str) -> float:
    """Returns the USD that one budget's scope has spent; see `ledger.scopes` for their names."""
    spending = tables.spending.c
    query = select(spending.nano_usd).where(spending.scope == scope, spending.name == name)
    return int(connection.execute(query).scalar() or 0) / NANO


def attempt_times(
    connection: Connection, model: str, *, since: str = "", limit: int = RECENT
) -> list[AttemptTime]:
    """Returns the model's latest attempts that made an image, since a moment (ISO 8601)."""
    ledger = tables.ledger.c
    query = select(ledger.seconds, ledger.device)
    query = query.where(ledger.model == model, ledger.created_at >= since)
    query = query.where(ledger.ending.in_([AttemptEnding.MADE, AttemptEnding.SECOND]))
    latest = connection.execute(query.order_by(ledger.sequence.desc()).limit(limit))
    return [AttemptTime(seconds=row.seconds, gpu=row.device == "gpu") for row in latest]


def booked_usd_nano(connection: Connection, model: str, *, since: str = "") -> dict[str, int]:
    """Returns what was booked for each key of a model, in billionths of a dollar."""
    ledger = tables.ledger.c
    query = select(ledger.key, func.sum(ledger.nano_usd))
    query = query.where(ledger.model == model, ledger.created_at >= since).group_by(ledger.key)
    return {key: int(nano) for key, nano in connection.execute(query)}


_NANO = func.coalesce(func.sum(tables.ledger.c.nano_usd), 0)


def _ended(*endings: AttemptEnding) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((tables.ledger.c.ending.in_(endings), 1), else_=0)), 0)


def _query(name: ColumnElement[str], since: str) -> Select[Any]:
    ledger, assets = tables.ledger.c, tables.assets.c
    accepted = select(assets.name).where(assets.status == Status.ACCEPTED.value)
    is_accepted = case((ledger.asset.in_(accepted), ledger.asset))
    query = select(
        name.label("name"),
        func.count().label("attempts"),
        _ended(AttemptEnding.MADE, AttemptEnding.SECOND).label("made"),
        _ended(AttemptEnding.FAILED).label("failed"),
        _ended(AttemptEnding.LOST).label("lost"),
        func.coalesce(func.sum(ledger.seconds), 0.0).label("seconds"),
        _NANO.label("nano_usd"),
        func.count(distinct(ledger.asset)).label("assets"),
        func.count(distinct(is_accepted)).label("accepted"),
    )
    return query.select_from(tables.ledger).where(ledger.created_at >= since)


def _cost(row: Row[Any]) -> Cost:
    return Cost(
        name=row.name or "",
        attempts=row.attempts,
        made=row.made,
        failed=row.failed,
        lost=row.lost,
        seconds=round(row.seconds, 6),
        nano_usd=int(row.nano_usd),
        assets=row.assets,
        accepted=row.accepted,
    )
