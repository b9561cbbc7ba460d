"""Fingerprints: those of every accepted asset of the catalog, for finding repeats."""

from sqlalchemy import Connection, func, or_, select

from app.check.duplicates import KnownImage
from app.store import tables
from app.types import Status


def earlier_fingerprints(connection: Connection, plan_digest: str) -> list[KnownImage]:
    """Returns the assets accepted before a plan's first run, in the order of their commits.

    If the plan never ran, all accepted assets. The bound makes a verdict repeatable: however often
    the plan is rerun or resumed, it is compared with the same images, unless a person changed the
    verdict of one since.
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
