"""Pointers: which version bears an alias, moved by compare-and-set, with every move kept.

MLflow's aliases are last-writer-wins, so of two promotions that race both would believe they
won. Here a move is a new row whose number follows the one that was read: the primary key lets
only one of them in, and what the alias pointed at before is still there to go back to.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_ORDERED = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the table; nothing pointed anywhere before."""
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
