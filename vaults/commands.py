"""The commands of the exchange: what can be asked of it, as values.

Names are text here and amounts base units; time is when the command was taken. The rules know
accounts and series by row; the writer that executes commands translates.
"""

from dataclasses import dataclass, field

from vaults.params import BTC_TERMS, ETH_TERMS, Parameters, Terms

CALL = "call"
PUT = "put"
SPLIT = "split"
DIVIDEND = "dividend"


@dataclass(frozen=True, slots=True)
class ListToken:
    """Open the pools of a token; `terms` are for its underlyings in the exchange's order."""

    token: str
    now_ms: int
    parameters: Parameters = field(default_factory=Parameters)
    terms: tuple[Terms, ...] = (BTC_TERMS, ETH_TERMS)


@dataclass(frozen=True, slots=True)
class StartUnderlying:
    """Begin the prices of an underlying; its vol estimator starts from these yearly variances."""

    underlying: str
    now_ms: int
    variance_1d_e12: int
    variance_10d_e12: int
    variance_45d_e12: int


@dataclass(frozen=True, slots=True)
class Credit:
    """Book a confirmed external deposit; an account exists from its first one on.

    Where it has an external reference, nothing else on the exchange may have the same.
    """

    token: str
    account: str
    amount: int
    now_ms: int
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Take free balance out of trading, to be paid out; the answer is the withdrawal's number.

    The rules do not read its destination.
    """

    token: str
    account: str
    amount: int
    now_ms: int
    destination: str = ""


@dataclass(frozen=True, slots=True)
class Debit:
    """Book that the tokens of a withdrawal have left custody, under an external reference."""

    token: str
    withdrawal: int
    now_ms: int
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Open:
    """Buy notional of a series for at most `limit_total`.

    Attributes:
        client_id: Whatever the buyer calls it; the rules do not read it.
        expires_ms: Refused when taken later than this; 0 never expires.
        fill_after_ms: Refused on an index published before this; 0 takes the one in force.
    """

    token: str
    account: str
    underlying: str
    kind: str
    strike_e8: int
    notional: int
    limit_total: int
    now_ms: int
    self_funding: bool = False
    client_id: str = ""
    expires_ms: int = 0
    fill_after_ms: int = 0


@dataclass(frozen=True, slots=True)
class Close:
    """Sell notional of an own position for at least `min_total`.

    Where its index is not fresh, or older than `fill_after_ms`, it is queued and carried out at
    the first that is, in order of arrival: by the same command with `order`, the queued one's
    number. With `is_whole` it sells all that is held by then, whatever `notional` it began with.
    """

    token: str
    account: str
    position_id: int
    notional: int
    now_ms: int
    min_total: int = 0
    client_id: str = ""
    expires_ms: int = 0
    fill_after_ms: int = 0
    order: int = 0
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class SetSelfFunding:
    """Say whether a position of one's own shall pay its premium by selling parts of itself."""

    token: str
    account: str
    position_id: int
    self_funding: bool
    now_ms: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Take no more openings in a token; whoever wants to leave can."""

    token: str
    now_ms: int


@dataclass(frozen=True, slots=True)
class Resume:
    """Take openings in a token again."""

    token: str
    now_ms: int


@dataclass(frozen=True, slots=True)
class HoldDeposits:
    """Take no more deposits into a token's pools; whoever wants to leave can."""

    token: str
    now_ms: int


@dataclass(frozen=True, slots=True)
class AllowDeposits:
    """Take deposits into a token's pools again."""

    token: str
    now_ms: int


@dataclass(frozen=True, slots=True)
class SetParameters:
    """Announce parameters of a token, complete, in force from a time on; see `AdoptParameters`.

    `named` are those that were asked for by name, in order: with other ones it is another request.
    """

    token: str
    parameters: Parameters
    effective_ms: int
    now_ms: int
    named: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AdoptParameters:
    """Put announced parameters in force, their time having come and capacity allowing."""

    token: str
    version: int
    now_ms: int


