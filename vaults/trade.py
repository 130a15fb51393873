"""A trade as a value: priced but not done, and done or refused."""

from typing import NamedTuple

from amm.kernel import kernel
from amm.quote import CloseQuote, OpenQuote, UnitQuote
from amm.scenarios import Contract
from vaults.rejects import Refusal


class PricedSeries(NamedTuple):
    """What pricing an opening in a series needs, whatever its size.

    `slot` is the series' row, NONE for one to be listed; `unit` the quote of one unit, `row` where
    in `State.losses` and `State.stress` stands what one unit adds to the book's; `cap_ppm` and
    `rate_e15` its cap and premium rate.
    """

    slot: int
    contract: Contract
    unit: UnitQuote
    row: int
    cap_ppm: int
    rate_e15: int


class Opening(NamedTuple):
    """An opening that has been priced but not done.

    `slot` is the series' row, NONE for a series to be listed; amounts are base units, `quote` is
    in tokens; `row` is where its increase of the base stress stands, `lock` what is locked for it.
    """

    slot: int
    contract: Contract
    lock: int
    quote: OpenQuote
    total: int
    fee: int
    impact: int
    spread: int
    rate_e15: int
    row: int


class QuotedOpening(NamedTuple):
    """What an opening would cost now and do; amounts in tokens, nothing has changed.

    Attributes:
        refusal: What speaks against it, but for a price limit; with an account, its balance too.
        quote: The ask, every component of it.
        premium_per_day: What it would stream at the present mark, rent included.
        days_covered: How long the account's balance after paying lasts for all its premium; 0
            without an account.
        lock: What the pool locks for it: the most it can ever be paid.
        utilisation: Locked over what may be locked, before.
        utilisation_after: The same after it.
    """

    refusal: Refusal
    quote: OpenQuote
    premium_per_day: float
    days_covered: float
    lock: float
    utilisation: float
    utilisation_after: float


class Closing(NamedTuple):
    """A closing that has been priced but not done; amounts are base units."""

    quote: CloseQuote
    gross: int
    fee: int
    impact_released: int
    refunded: int
    spread: int


class QuotedClosing(NamedTuple):
    """What a sale would pay now; nothing has changed.

    Attributes:
        refusal: What speaks against it, but for a price limit.
        quote: The bid in tokens, every component of it.
        notional: What would be sold: a remnant below the minimum goes with it.
        gross: What the pools pay, in base units.
        fee: The protocol's part of it.
        total: What the seller receives, premium owed not yet deducted.
    """

    refusal: Refusal
    quote: CloseQuote
    notional: int
    gross: int
    fee: int
    total: int


class Fill(NamedTuple):
    """What a trade did, in base units: zero where it was refused.

    `amount` is what the buyer paid or the seller received, `index_e8` the index it was done at.
    """

    refusal: Refusal
    position_id: int
    notional: int
    amount: int
    fee: int
    index_e8: int


@kernel
def refused(code: int, limit: int, actual: int) -> Fill:
    """Return a fill that did not happen."""
    return Fill(Refusal(code, limit, actual), 0, 0, 0, 0, 0)
