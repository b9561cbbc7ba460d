"""The ledger of attempts, what has been spent of each budget, and what leases reserve.

An image's row gave its owner and its cost, but nothing about attempts without an image, nor about
the team. A ledger row has all of it for every attempt, so the two columns go; their values are
copied. The asset of an old image was not recorded.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_IMAGES = """
INSERT INTO ledger (key, attempt, run_id, who, plan, team, model, asset, ending, seconds, device,
                    nano_usd, created_at)
SELECT i.key, {attempt}, i.owner, '', COALESCE(r.plan, ''), {team}, p.model, NULL, 'made',
       {seconds}, CASE WHEN COALESCE({device}, 'cpu') LIKE 'cpu%' THEN 'cpu' ELSE 'gpu' END,
       CAST(ROUND(COALESCE(i.cost_usd, 0) * 1000000000) AS BIGINT), i.created_at
FROM images i
JOIN provenance p ON p.digest = i.provenance_digest
LEFT JOIN runs r ON r.run_id = i.owner
WHERE i.owner IS NOT NULL
"""
_SQLITE = {
    "attempt": "json_extract(p.value, '$.attempt')",
    "team": "json_extract(p.value, '$.request.tags.team')",
    "seconds": "json_extract(i.value, '$.seconds')",
    "device": "json_extract(p.value, '$.engine.device')",
}
_POSTGRESQL = {
    "attempt": "CAST(CAST(p.value AS json) ->> 'attempt' AS integer)",
    "team": "CAST(p.value AS json) #>> '{request,tags,team}'",
    "seconds": "CAST(CAST(i.value AS json) ->> 'seconds' AS double precision)",
    "device": "CAST(p.value AS json) #>> '{engine,device}'",
}
_SPENDING = """
INSERT INTO spending (scope, name, nano_usd)
SELECT '{scope}', {name}, SUM(nano_usd) FROM ledger GROUP BY {name} HAVING SUM(nano_usd) > 0
"""
_NAMES = {
    "plan": "plan",
    "team": "team || ' ' || substr(created_at, 1, 7)",
    "day": "substr(created_at, 1, 10)",
}


def upgrade() -> None:
    """Creates both tables, copies the values of the images' rows, and extends the leases."""
    op.create_table(
        "ledger",
        sa.Column("sequence", sa.Integer, primary_key=True),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        *(
            sa.Column(name, sa.String, nullable=False)
            for name in ("run_id", "who", "plan", "team", "model")
        ),
        sa.Column("asset", sa.String),
        sa.Column("ending", sa.String, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("device", sa.String, nullable=False),
        sa.Column("nano_usd", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.String, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_ledger_key", "ledger", ["key"])
    op.create_index("ix_ledger_run_id", "ledger", ["run_id"])
    op.create_index("ix_ledger_model", "ledger", ["model", "sequence"])
    op.create_table(
        "spending",
        sa.Column("scope", sa.String, primary_key=True),
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("nano_usd", sa.BigInteger, nullable=False),
    )
    for name in ("who", "plan", "team", "model", "asset"):
        op.add_column("leases", sa.Column(name, sa.String))
    op.add_column("leases", sa.Column("nano_usd", sa.BigInteger))
    _carry_over()
    op.drop_index("ix_images_owner", "images")
    op.drop_column("images", "owner")
    op.drop_column("images", "cost_usd")


def _carry_over() -> None:
    values = _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL
    query = _IMAGES
    for name, value in values.items():
        query = query.replace("{" + name + "}", value)
    # Not text(): it would read a colon in JSON paths as a parameter.
    op.get_bind().exec_driver_sql(query.replace("%", "%%") if values is _POSTGRESQL else query)
    for scope, name in _NAMES.items():
        op.get_bind().exec_driver_sql(_SPENDING.format(scope=scope, name=name))
