"""The connections there are: how many may be, whose keys still count, and signs of life."""

from collections import Counter, deque
from time import monotonic

from api.access.records import KeyRecord
from api.access.ring import KeyRing
from api.http.gate import Principal
from api.http.problems import ProblemError
from api.http.proxies import place_of
from api.stream.frames import PING, text_frame
from api.stream.messages import HEARTBEAT_S, KEY_ENDED, SILENT, Heartbeat
from api.stream.session import Session

OF_KEY_MAX = 100
OF_ADDRESS_MAX = 1_000
"""Connections of a key, and from an address; of all together there are `--connections-max`."""
AT_ONCE_MAX = 250
"""Heartbeats at once: those of all connections fit into half a minute."""


class Connections:
    """Everybody who is connected."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys
        self._of_key: dict[str, dict[Session, None]] = {}
        self._of_address: Counter[str] = Counter()
        self._heartbeats: deque[tuple[float, Session]] = deque()

    def room_for(self, address: str, principal: Principal | None) -> None:
        """Make sure that one more connection may be made.

        Raises:
            ProblemError: There are too many.
        """
        held = len(self._of_key.get(principal.key_id, ())) if principal else 0
        for limit, actual in (
            (OF_ADDRESS_MAX, self._of_address[place_of(address)]),
            (OF_KEY_MAX, held),
        ):
            if actual >= limit:
                detail = "There are too many connections."
                raise ProblemError("RATE_LIMITED", detail, limit=str(limit), actual=str(actual + 1))

    def enter(self, session: Session) -> None:
        """Take note of a connection."""
        self._of_address[place_of(session.line.address)] += 1
        self._heartbeats.append((monotonic() + HEARTBEAT_S, session))
        if session.principal is not None:
            self._of_key.setdefault(session.principal.key_id, {})[session] = None

    def identify(self, session: Session, principal: Principal) -> None:
        """Take note of whose a connection is.

        Raises:
            ProblemError: The key has too many.
        """
        self.room_for("", principal)
        session.principal = principal
        self._of_key.setdefault(principal.key_id, {})[session] = None

    def leave(self, session: Session) -> None:
        """Forget a connection."""
        place = place_of(session.line.address)
        self._of_address[place] -= 1
        if not self._of_address[place]:
            del self._of_address[place]
        if session.principal is not None:
            others = self._of_key[session.principal.key_id]
            del others[session]
            if not others:
                del self._of_key[session.principal.key_id]

    def expel_ended(self, wall_ms: int) -> None:
        """Close the connections of keys that are no longer good."""
        for key_id in [each for each in self._of_key if _is_ended(self._keys.find(each), wall_ms)]:
            problem = ProblemError("KEY_REVOKED", "The key was revoked, or has expired.")
            for session in list(self._of_key.get(key_id, ())):
                session.expel(KEY_ENDED, problem)

    def give_signs_of_life(self, exchange_time: int) -> None:
        """Send heartbeats that are due; who has not answered the last one is gone."""
        now_s, frame = monotonic(), b""
        for _ in range(AT_ONCE_MAX):
            if not self._heartbeats or self._heartbeats[0][0] > now_s:
                return
            _, session = self._heartbeats.popleft()
            if session.is_over:
                continue
            if not session.is_heard:
                session.end(SILENT, "no sign of life")
                continue
            frame = frame or PING + text_frame(Heartbeat(exchange_time=exchange_time))
            session.is_heard = False
            session.send(frame)
            self._heartbeats.append((now_s + HEARTBEAT_S, session))


def _is_ended(key: KeyRecord | None, wall_ms: int) -> bool:
    """Whether a key that was good once is not any more."""
    return key is None or not key.is_good(wall_ms)
