"""The catalog as people and tools query it: images and assets by key, name, rule, model or run.

It reads what was made and never writes it, which `publish.py` does; only the beginning and the end
of a run are recorded here.
"""

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from pydantic import JsonValue
from sqlalchemy import ColumnElement, Connection, Select, case, func, or_, select, update

from app.digest import Json, canonical_json
from app.errors import AssetNotFound, CatalogError
from app.store import costs, database, inserts, mapping, tables
from app.store.costs import AttemptTime, Costs, RunSpending
from app.store.database import Database, open_database
from app.types import (
    AssetRecord,
    AtlasPage,
    CostGroup,
    Digest,
    GeneratedImage,
    Measure,
    Status,
    Value,
)

if TYPE_CHECKING:
    from app.check.duplicates import KnownImage

_NEIGHBOURS = 500
"""Names examined on either side of an unknown name, to suggest the nearest."""


class ProvenanceFields(TypedDict, total=False):
    """The fields of provenance by which images are found."""

    request_id: str
    prompt_digest: str
    prompt_embedding_digest: str
    negative_prompt: str
    seed: int
    schedule_digest: str
    """The schedule's sigmas_digest."""
    model: str
    weights_digest: str
    processor: str


class RunRecord(Value):
    """One run of a plan: when it began, and after its end, when it ended and its summary."""

    run_id: str
    plan: str
    plan_digest: Digest
    started_at: str
    ended_at: str | None
    summary: dict[str, JsonValue] | None


