"""Pointers: which version an alias points at, moved by compare-and-set, with every move kept.

MLflow's aliases are last-writer-wins, so of two concurrent promotions both would believe they won.
Here a move is a new row whose number follows the one that was read: the primary key admits only one
of them, and the alias's previous target is kept for going back.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_ORDERED = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Creates the table; no pointers existed before."""
    op.create_table(
        "pointers",
        sa.Column("name", _ORDERED, primary_key=True),
        sa.Column("alias", _ORDERED, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("target", sa.String, nullable=False),
        sa.Column("below", sa.Integer),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("move_id", sa.String(32), nullable=False),
        sa.Column("moved_at", sa.String, nullable=False),
    )
