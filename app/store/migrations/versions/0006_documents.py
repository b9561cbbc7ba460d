"""Documents: policies of routing, and why assets were routed as they were.

Other rows name both by digest, a policy by a pointer and an explanation by an asset's row, and many
assets share one explanation, so they have a table of their own.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Creates the table."""
    op.create_table(
        "documents",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("created_at", sa.String, nullable=False),
    )
    op.create_index("ix_documents_kind", "documents", ["kind", "created_at"])