class Catalog:
    """The catalog; every method is one transaction and raises CatalogError when the database fails.

    One catalog may be used from many threads; each process opens its own.
    """

    def __init__(self, opened: Database) -> None:
        self.read = opened.read
        self.write = opened.write
        self.reading = opened.reading
        self.writing = opened.writing
        self.close = opened.close

    @classmethod
    def open(cls, url: str) -> "Catalog":
        """Opens a SQLite file or a PostgreSQL database and migrates it if needed; safe to repeat.

        Raises CatalogError for another scheme and for a catalog that a newer version wrote.
        """
        return cls(open_database(url))

    def images(self, keys: Iterable[str]) -> dict[str, GeneratedImage]:
        """Returns the committed images among the keys."""
        wanted = tuple(keys)
        return self.read(lambda connection: mapping.images_by_key(connection, wanted))

    def run_spending(self, owner: str) -> RunSpending:
        """Returns how many images this run committed, even by dead workers, and the total cost."""
        return self.read(lambda connection: costs.run_spending(connection, owner))

    def costs(self, by: CostGroup, *, since: str = "") -> Costs:
        """Returns what the ledger's attempts cost since a moment: its ISO 8601 text or a prefix."""
        return self.read(lambda connection: costs.costs(connection, by, since))

    def booked_usd_nano(self, model: str, *, since: str = "") -> dict[str, int]:
        """Returns billionths of a dollar by key for a model's attempts since a moment.

        The moment is ISO 8601.
        """
        return self.read(lambda connection: costs.booked_usd_nano(connection, model, since=since))

    def spent_usd(self, scope: str, name: str) -> float:
        """Returns the USD that a plan (by its name), a team (in a month) or a day has spent."""
        return self.read(lambda connection: costs.spent_usd(connection, scope, name))

    def attempt_times(self, model: str, *, since: str = "") -> list[AttemptTime]:
        """Returns the latest attempts of a model that made an image since a moment (ISO 8601)."""
        return self.read(lambda connection: costs.attempt_times(connection, model, since=since))

    def asset_records(self, keys: Iterable[str]) -> dict[str, AssetRecord]:
        """Returns the recorded assets among the keys, whatever their status."""
        wanted = tuple(keys)
        return self.read(lambda connection: mapping.records_by_key(connection, wanted))

    def find_images(
        self, *, limit: int | None = None, **provenance: Unpack[ProvenanceFields]
    ) -> list[GeneratedImage]:
        """Returns the images whose provenance has all of these values, by key."""
        columns = tables.provenance.c
        conditions = [columns[name] == value for name, value in provenance.items()]
        query = mapping.select_images().where(*conditions).order_by(tables.images.c.key)
        query = query.limit(limit)
        return self.read(lambda connection: mapping.read_images(connection, query))

    def find_assets(
        self,
        *,
        status: Status | None = None,
        model: str | None = None,
        prompt_digest: str | None = None,
        rule: Measure | None = None,
        team: str | None = None,
        run_id: str | None = None,
        name_glob: str | None = None,
        limit: int | None = None,
    ) -> list[AssetRecord]:
        """Returns the assets that meet every condition, by name, the newest version first.

        `rule` is the measure of a broken acceptance rule; a glob supports `*` and `?`.
        """
        column = tables.assets.c
        conditions = _equal(
            (column.status, status),
            (column.model, model),
            (column.prompt_digest, prompt_digest),
            (column.team, team),
            (column.run_id, run_id),
        )
        conditions += [_rule_condition(rule)] if rule is not None else []
        conditions += _like_glob(column.name, name_glob) if name_glob is not None else []
        query = select(tables.assets).where(*conditions)
        query = query.order_by(column.name, column.sequence.desc()).limit(limit)
        return self.read(lambda connection: mapping.read_records(connection, query))

    def accepted_before(self, plan_digest: str) -> "list[KnownImage]":
        """Returns the assets accepted before a plan's first run, in the order of their commits.

        If the plan never ran, all accepted assets. The bound makes a verdict repeatable: however
        often the plan is rerun or resumed, it is compared with the same images, unless a person
        changed the verdict of one since.
        """
        return self.read(lambda connection: _accepted_before(connection, plan_digest))

    def asset(self, name: str, version: str | None = None) -> AssetRecord:
        """Returns one asset: the given version, or the newest that was accepted or is in review.

        Without such a version it returns the newest of the others. A version may be shortened to
        any prefix that no other version of the name shares. Raises AssetNotFound with the nearest
        names or the existing versions, CatalogError when the prefix is ambiguous.
        """
        return self.read(lambda connection: _newest_usable(connection, name, version))

    def versions(self, name: str) -> list[AssetRecord]:
        """Returns every version of an asset, the newest first. Raises AssetNotFound."""
        return self.read(lambda connection: _versions(connection, name))

    def pages(self, run_id: str) -> tuple[AtlasPage, ...]:
        """Returns the atlas pages of a run in order; empty when it has none."""
        return self.read(lambda connection: mapping.read_pages(connection, run_id))

    def begin_run(self, run_id: str, *, plan: str, plan_digest: str) -> RunRecord:
        """Records that a run begins. Raises CatalogError when the id is taken."""
        begin = partial(inserts.insert_run, run_id=run_id, plan=plan, plan_digest=plan_digest)
        self.write(begin, names=[run_id])
        return self.run(run_id)

    def end_run(self, run_id: str, summary: Mapping[str, Json]) -> RunRecord:
        """Records that a run has ended, and how; when repeated, the last summary is kept."""
        text = canonical_json(summary).decode()
        self.write(lambda connection: _end_run(connection, run_id, text), names=[run_id])
        return self.run(run_id)

    def run(self, run_id: str) -> RunRecord:
        """Returns one run. Raises CatalogError when there is none with the id."""
        run_record = self.read(lambda connection: _find_run(connection, run_id))
        if run_record is None:
            raise CatalogError(f"there is no run {run_id!r}; list the runs to see their ids")
        return run_record

    def runs(self, *, limit: int | None = None) -> list[RunRecord]:
        """Returns the runs, the newest first."""
        query = select(tables.runs).order_by(tables.runs.c.sequence.desc()).limit(limit)
        return self.read(lambda connection: _read_runs(connection, query))


def _equal(*pairs: tuple[ColumnElement[Any], str | int | None]) -> list[ColumnElement[bool]]:
    return [column == value for column, value in pairs if value is not None]


