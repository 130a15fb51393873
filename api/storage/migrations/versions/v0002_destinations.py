"""Where withdrawals are sent."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

revision = "0002"
down_revision = "0001"

NAME = sa.Text().with_variant(TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    """Withdrawals from before have no destination."""
    op.add_column("withdrawal", sa.Column("destination", NAME, nullable=False, server_default=""))
