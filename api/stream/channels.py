"""Channels: numbered messages, each encoded once, and who reads them."""

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from api.memory import Memory
from api.stream.frames import text_frame
from api.stream.messages import LOSSLESS, PRIVATE, ROWS, Update
from api.stream.views import Rows, is_same, last_row, rows_of

if TYPE_CHECKING:
    from api.stream.session import Session

KEPT_MAX = 1_000
"""Messages of a lossless channel that are kept to be sent again."""
KEPT_S = 120.0
"""How long they are kept, and how long such a channel outlives its last reader."""


class Name(NamedTuple):
    """A channel: its kind, and of what or whom it is."""

    kind: str
    of: str

    @property
    def on_the_wire(self) -> str:
        """What its readers call it: their own account goes without saying."""
        return self.kind if self.kind in PRIVATE else f"{self.kind}.{self.of}"


class Channel:
    """Messages of one name, in order; `seq` is the number of the last.

    What has changed is gathered until `seal` makes a message of it; that waits in `outgoing` until
    every reader has it. A reader is known with the number of the last message it has.
    """

    __slots__ = ("changed", "idle_since", "name", "outgoing", "readers", "removed", "seq", "time")

    def __init__(self, name: Name, seq: int) -> None:
        self.name = name
        self.seq = seq
        self.time = 0
        self.readers: dict[Session, int] = {}
        self.changed: Rows = {}
        self.removed: dict[str, None] = {}
        self.outgoing: deque[tuple[int, bytes]] = deque()
        self.idle_since = 0.0

    @property
    def is_lossless(self) -> bool:
        """Whether every row is sent, and messages are kept."""
        return self.name.kind in LOSSLESS

    @property
    def has_news(self) -> bool:
        """Whether something waits to be sent."""
        return bool(self.changed or self.removed or self.outgoing)

    def seal(self, now_s: float) -> None:
        """Make a message of what has changed."""
        if not (self.changed or self.removed):
            return
        self.seq += 1
        rows, removed = list(self.changed.values()), list(self.removed)
        self.changed, self.removed = {}, {}
        frame = self._frame("delta", self.seq, rows, removed)
        self.outgoing.append((self.seq, frame))
        self.keep(self.seq, frame, now_s)

    def snapshot(self, rows: list[Any], seq: int) -> bytes:
        """Return rows as a snapshot, with the number of the last message that is in it."""
        return self._frame("snapshot", seq, rows, [])

    def _frame(self, kind: Any, seq: int, rows: list[Any], removed: list[str]) -> bytes:
        wire = self.name.on_the_wire
        return text_frame(
            Update(channel=wire, seq=seq, type=kind, time=self.time, data=rows, removed=removed)
        )

    def keep(self, seq: int, frame: bytes, now_s: float) -> None:
        """Keep a message to be sent again, where that can be asked for."""


class StateChannel(Channel):
    """Shows rows as they are; `rows` are those its readers have, or will with `changed`."""

    __slots__ = ("rows",)

    def __init__(self, name: Name, seq: int) -> None:
        super().__init__(name, seq)
        self.rows: Rows = {}

    def refresh(self, memory: Memory, now_ms: int) -> None:
        """Look at the memory, and gather what has changed."""
        kind, of = self.name
        found = rows_of(kind, of, memory, now_ms)
        self.time = now_ms
        for key in [key for key in self.rows if key not in found]:
            del self.rows[key]
            self.changed.pop(key, None)
            last = last_row(kind, key, memory, now_ms)
            if last is None:
                self.removed[key] = None
            else:
                self.changed[key] = last
        for key, row in found.items():
            if not is_same(kind, row, self.rows.get(key)):
                self.rows[key] = self.changed[key] = row
                self.removed.pop(key, None)


class EventChannel(Channel):
    """Tells what happened, row by row; its last messages can be sent again."""

    __slots__ = ("kept",)

    def __init__(self, name: Name, seq: int) -> None:
        super().__init__(name, seq)
        self.kept: deque[tuple[int, float, bytes]] = deque(maxlen=KEPT_MAX)

    def add(self, row: Any, now_ms: int) -> None:
        """Gather a row."""
        self.changed[getattr(row, ROWS[self.name.kind][1])] = row
        self.time = now_ms

    def keep(self, seq: int, frame: bytes, now_s: float) -> None:
        """Keep a message to be sent again."""
        self.kept.append((seq, now_s, frame))

    def forget(self, before_s: float) -> None:
        """Keep no message that is older."""
        while self.kept and self.kept[0][1] < before_s:
            self.kept.popleft()

    def after(self, seq: int) -> list[bytes] | None:
        """Return the messages after a number, None where they are not all here."""
        first = self.seq - len(self.kept)
        if not first <= seq <= self.seq:
            return None
        return [frame for number, _, frame in self.kept if number > seq]


def channel_of(name: Name, seq: int) -> StateChannel | EventChannel:
    """Return a new channel whose first message will have the number after `seq`."""
    kind = EventChannel if name.kind in LOSSLESS else StateChannel
    return kind(name, seq)