def _rule_condition(rule: Measure) -> ColumnElement[bool]:
    findings = tables.findings.c
    heard = select(findings.asset_key).where(findings.measure == rule)
    return tables.assets.c.key.in_(heard)


def _like_glob(column: ColumnElement[str], glob: str) -> list[ColumnElement[bool]]:
    if "[" in glob:
        raise CatalogError(f"the name pattern {glob!r} has a '['; only * and ? are known")
    escaped = glob.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    pattern = escaped.replace("*", "%").replace("?", "_")
    beginning = glob.replace("?", "*").partition("*")[0]
    # LIKE alone reads every name; the range lets the index skip to the names with this prefix. Not
    # BETWEEN: PostgreSQL does not accept a bound value with a collation there.
    first, last = column >= beginning, column <= beginning + "\U0010ffff"
    return [first, last, column.like(pattern, escape="\\")]


def _accepted_before(connection: Connection, plan_digest: str) -> "list[KnownImage]":
    from app.check.duplicates import KnownImage  # with OpenCV, which lists do not need

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


def _newest_usable(connection: Connection, name: str, version: str | None) -> AssetRecord:
    column = tables.assets.c
    query = select(tables.assets).where(column.name == name)
    if version is not None:
        query = query.where(column.version == _whole_version(connection, name, version))
    usable = column.status.in_([Status.ACCEPTED, Status.REVIEW])
    query = query.order_by(case((usable, 0), else_=1), column.sequence.desc()).limit(1)
    records = mapping.read_records(connection, query)
    if not records:
        raise _no_such_name(connection, name)
    return records[0]


def _versions(connection: Connection, name: str) -> list[AssetRecord]:
    column = tables.assets.c
    query = select(tables.assets).where(column.name == name)
    records = mapping.read_records(connection, query.order_by(column.sequence.desc()))
    if not records:
        raise _no_such_name(connection, name)
    return records


def _whole_version(connection: Connection, name: str, version: str) -> str:
    column = tables.assets.c
    query = select(column.version).where(column.name == name).order_by(column.version)
    known: list[str] = list(connection.execute(query).scalars())
    matching = [known_version for known_version in known if known_version.startswith(version)]
    if version in known or len(matching) == 1:
        return matching[0]  # the names are sorted: the exact one comes first
    if not known:
        raise _no_such_name(connection, name)
    if not matching:
        raise AssetNotFound(f"{name} has no version {version!r}; it has {', '.join(known)}")
    raise CatalogError(
        f"{name}@{version} could be any of {', '.join(matching)}; give more of the version"
    )


def _no_such_name(connection: Connection, name: str) -> AssetNotFound:
    near = difflib.get_close_matches(name, _neighbours(connection, name), n=3)
    advice = f"did you mean {', '.join(near)}?" if near else "list the assets to see their names"
    return AssetNotFound(f"there is no asset {name!r}; {advice}")


def _neighbours(connection: Connection, name: str) -> Sequence[str]:
    column = tables.assets.c.name
    names = select(column).distinct().limit(_NEIGHBOURS)
    before = names.where(column < name).order_by(column.desc())
    after = names.where(column >= name).order_by(column)
    return [name for query in (before, after) for name in connection.execute(query).scalars()]


def _end_run(connection: Connection, run_id: str, summary: str) -> None:
    ended_at = mapping.timestamp(database.clock(connection))
    change = update(tables.runs).where(tables.runs.c.run_id == run_id)
    connection.execute(change.values(ended_at=ended_at, summary=summary))


def _find_run(connection: Connection, run_id: str) -> RunRecord | None:
    runs = _read_runs(connection, select(tables.runs).where(tables.runs.c.run_id == run_id))
    return runs[0] if runs else None


def _read_runs(connection: Connection, query: Select[Any]) -> list[RunRecord]:
    return [
        RunRecord(
            run_id=row.run_id,
            plan=row.plan,
            plan_digest=row.plan_digest,
            started_at=row.started_at,
            ended_at=row.ended_at,
            summary=json.loads(row.summary) if row.summary is not None else None,
        )
        for row in connection.execute(query)
    ]
