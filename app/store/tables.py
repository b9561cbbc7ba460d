"""The catalog's tables: indexed columns to find a value by, and the value as canonical JSON.

`value_digest` is the sha256 of `value`, so an altered byte is detected when the row is read.

The numbered migrations build these tables; a test checks that both agree.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()

ordered = String().with_variant(String(collation="C"), "postgresql")
"""Text that is sorted and searched by prefix: by code point on every database.

PostgreSQL would otherwise use the language of its host.
"""

provenance = Table(
    "provenance",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("request_id", String(64), nullable=False),
    Column("prompt_digest", String(64), nullable=False),
    Column("prompt_embedding_digest", String(64)),
    Column("negative_prompt", Text, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("schedule_digest", String(64)),
    Column("model", String, nullable=False),
    Column("weights_digest", String(64), nullable=False),
    Column("backend", String, nullable=False),
    Column("processor", String, nullable=False),
    Column("value", Text, nullable=False),
    Column("created_at", String, nullable=False),
    Index("ix_provenance_prompt_digest", "prompt_digest"),
    Index("ix_provenance_model", "model"),
    Index("ix_provenance_weights_digest_seed", "weights_digest", "seed"),
    Index("ix_provenance_schedule_digest", "schedule_digest"),
    Index("ix_provenance_seed", "seed"),
)
"""Append-only, named by the sha256 of `value`; a trigger refuses updates and deletions."""

images = Table(
    "images",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("request_id", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("provenance_digest", String(64), nullable=False),
    Column("value", Text, nullable=False),
    Column("value_digest", String(64), nullable=False),
    Column("created_at", String, nullable=False),
    ForeignKeyConstraint(["provenance_digest"], ["provenance.digest"]),
    Index("ix_images_request_id", "request_id"),
    Index("ix_images_digest", "digest"),
    Index("ix_images_provenance_digest", "provenance_digest"),
)

leases = Table(
    "leases",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("owner", String, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("who", String),
    Column("plan", String),
    Column("team", String),
    Column("model", String),
    Column("asset", String),
    Column("nano_usd", BigInteger),
)
"""Keys being made; a row outlives its lease so that the attempt count is kept.

The attempt's reservation, `nano_usd`, counts as spent only until the lease expires.
"""

assets = Table(
    "assets",
    metadata,
    Column("sequence", Integer, primary_key=True),
    Column("key", String(64), nullable=False),
    Column("name", ordered, nullable=False),
    Column("version", ordered, nullable=False),
    Column("status", String, nullable=False),
    Column("model", String, nullable=False),
    Column("prompt_digest", String(64), nullable=False),
    Column("team", String, nullable=False),
    Column("run_id", String, nullable=False),
    Column("image_key", String(64)),
    Column("provenance_digest", String(64)),
    Column("human_score", Float),  # 1 or 0 where a person decided, else NULL
    Column("value", Text, nullable=False),
    Column("value_digest", String(64), nullable=False),
    Column("created_at", String, nullable=False),
    Column("fingerprint", Text),  # of its image, in hex: see `app/check/duplicates.py`
    ForeignKeyConstraint(["image_key"], ["images.key"]),
    ForeignKeyConstraint(["provenance_digest"], ["provenance.digest"]),
    Index("ix_assets_key", "key", unique=True),
    Index("ix_assets_name_version", "name", "version", unique=True),
    Index("ix_assets_status", "status"),
    Index("ix_assets_model", "model"),
    Index("ix_assets_prompt_digest", "prompt_digest"),
    Index("ix_assets_team", "team"),
    Index("ix_assets_run_id", "run_id"),
    Index("ix_assets_image_key", "image_key"),
    sqlite_autoincrement=True,
)

findings = Table(
    "findings",
    metadata,
    Column("asset_key", String(64), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("measure", String, nullable=False),
    Column("verdict", String, nullable=False),
    Index("ix_findings_measure", "measure"),
)
"""The broken rules, so that an audit can query by rule."""

pages = Table(
    "pages",
    metadata,
    Column("run_id", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("image", String(64), nullable=False),
    Column("metadata", String(64), nullable=False),
    Column("value", Text, nullable=False),
    Column("value_digest", String(64), nullable=False),
    Column("created_at", String, nullable=False),
)

holdings = Table(
    "holdings",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("subject", String, primary_key=True),
    Column("key", String, primary_key=True),
    Index("ix_holdings_subject_key", "subject", "key"),
)
"""Which blobs a row names, so that a check and a sweep can query by digest.

The subject is `image`, `asset`, `page` or `run`, the key that row's (a page's is `run/name`).
"""

swept = Table(
    "swept",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("swept_at", Float, nullable=False),
)
"""Blobs that a sweep may have removed: a writer that names one stores it again first."""

runs = Table(
    "runs",
    metadata,
    Column("sequence", Integer, primary_key=True),
    Column("run_id", String, nullable=False),
    Column("plan", String, nullable=False),
    Column("plan_digest", String(64), nullable=False),
    Column("started_at", String, nullable=False),
    Column("ended_at", String),
    Column("summary", Text),
    Index("ix_runs_run_id", "run_id", unique=True),
    sqlite_autoincrement=True,
)

alarms = Table(
    "alarms",
    metadata,
    Column("sequence", Integer, primary_key=True),
    Column("subject", String, nullable=False),
    Column("key", String, nullable=False),
    Column("stored", String(64), nullable=False),
    Column("offered", String(64), nullable=False),
    Column("source", String, nullable=False),
    Column("created_at", String, nullable=False),
    Index("ix_alarms_key", "key"),
    sqlite_autoincrement=True,
)
"""Other bytes offered for a committed key: what is stored, what was offered, and by whom."""

pointers = Table(
    "pointers",
    metadata,
    Column("name", ordered, primary_key=True),
    Column("alias", ordered, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("target", String, nullable=False),
    Column("below", Integer),
    Column("reason", Text, nullable=False),
    Column("move_id", String(32), nullable=False),
    Column("moved_at", String, nullable=False),
)
"""Every target of a name's alias: the highest number is the current one.

`below` is the move that a step back returns to.
"""

ledger = Table(
    "ledger",
    metadata,
    Column("sequence", Integer, primary_key=True),
    Column("key", String(64), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("run_id", String, nullable=False),
    Column("who", String, nullable=False),
    Column("plan", String, nullable=False),
    Column("team", String, nullable=False),
    Column("model", String, nullable=False),
    Column("asset", String),
    Column("ending", String, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("device", String, nullable=False),
    Column("nano_usd", BigInteger, nullable=False),
    Column("created_at", String, nullable=False),
    Index("ix_ledger_key", "key"),
    Index("ix_ledger_run_id", "run_id"),
    Index("ix_ledger_model", "model", "sequence"),
    sqlite_autoincrement=True,
)
"""One row for each attempt, in billionths of a dollar."""

spending = Table(
    "spending",
    metadata,
    Column("scope", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("nano_usd", BigInteger, nullable=False),
)
"""What a plan, a team in a month, and a day have spent, by the ledger.

A claim that checks a budget need not sum a million rows.
"""

documents = Table(
    "documents",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("kind", String, nullable=False),
    Column("value", Text, nullable=False),
    Column("created_at", String, nullable=False),
    Index("ix_documents_kind", "kind", "created_at"),
)
"""Values that others name by the sha256 of `value`: `policy` and `explanation`; never changed."""
