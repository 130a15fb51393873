"""What the single writer needs of a database, whichever it is."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager

from sqlalchemy import Connection

from api.storage.reading import Reading
from api.storage.writes import Writes


class Store(Reading, ABC):
    """A database, or one shard of it, held by one process.

    Attributes:
        may_wait: Whether what was staged last waits for another process.
    """

    may_wait: bool

    @abstractmethod
    def hold(self) -> None:
        """Make sure that this process is the one that writes; what is read from now on is current.

        It asks nobody, and waits for nothing.

        Raises:
            StoreError: It is not now; it is being tried to become it again.
            SupersededError: Another one is.
        """

    @abstractmethod
    def look(self) -> None:
        """Look whether this process is still the one that writes, where only the database knows."""

    @abstractmethod
    def stage(self, writes: Writes) -> Callable[[], None]:
        """Prepare all writes as one transaction; what is returned does the rest and commits it.

        That may be called from another thread, and waits for the disk.
        """

    def break_off(self) -> None:
        """Have whoever waits for the database in another thread wait no longer, but fail.

        Where that cannot be done, nothing is.
        """

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Connection]:
        """Commit what is done inside as one, or nothing of it."""

    @abstractmethod
    def claim_token(self, token: str) -> None:
        """Make a token this shard's.

        Raises:
            TokenElsewhereError: It is another's.
        """

    @abstractmethod
    def release_token(self, token: str) -> None:
        """Let any shard list a token that this one has claimed and not listed."""
