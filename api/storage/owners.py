"""Whose a token is: one shard of a server lists it, and no other."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Column, Connection, MetaData, Table, Text, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError

from api.storage.engines import access_engine, be_alone
from api.storage.errors import StoreError, TokenElsewhereError, reason_of
from api.storage.url import DatabaseUrl

OWNERS = Table(
    "token_owner",
    MetaData(),
    Column("token", Text, primary_key=True),
    Column("shard", Text, nullable=False),
)


class Owners:
    """The tokens of all shards, as one of these sees them."""

    def __init__(self, url: DatabaseUrl) -> None:
        self._shard = url.shard
        self._engine = access_engine(url)
        self._claimed: set[str] = set()
        try:
            with self._asked() as connection:
                be_alone(connection)
                OWNERS.create(connection, checkfirst=True)
        except StoreError:
            self.close()
            raise

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def claim(self, token: str) -> None:
        """Make a token this shard's.

        Raises:
            TokenElsewhereError: It is another's.
            StoreError: The server cannot be reached.
        """
        if token in self._claimed:
            return
        row = {"token": token, "shard": self._shard}
        with self._asked() as connection:
            connection.execute(insert(OWNERS).values(row).on_conflict_do_nothing())
            query = select(OWNERS.c.shard).where(OWNERS.c.token == token)
            shard = connection.execute(query).scalar_one()
        if shard != self._shard:
            raise TokenElsewhereError(token, shard)
        self._claimed.add(token)

    def release(self, token: str) -> None:
        """Let any shard claim a token of this one."""
        self._claimed.discard(token)
        with self._asked() as connection:
            ours = (OWNERS.c.token == token) & (OWNERS.c.shard == self._shard)
            connection.execute(delete(OWNERS).where(ours))

    @contextmanager
    def _asked(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise StoreError(f"nobody says whose tokens are: {reason_of(error)}") from None
