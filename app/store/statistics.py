"""Statistics: current sums of the ledger and the catalog by run and model, cheap to repeat.

The sums are exact and equal those of `costs`. The first read covers everything, later ones only
what was added; the number of queries does not depend on the number of rows.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, func, literal_column, select

from app.store import database, mapping, tables
from app.store.catalog import Catalog
from app.store.ledger import NANO, AttemptEnding
from app.store.running_sums import Group, Numbers, RunningSums, count_rows
from app.types import Status, Value, Verdict

OPEN_RUNS = 20
"""The newest runs without an end that are read; killed runs have no end either."""
LATEST = 1000
"""The latest attempts, and decided assets, that show a model's recent outcomes."""
FAILURE_ENDINGS = (AttemptEnding.FAILED, AttemptEnding.LOST)
"""Endings of attempts without an image."""


class AttemptCounts(Value):
    """Attempts with one ending, of one run (or of all), model and team."""

    run_id: str
    model: str
    team: str
    ending: str
    attempts: int
    again: int
    """Those that were not the first at their image."""
    seconds: float
    nano_usd: int
    latest: str
    """When the newest of them was booked."""


class DecisionCounts(Value):
    """Assets of one run (or of all) and model with one status."""

    run_id: str
    model: str
    status: Status
    assets: int


class RuleHits(Value):
    """How often decided assets of one run (or of all) and model broke one rule."""

    run_id: str
    model: str
    measure: str
    verdict: str
    times: int


class OpenRun(Value):
    """A run whose end was not recorded."""

    run_id: str
    plan: str
    started_at: str


class ActiveAttempts(Value):
    """Attempts with an active lease."""

    run_id: str
    model: str
    attempts: int


class BudgetSpending(Value):
    """What was spent in a budget's scope: of a day, or of a team in a month."""

    scope: str
    name: str
    nano_usd: int


class RecentOutcomes(Value):
    """A model's latest attempts and decided assets, the oldest first."""

    model: str
    failures: tuple[bool, ...]
    """For each attempt, whether it made no image."""
    seconds: tuple[float, ...]
    """For each attempt that made an image."""
    acceptances: tuple[bool, ...]
    """For each decided asset, whether it was accepted; failed assets are not decided."""


class Statistics(Value):
    """One consistent snapshot."""

    at: float
    """Seconds since 1970 on the catalog's clock."""
    tried: tuple[AttemptCounts, ...]
    decided: tuple[DecisionCounts, ...]
    spoke: tuple[RuleHits, ...]
    runs: tuple[OpenRun, ...]
    under_way: tuple[ActiveAttempts, ...]
    purses: tuple[BudgetSpending, ...]
    lately: tuple[RecentOutcomes, ...]


