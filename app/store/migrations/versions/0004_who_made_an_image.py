"""Who made an image and what it cost, so that a run's count does not depend on its survival.

A worker may commit an image and die before it reports to its driver; the row itself says whose
image it is. Older images have no owner, and no account is changed for them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Adds the columns; existing images have no owner."""
    op.add_column("images", sa.Column("owner", sa.String))
    op.add_column("images", sa.Column("cost_usd", sa.Float))
    op.create_index("ix_images_owner", "images", ["owner"])
