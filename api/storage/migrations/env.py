"""Runs revisions on the connection, and in the transaction, of the one who holds the lock."""

from alembic import context
from sqlalchemy import Connection

connection: Connection = context.config.attributes["connection"]
context.configure(connection=connection)
context.run_migrations()