class StatisticsReader:
    """Reads one catalog repeatedly, from one thread.

    With `by_run` only runs without an end, and runs that begin later, are included, by run;
    otherwise everything, all runs together.
    """

    def __init__(self, catalog: Catalog, *, by_run: bool = False) -> None:
        self._catalog, self._by_run = catalog, by_run
        ledger, assets, findings = tables.ledger.c, tables.assets.c, tables.findings.c
        run, decider = ([ledger.run_id], [assets.run_id]) if by_run else ([], [])
        self._tried = RunningSums(
            tables.ledger, [*run, ledger.model, ledger.team, ledger.ending], _ATTEMPT_COLUMNS
        )
        self._decided = RunningSums(
            tables.assets, [*decider, assets.model, assets.status], [func.count()],
            query=select(*decider, assets.model, assets.status, func.count()).where(_IS_FINAL),
        )  # fmt: skip
        spoke = [*decider, assets.model, findings.measure, findings.verdict]
        self._spoke = RunningSums(
            tables.assets, spoke, [func.count()],
            query=select(*spoke, func.count())
            .join_from(tables.assets, tables.findings, findings.asset_key == assets.key)
            .where(_IS_FINAL, findings.verdict != Verdict.ACCEPT.value),
        )  # fmt: skip
        self._elsewhere: int | None = None

    def read(self) -> Statistics:
        """Returns the current statistics. Raises CatalogError when the database fails."""
        return self._catalog.read(self._read)

    def _read(self, connection: Connection) -> Statistics:
        now = database.clock(connection)
        runs = _open_runs(connection)
        begun = [run.run_id for run in runs]
        ours = tables.assets.c.run_id.in_(begun) if self._by_run else None
        decided = self._decided.read(connection, now, first=ours)
        return Statistics(
            at=now,
            tried=self._all_tried(connection, now, begun),
            decided=(
                *(self._fate(*pair) for pair in decided.items()),
                *self._failed(connection, begun),
            ),
            spoke=tuple(
                RuleHits(run_id=run_id, model=model, measure=measure, verdict=verdict, times=times)
                for (run_id, model, measure, verdict), (times,) in self._named(
                    self._spoke.read(connection, now, first=ours)
                )
            ),
            runs=runs,
            under_way=_under_way(connection, now),
            purses=_budget_spending(connection, mapping.timestamp(now)),
            lately=_recent_outcomes(connection),
        )

    def _all_tried(
        self, connection: Connection, now: float, begun: Sequence[str]
    ) -> tuple[AttemptCounts, ...]:
        """Returns the attempts, rereading all when a booked row was deleted.

        A lost attempt that turns out to have ended is booked again, and its `lost` row is deleted.
        """
        ours = tables.ledger.c.run_id.in_(begun) if self._by_run else None
        standing = count_rows(connection, tables.ledger)
        sums = self._tried.read(connection, now, first=ours)
        elsewhere = standing - sum(numbers[0] for numbers in sums.values())
        if self._elsewhere not in (None, elsewhere):
            self._tried.reset()
            sums = self._tried.read(connection, now, first=ours)
            elsewhere = standing - sum(numbers[0] for numbers in sums.values())
        self._elsewhere = elsewhere
        return tuple(
            AttemptCounts(
                run_id=run_id, model=model, team=team, ending=ending, attempts=attempts,
                again=again, seconds=seconds, nano_usd=int(nano_usd), latest=latest,
            )
            for (run_id, model, team, ending), (attempts, again, seconds, nano_usd, latest)
            in self._named(sums)
        )  # fmt: skip

    def _named(self, sums: Mapping[Group, Numbers]) -> list[tuple[Group, Numbers]]:
        """Returns the sums with a run's id before each group, empty when runs are combined."""
        return [(group if self._by_run else ("", *group), sums[group]) for group in sorted(sums)]

    def _fate(self, group: Group, numbers: Numbers) -> DecisionCounts:
        run_id, model, status = group if self._by_run else ("", *group)
        return DecisionCounts(run_id=run_id, model=model, status=Status(status), assets=numbers[0])

    def _failed(self, connection: Connection, begun: Sequence[str]) -> list[DecisionCounts]:
        """Returns the failed assets, counted again each time: a later run may replace them.

        The index on the status finds them. Plain run and model columns in the grouping would make a
        database scan all assets by the index on those instead.
        """
        assets = tables.assets.c
        named = [assets.run_id, assets.model] if self._by_run else [assets.model]
        groups = [func.coalesce(column, literal_column("''")) for column in named]
        query = select(*groups, func.count()).where(assets.status == Status.FAILED.value)
        return [
            self._fate((*row[:-1], Status.FAILED.value), row[-1:])
            for row in connection.execute(query.group_by(*groups).order_by(*groups))
            if not self._by_run or row[0] in begun
        ]


