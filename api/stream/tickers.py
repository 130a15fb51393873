"""Who reads which tickers: series are many, and each that is read has to be looked at."""

from collections import Counter
from collections.abc import Iterable, Iterator

from api.http.gate import Principal
from api.http.problems import ProblemError
from api.http.proxies import place_of
from api.stream.channels import Name
from api.stream.session import Session

OF_ALL_MAX = 10_000
OF_CALLER_MAX = 2_000
"""Different tickers that are read in all, and by an account or from an address; other channels of
state are bounded by what is listed, and by the connections there may be."""

_ALL = "all"


class Tickers:
    """What every connection has asked for; a ticker that many read is one."""

    def __init__(self) -> None:
        self._of: dict[Session, set[Name]] = {}
        self._read: dict[str, Counter[Name]] = {}

    def ask(self, session: Session, names: Iterable[Name]) -> list[Name]:
        """Take note of what a connection is about to read; return which tickers are new to it.

        Raises:
            ProblemError: There are too many; nothing was noted.
        """
        held = self._of.get(session, set())
        new = [each for each in names if each.kind == "ticker" and each not in held]
        if new:
            callers = list(_callers(session))
            for caller in callers:
                self._room_for(caller, new)
            for caller in callers:
                self._read.setdefault(caller, Counter()).update(new)
            self._of.setdefault(session, set()).update(new)
        return new

    def identify(self, session: Session, principal: Principal) -> None:
        """Count what a connection reads as an account's too, before it becomes that account's.

        Raises:
            ProblemError: The account has too many.
        """
        held = self._of.get(session)
        if held:
            caller = _account(principal)
            self._room_for(caller, held)
            self._read.setdefault(caller, Counter()).update(held)

    def leave(self, session: Session, names: Iterable[Name] | None = None) -> None:
        """Forget tickers of a connection; all of them if not said which."""
        held = self._of.get(session, set())
        gone = list(held) if names is None else [each for each in names if each in held]
        held.difference_update(gone)
        if not held:
            self._of.pop(session, None)
        for caller in _callers(session) if gone else ():
            read = self._read[caller]
            read.subtract(gone)
            for name in gone:
                if not read[name]:
                    del read[name]
            if not read:
                del self._read[caller]

    def _room_for(self, caller: str, names: Iterable[Name]) -> None:
        read = self._read.get(caller, Counter[Name]())
        limit = OF_ALL_MAX if caller == _ALL else OF_CALLER_MAX
        actual = len(read) + sum(each not in read for each in names)
        if actual > limit:
            whose = "in all" if caller == _ALL else "by one caller"
            detail = f"Too many different tickers are read {whose}."
            raise ProblemError("RATE_LIMITED", detail, limit=str(limit), actual=str(actual))


def _callers(session: Session) -> Iterator[str]:
    """Yield whom the tickers of a connection are counted for."""
    yield _ALL
    yield f"address {place_of(session.line.address)}"
    if session.principal is not None:
        yield _account(session.principal)


def _account(principal: Principal) -> str:
    return f"account {principal.account}"