@dataclass(frozen=True, slots=True)
class AnnounceAction:
    """Announce a corporate action: from `effective_ms` on trading waits for it, 10 minutes at most.

    Attributes:
        token: The first generation's name; every generation of the token takes part.
        action: `SPLIT`, or `DIVIDEND`.
        numerator: For a split, new tokens ...
        denominator: ... for this many old ones.
        amount: For a dividend, tokens for all custody together.
    """

    token: str
    action: str
    effective_ms: int
    now_ms: int
    numerator: int = 1
    denominator: int = 1
    amount: int = 0


@dataclass(frozen=True, slots=True)
class WithdrawAction:
    """Take the announced corporate action of a token back; where its window is open, it ends."""

    token: str
    now_ms: int


@dataclass(frozen=True, slots=True)
class ApplyAction:
    """Carry out the announced corporate action of a token, within its window."""

    token: str
    now_ms: int
    reference: str = ""


@dataclass(frozen=True, slots=True)
class MoveBalance:
    """Move free balance of an account to another generation of the same token."""

    token: str
    target: str
    account: str
    amount: int
    now_ms: int


@dataclass(frozen=True, slots=True)
class Tick:
    """An observation of an underlying: the index and, where fed, the vol level (0: estimated)."""

    underlying: str
    price_e8: int
    published_ms: int
    now_ms: int
    confidence_e8: int = 0
    vol_e9: int = 0
    sources: int = 1


@dataclass(frozen=True, slots=True)
class Restart:
    """Begin an underlying's prices again after a break: no return is computed across it."""

    underlying: str
    now_ms: int


@dataclass(frozen=True, slots=True)
class PublishSurface:
    """Say what the smile of an underlying looks like at any level; in force from its next tick.

    A day later, where nothing newer was published, the default surface takes its place.
    """

    underlying: str
    long_vol_e9: int
    reversion_e9: int
    skew_e9: int
    curvature_e9: int
    now_ms: int


@dataclass(frozen=True, slots=True)
class Check:
    """Settle one due position between ticks."""

    token: str
    position_id: int
    now_ms: int


@dataclass(frozen=True, slots=True)
class Request:
    """Ask a pool to take a deposit (tokens) or a redemption (shares); see `RequestKind`."""

    token: str
    account: str
    kind: int
    amount: int
    now_ms: int
    min_out: int = 0


@dataclass(frozen=True, slots=True)
class Cancel:
    """Take an open request back."""

    token: str
    account: str
    request: int
    now_ms: int


@dataclass(frozen=True, slots=True)
class Flush:
    """Price and fill the requests of a token's pools."""

    token: str
    now_ms: int


Command = (
    ListToken
    | StartUnderlying
    | Credit
    | Withdraw
    | Debit
    | Open
    | Close
    | SetSelfFunding
    | Pause
    | Resume
    | HoldDeposits
    | AllowDeposits
    | SetParameters
    | AdoptParameters
    | AnnounceAction
    | WithdrawAction
    | ApplyAction
    | MoveBalance
    | Tick
    | Restart
    | PublishSurface
    | Check
    | Request
    | Cancel
    | Flush
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to a command: a refusal with the two numbers that decided it, or what it did.

    Attributes:
        code: `Reject`; 0 where the command was carried out.
        limit: What would have been allowed.
        actual: What it was.
        verdict: For a tick, the `OracleVerdict` of its observation.
        row: Position id, request or withdrawal number, where there is one; -1 otherwise.
        notional: Traded notional.
        amount: Paid by a buyer, received by a seller, left with a withdrawal.
        fee: The protocol's part of it.
        done: For a flush, whether it was done and not postponed.
        nav: For a flush, NAV at mid it priced with, and after it, at the same marks.
        shares: Main shares that belong to them.
        bundle: For a flush, the SHA-256 of its bundle, in hexadecimal.
        queued: For a close, whether it waits for a fresh index and nothing has moved.
        index_e8: Index a trade was done at.
        series: For a close, the row of the position's series; -1 where there is no position.
        expected_ms: For a request, when the first flush it is in was expected as it was made.
    """

    code: int = 0
    limit: int = 0
    actual: int = 0
    verdict: int = 0
    row: int = -1
    notional: int = 0
    amount: int = 0
    fee: int = 0
    done: bool = True
    nav: tuple[int, int] = (0, 0)
    shares: tuple[int, int] = (0, 0)
    bundle: str = ""
    queued: bool = False
    index_e8: int = 0
    series: int = -1
    expected_ms: int = 0