_LEDGER = tables.ledger.c
_ATTEMPT_COLUMNS: tuple[ColumnElement[Any], ...] = (
    func.count(),
    func.sum(case((_LEDGER.attempt > 1, 1), else_=0)),
    func.sum(_LEDGER.seconds),
    func.sum(_LEDGER.nano_usd),
    func.max(_LEDGER.created_at),
)
# Not IN: a database would then use the index on the status, through all rows.
_ACCEPTED_AUTOMATICALLY = '},"verdict":"accept"}'
"""This text occurs in an asset's canonical JSON only at the end of an accepting report.

Findings and free texts never contain it.
"""
_IS_FINAL = tables.assets.c.status != Status.FAILED.value


def _open_runs(connection: Connection) -> tuple[OpenRun, ...]:
    column = tables.runs.c
    query = select(column.run_id, column.plan, column.started_at).where(column.ended_at.is_(None))
    rows = connection.execute(query.order_by(column.sequence.desc()).limit(OPEN_RUNS))
    return tuple(OpenRun(run_id=run_id, plan=plan, started_at=at) for run_id, plan, at in rows)


def _under_way(connection: Connection, now: float) -> tuple[ActiveAttempts, ...]:
    lease = tables.leases.c
    groups = (lease.owner, lease.model)
    query = select(*groups, func.count()).where(lease.expires_at > now).group_by(*groups)
    return tuple(
        ActiveAttempts(run_id=owner, model=model or "", attempts=attempts)
        for owner, model, attempts in connection.execute(query.order_by(*groups))
    )


def _budget_spending(connection: Connection, moment: str) -> tuple[BudgetSpending, ...]:
    """Returns today's spending, and each team's of this month."""
    column = tables.spending.c
    today = (column.scope == "day") & (column.name == moment[:10])
    month = (column.scope == "team") & column.name.like(f"% {moment[:7]}")
    query = select(column.scope, column.name, column.nano_usd).where(today | month)
    return tuple(
        BudgetSpending(scope=scope, name=name.rpartition(" ")[0] or name, nano_usd=int(nano))
        for scope, name, nano in connection.execute(query.order_by(column.scope, column.name))
    )


def _recent_outcomes(connection: Connection) -> tuple[RecentOutcomes, ...]:
    """Returns recent outcomes from the ends of the primary keys; two queries for all models."""
    ledger, assets = tables.ledger.c, tables.assets.c
    attempts = select(ledger.model, ledger.ending, ledger.seconds)
    # Older assets count as before people reviewed them; otherwise the newest, which nobody has
    # reviewed yet, would look worse.
    passed = case(
        (assets.human_score.is_(None), assets.status == Status.ACCEPTED.value),
        else_=assets.value.contains(_ACCEPTED_AUTOMATICALLY, autoescape=True),
    )
    fates = select(assets.model, passed.label("passed")).where(_IS_FINAL)
    ended = connection.execute(attempts.order_by(ledger.sequence.desc()).limit(LATEST)).all()[::-1]
    judged = connection.execute(fates.order_by(assets.sequence.desc()).limit(LATEST)).all()[::-1]
    models = sorted({row.model for row in (*ended, *judged)})
    return tuple(
        RecentOutcomes(
            model=model,
            failures=tuple(row.ending in FAILURE_ENDINGS for row in ended if row.model == model),
            seconds=tuple(
                row.seconds
                for row in ended
                if row.model == model and row.ending not in FAILURE_ENDINGS
            ),
            acceptances=tuple(bool(row.passed) for row in judged if row.model == model),
        )
        for model in models
    )


def usd(nano_usd: int) -> float:
    """Returns billionths of a dollar in USD."""
    return nano_usd / NANO


def run_tally(catalog: Catalog, run_id: str) -> dict[Status, int]:
    """Returns the counts of a run's statuses. Raises CatalogError when the database fails."""
    column = tables.assets.c
    query = select(column.status, func.count()).where(column.run_id == run_id)
    rows = catalog.read(lambda connection: connection.execute(query.group_by(column.status)).all())
    return {Status(status): int(count) for status, count in rows}
