"""Appearances: what every accepted asset of the catalog looks like, for whoever seeks repeats."""

from sqlalchemy import Connection, func, or_, select

from app.check.duplicates import KnownImage
from app.store import tables
from app.types import Status


def earlier_fingerprints(connection: Connection, plan_digest: str) -> list[KnownImage]:
    """What was accepted before a plan was first begun, in the order it was committed.

    All that is accepted where it never was. The bound makes a verdict repeatable: however often
    the plan is run again or goes on after a stop, it meets the same pictures, unless a person
    decided otherwise about one of them since.
    """
    assets, runs = tables.assets.c, tables.runs.c
    begun = select(func.min(runs.started_at)).where(runs.plan_digest == plan_digest)
    moment = begun.scalar_subquery()
    query = select(assets.name, assets.run_id, assets.fingerprint).where(
        assets.status == Status.ACCEPTED.value,
        assets.fingerprint.is_not(None),
        or_(moment.is_(None), assets.created_at < moment),
    )
    return [
        KnownImage(int(row.fingerprint, 16), row.name, row.run_id)
        for row in connection.execute(query.order_by(assets.sequence))
    ]
