"""The first catalog: who made which image from what, and the outcome of every asset.

Why each part is there:
- `provenance` is append-only by trigger, because it is the evidence; its columns answer
  audits by prompt, model, weights, seed, noise schedule and machine.
- `images` is keyed by request and model, so that nothing is made or paid twice.
- `leases` counts attempts before the work, so that a request that kills its worker is seen.
- `assets`, `findings`, `pages` and `runs` answer people and tools from indexes.
- `alarms` keeps the proof when two different byte strings were offered for one key.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ORDERED = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Creates every table and the triggers that keep provenance append-only."""
    _create_what_was_made()
    _create_what_became_of_it()
    _create_what_happened()
    _protect_provenance()


def _create_what_was_made() -> None:
    op.create_table(
        "provenance",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("prompt_digest", sa.String(64), nullable=False),
        sa.Column("prompt_embedding_digest", sa.String(64)),
        sa.Column("negative_prompt", sa.Text, nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("schedule_digest", sa.String(64)),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("weights_digest", sa.String(64), nullable=False),
        sa.Column("backend", sa.String, nullable=False),
        sa.Column("processor", sa.String, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("created_at", sa.String, nullable=False),
    )
    _index("provenance", "prompt_digest")
    _index("provenance", "model")
    _index("provenance", "weights_digest", "seed")
    _index("provenance", "schedule_digest")
    _index("provenance", "seed")
    op.create_table(
        "images",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("provenance_digest", sa.String(64), nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("value_digest", sa.String(64), nullable=False),
        sa.Column("created_at", sa.String, nullable=False),
        sa.ForeignKeyConstraint(["provenance_digest"], ["provenance.digest"]),
    )
    _index("images", "request_id")
    _index("images", "digest")
    _index("images", "provenance_digest")
    op.create_table(
        "leases",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
    )


def _create_what_became_of_it() -> None:
    op.create_table(
        "assets",
        sa.Column("sequence", sa.Integer, primary_key=True),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("name", _ORDERED, nullable=False),
        sa.Column("version", _ORDERED, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("prompt_digest", sa.String(64), nullable=False),
        sa.Column("team", sa.String, nullable=False),
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("image_key", sa.String(64)),
        sa.Column("provenance_digest", sa.String(64)),
        sa.Column("human_score", sa.Float),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("value_digest", sa.String(64), nullable=False),
        sa.Column("created_at", sa.String, nullable=False),
        sa.ForeignKeyConstraint(["image_key"], ["images.key"]),
        sa.ForeignKeyConstraint(["provenance_digest"], ["provenance.digest"]),
        sqlite_autoincrement=True,
    )
    _index("assets", "key", unique=True)
    _index("assets", "name", "version", unique=True)
    for column in ("status", "model", "prompt_digest", "team", "run_id", "image_key"):
        _index("assets", column)
    op.create_table(
        "findings",
        sa.Column("asset_key", sa.String(64), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("measure", sa.String, nullable=False),
        sa.Column("verdict", sa.String, nullable=False),
    )
    _index("findings", "measure")
    op.create_table(
        "pages",
        sa.Column("run_id", sa.String, primary_key=True),
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("image", sa.String(64), nullable=False),
        sa.Column("metadata", sa.String(64), nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("value_digest", sa.String(64), nullable=False),
        sa.Column("created_at", sa.String, nullable=False),
    )


def _create_what_happened() -> None:
    op.create_table(
        "runs",
        sa.Column("sequence", sa.Integer, primary_key=True),
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("plan", sa.String, nullable=False),
        sa.Column("plan_digest", sa.String(64), nullable=False),
        sa.Column("started_at", sa.String, nullable=False),
        sa.Column("ended_at", sa.String),
        sa.Column("summary", sa.Text),
        sqlite_autoincrement=True,
    )
    _index("runs", "run_id", unique=True)
    op.create_table(
        "alarms",
        sa.Column("sequence", sa.Integer, primary_key=True),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("stored", sa.String(64), nullable=False),
        sa.Column("offered", sa.String(64), nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("created_at", sa.String, nullable=False),
        sqlite_autoincrement=True,
    )
    _index("alarms", "key")


def _protect_provenance() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER provenance_refuses_{change.lower()} BEFORE {change} ON provenance "
                "BEGIN SELECT RAISE(ABORT, 'provenance is append-only'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION provenance_refuses() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'provenance is append-only'; END $$"
    )
    op.execute(
        "CREATE TRIGGER provenance_refuses BEFORE UPDATE OR DELETE OR TRUNCATE ON provenance "
        "FOR EACH STATEMENT EXECUTE FUNCTION provenance_refuses()"
    )


def _index(table: str, *columns: str, unique: bool = False) -> None:
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns), unique=unique)
