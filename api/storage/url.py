"""Which database is meant: a file of SQLite, or a PostgreSQL server's."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

MAIN = "main"
"""The shard of whoever has only one."""
_SHARD = re.compile(r"[a-z][a-z0-9_]{0,30}")
_OF_CLIENT_KEY = re.compile(r"([?&]sslpassword=)[^&]*")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


class DatabaseUrlError(ValueError):
    """A text that names no database; the message is one line, without a password."""


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """The address of a database; as text, it hides the password.

    Attributes:
        path: The file of SQLite; None on a server.
        server: The address for PostgreSQL's driver; None for a file.
        shard: Which of several writers on one server is meant.
    """

    path: Path | None = None
    server: URL | None = None
    shard: str = MAIN

    @classmethod
    def parse(cls, text: "str | Path | DatabaseUrl") -> "DatabaseUrl":
        """Return the address a text stands for: a path, sqlite:///PATH or postgresql://...

        Raises:
            DatabaseUrlError: It stands for none.
        """
        if isinstance(text, DatabaseUrl):
            return text
        if isinstance(text, Path):
            return cls(path=text)
        scheme = _SCHEME.match(text)
        if scheme is None:
            if not text:
                raise DatabaseUrlError("an empty text names no database")
            return cls(path=Path(text))
        if scheme[1] == "sqlite":
            return cls(path=_path_of(text))
        if scheme[1] in {"postgresql", "postgres"}:
            return cls(server=_server_of(text))
        raise DatabaseUrlError(f"{scheme[1]}:// is neither sqlite:// nor postgresql://")

    def of_shard(self, name: str) -> Self:
        """Return the address of one writer's part of a database.

        Raises:
            DatabaseUrlError: It is no name of a shard, or the database is a file.
        """
        if not _SHARD.fullmatch(name):
            raise DatabaseUrlError(f"{name!r} is not a shard of small letters, digits and _")
        if self.path is not None and name != MAIN:
            raise DatabaseUrlError(f"{self}: shards need PostgreSQL, a file has one writer")
        return replace(self, shard=name)

    @property
    def schema(self) -> str:
        """The schema of the writer's tables."""
        return f"evergamma_{self.shard}"

    @property
    def with_password(self) -> str:
        """The address as a command line takes it; never to be shown."""
        if self.server is None:
            return str(self.path)
        return self.server.set(drivername="postgresql").render_as_string(hide_password=False)

    def __str__(self) -> str:
        if self.server is None:
            return str(self.path)
        bare = self.server.set(drivername="postgresql").render_as_string(hide_password=True)
        bare = _OF_CLIENT_KEY.sub(r"\1***", bare)
        return bare if self.shard == MAIN else f"{bare} (shard {self.shard})"

    def __repr__(self) -> str:
        return f"DatabaseUrl({str(self)!r})"


def _path_of(text: str) -> Path:
    place = text.removeprefix("sqlite://")
    if not place.startswith("/") or place == "/":
        raise DatabaseUrlError(f"{text} names no file: sqlite:///PATH, or four slashes from /")
    return Path(place[1:])


def _server_of(text: str) -> URL:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise DatabaseUrlError("the postgresql:// URL cannot be read") from None
    if not url.database:
        raise DatabaseUrlError("the postgresql:// URL names no database after the host")
    if "password" in url.query:
        raise DatabaseUrlError("a password belongs before the @ of a postgresql:// URL")
    return url.set(drivername="postgresql+psycopg")
