"""Run statistics: what runs took, when their assets were done, and why some were not accepted."""

import json
from collections.abc import Iterator, Sequence
from math import ceil

from sqlalchemy import Connection, case, func, literal_column, select

from app.store import tables
from app.store.catalog import Catalog
from app.store.statistics import FAILURE_ENDINGS, usd
from app.types import AssetRecord, Retry, Status, Value, Verdict


class RunAttempts(Value):
    """A run's attempts, by the ledger."""

    attempts: int = 0
    made: int = 0
    """Those that made an image."""
    seconds: float = 0.0
    usd: float = 0.0


class DeliveryMoments(Value):
    """When a run's assets were committed; None where it decided none."""

    assets: int
    half_at: str | None
    most_at: str | None
    """95 in 100."""
    last_at: str | None


class RefusalCount(Value):
    """How often decided assets of one model broke a rule in one day (UTC)."""

    day: str
    model: str
    measure: str
    verdict: str
    times: int
    assets: int
    """All decided assets of the model that day."""


def run_attempts(connection: Connection, run_ids: Sequence[str]) -> dict[str, RunAttempts]:
    """Returns the attempts by run; runs without an attempt are left out."""
    ledger = tables.ledger.c
    made = func.sum(case((ledger.ending.in_(FAILURE_ENDINGS), 0), else_=1))
    query = select(
        ledger.run_id, func.count(), made, func.sum(ledger.seconds), func.sum(ledger.nano_usd)
    )
    query = query.where(ledger.run_id.in_(run_ids)).group_by(ledger.run_id)
    return {
        run_id: RunAttempts(attempts=attempts, made=images, seconds=seconds, usd=usd(int(nano_usd)))
        for run_id, attempts, images, seconds, nano_usd in connection.execute(query)
    }


def delivery_moments(connection: Connection, run_id: str) -> DeliveryMoments:
    """Returns when shares of the run's assets were committed."""
    assets = tables.assets.c
    mine = assets.run_id == run_id
    count = int(connection.execute(select(func.count()).where(mine)).scalar_one())
    in_order = select(assets.created_at).where(mine).order_by(assets.created_at)

    def at(share: float) -> str | None:
        place = max(0, ceil(share * count) - 1)
        moment = connection.execute(in_order.offset(place).limit(1)).scalar()
        return None if moment is None else str(moment)

    return DeliveryMoments(assets=count, half_at=at(0.5), most_at=at(0.95), last_at=at(1.0))


def refusal_counts(connection: Connection, run_ids: Sequence[str]) -> list[RefusalCount]:
    """Returns broken rules by day, model and rule; newest day first, then most frequent first."""
    assets, findings = tables.assets.c, tables.findings.c
    # Literals: PostgreSQL treats two bound values as two different expressions.
    day = func.substr(assets.created_at, literal_column("1"), literal_column("10"))
    ours = assets.run_id.in_(run_ids), assets.status != Status.FAILED.value
    decided = select(day, assets.model, func.count()).where(*ours).group_by(day, assets.model)
    all_of = {(on, model): number for on, model, number in connection.execute(decided)}
    groups = (day, assets.model, findings.measure, findings.verdict)
    spoke = (
        select(*groups, func.count())
        .join_from(tables.assets, tables.findings, findings.asset_key == assets.key)
        .where(*ours, findings.verdict != Verdict.ACCEPT.value)
        .group_by(*groups)
    )
    counts = [
        RefusalCount(
            day=on, model=model, measure=measure, verdict=verdict, times=times,
            assets=all_of[on, model],
        )
        for on, model, measure, verdict, times in connection.execute(spoke)
    ]  # fmt: skip
    counts.sort(key=lambda count: (-count.times, count.model, count.measure))
    return sorted(counts, key=lambda count: count.day, reverse=True)


LATEST = 20_000
"""The most decided assets examined."""
_FINAL = [status.value for status in (Status.ACCEPTED, Status.REVIEW, Status.REJECTED)]


def latest_verdicts(catalog: Catalog, *, limit: int = LATEST) -> Sequence[AssetRecord]:
    """Returns the latest assets with a final status, the newest first.

    They are without image and provenance.
    """
    bare = {"image": None, "provenance": None}
    return [AssetRecord.model_validate(json.loads(text) | bare) for text in _texts(catalog, limit)]


def latest_retries(catalog: Catalog, *, limit: int = LATEST) -> Iterator[Retry]:
    """Yields the retries of the latest assets that had any with a reason.

    The database filters them, because in most catalogs nearly all assets had none.
    """
    for text in _texts(catalog, limit, holding='"retries":[{'):
        yield from map(Retry.model_validate, json.loads(text)["retries"])


def _texts(catalog: Catalog, limit: int, *, holding: str = "") -> Sequence[str]:
    """Returns the records as stored: canonical JSON, without spaces between tokens."""
    column = tables.assets.c
    query = select(column.value).where(column.status.in_(_FINAL))
    query = query.where(column.value.contains(holding, autoescape=True)) if holding else query
    query = query.order_by(column.sequence.desc()).limit(limit)
    return catalog.read(lambda connection: connection.execute(query).scalars().all())
