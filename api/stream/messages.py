"""What crosses a WebSocket, for server and client alike; `docs/stream.md` shows each of them.

Like `api.wire`, this imports nothing but msgspec and the wire's own types.
"""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from api.wire import (
    Balance,
    Given,
    Index,
    LedgerLine,
    Order,
    Pool,
    PoolRequest,
    Position,
    PublicTrade,
    Ticker,
)

TARGET = "/v1/ws"
MESSAGE_MAX = 64 * 1024
"""Bytes of a message to the server."""
HEARTBEAT_S = 30.0

ROWS: dict[str, tuple[type[Struct], str]] = {
    "ticker": (Ticker, "instrument"),
    "index": (Index, "symbol"),
    "pool": (Pool, "token"),
    "trades": (PublicTrade, "id"),
    "account": (Balance, "token"),
    "positions": (Position, "id"),
    "requests": (PoolRequest, "id"),
    "orders": (Order, "id"),
    "ledger": (LedgerLine, "id"),
}
"""Of each kind of channel, what its rows are, and the field that is their key."""
PRIVATE = frozenset({"account", "positions", "requests", "orders", "ledger"})
LOSSLESS = frozenset({"trades", "orders", "ledger"})
"""Kinds of which every row is sent; of the others the last state of a row may stand for all."""

# Why the server ends a connection, beside the codes of RFC 6455.
RESTARTING = 1012
TRY_LATER = 1013
TOO_SLOW = 4000
KEY_ENDED = 4001
SILENT = 4002
FLOODING = 4003

Id = Annotated[int, Meta(ge=0, le=2**53)] | Annotated[str, Meta(max_length=64)]
Channels = Annotated[
    list[Annotated[str, Meta(max_length=80)]], Meta(min_length=1, max_length=1_000)
]
Seq = Annotated[int, Meta(ge=0, le=2**53)]


class Ask(Struct, kw_only=True, forbid_unknown_fields=True, tag_field="op", tag=str.lower):
    """A message to the server; its `id` comes back with the answer."""

    id: Id


class Subscribe(Ask):
    """Begin with channels, or go on with them after the messages named in `resume`."""

    channels: Channels
    resume: dict[str, Seq] = {}
    epoch: str = ""


class Unsubscribe(Ask):
    """Hear no more of channels."""

    channels: Channels


class Login(Ask):
    """Be somebody; the signature is that of a GET of the target the connection was made to."""

    key: Annotated[str, Meta(max_length=64)]
    timestamp: Annotated[int, Meta(ge=0, le=10**15 - 1)]
    signature: Annotated[str, Meta(max_length=128)]


class Ping(Ask):
    """Ask for a sign of life."""


Asked = Subscribe | Unsubscribe | Login | Ping


class Welcome(Given, tag_field="type", tag="welcome"):
    """The first message. Numbers of messages count within an epoch, one life of a server."""

    epoch: str
    exchange_time: int
    account: str | None


class Heartbeat(Given, tag_field="type", tag="heartbeat"):
    """Comes every half minute, with a ping frame."""

    exchange_time: int


class Notice(Given, tag_field="type", tag="notice"):
    """Why the connection is about to be closed."""

    code: str
    detail: str


class Begun(Given):
    """A channel that was subscribed to.

    Attributes:
        channel: Its name.
        resumed: Whether the messages that were missed follow; if not, a snapshot does.
    """

    channel: str
    resumed: bool


class Subscribed(Given):
    """The answer to a subscription."""

    epoch: str
    channels: list[Begun]


class Fault(Given, omit_defaults=True):
    """Why nothing was done; codes are those of problems."""

    code: str
    detail: str
    limit: str | UnsetType = UNSET
    actual: str | UnsetType = UNSET


class Answer(Given, omit_defaults=True):
    """The answer to a message: a result or an error. The id is null where none could be read."""

    id: int | str | None
    result: Any = UNSET
    error: Fault | UnsetType = UNSET


class Update(Given, omit_defaults=True):
    """Rows of a channel; a delta's take the place of those with the same key.

    Attributes:
        channel: Its name.
        seq: Number of the message within its channel and epoch.
        type: A snapshot is all there is; a delta what changed since the message before.
        time: Exchange time.
        data: Whole rows.
        removed: Keys of rows that are no more.
    """

    channel: str
    seq: int
    type: Literal["snapshot", "delta"]
    time: int
    data: list[Any]
    removed: list[str] = field(default_factory=list)


class Received(Struct):
    """What a client needs of any message from the server; it passes over the rest."""

    id: int | str | UnsetType | None = UNSET
    type: str = ""
    error: Fault | UnsetType = UNSET
    channel: str = ""
    seq: int = 0
    time: int = 0
    epoch: str = ""
    data: Raw | UnsetType = UNSET
    removed: list[str] = []


def kind_of(channel: str) -> str:
    """Return the kind of a channel by its name."""
    return channel.partition(".")[0]
