"""Who made an image and what it cost, so that a run's own count does not hang on its survival.

A worker may commit an image and die before it can tell its driver; the row itself says whose
image it is. Of images that were there before nobody knows, and nobody's account is changed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns; images that were there before are nobody's."""
    op.add_column("images", sa.Column("owner", sa.String))
    op.add_column("images", sa.Column("cost_usd", sa.Float))
    op.create_index("ix_images_owner", "images", ["owner"])
