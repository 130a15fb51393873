"""What can be asked before an order: it is what the order then does, and nothing changes."""

from hypothesis import given
from hypothesis import strategies as st

from amm.units import ONE
from tests.vaults.harness import BTC, Bench, clone, funded
from vaults.invariants import states_are_equal
from vaults.opening import quote_opening
from vaults.params import Parameters
from vaults.quotes import largest_opening, quote_closing
from vaults.rejects import Reject
from vaults.state import NONE
from vaults.trade import QuotedClosing


def sale_of(bench: Bench, account: int, position: int, notional: int) -> QuotedClosing:
    inputs = (bench.state, bench.rules, bench.market, account, position, notional, bench.now)
    return quote_closing(*inputs)


@given(
    held=st.integers(ONE // 10, 200 * ONE),
    share=st.floats(0.0, 1.0),
    move=st.floats(-0.2, 0.2),
    is_call=st.booleans(),
)
def test_a_sale_pays_what_was_quoted(held: int, share: float, move: float, is_call: bool) -> None:
    """To the base unit, after any move and a minute of premium, remnants included."""
    bench = funded()
    account = bench.account()
    fill = bench.open(account, held, is_call=is_call)
    assert fill.refusal.code == Reject.NONE
    bench.tick(100_000 * (1.0 + move))
    notional = max(1, round(held * share))
    before = clone(bench.state)
    told = sale_of(bench, account, fill.position_id, notional)
    assert states_are_equal(before, bench.state)
    sold = bench.close(account, fill.position_id, notional)
    assert sold.refusal.code == told.refusal.code == Reject.NONE
    assert (sold.notional, sold.amount, sold.fee) == (told.notional, told.total, told.fee)
    assert told.gross == told.total + told.fee
    assert told.quote.gross * ONE - 1 <= told.gross <= told.quote.gross * ONE + 1


def test_a_quoted_sale_names_what_speaks_against_it() -> None:
    bench = funded()
    account, other = bench.account(), bench.account()
    position = bench.open(account, ONE).position_id
    wrong = {
        (NONE, position, ONE): Reject.ACCOUNT_UNKNOWN,
        (other, position, ONE): Reject.POSITION_UNKNOWN,
        (account, position, 0): Reject.AMOUNT_NOT_POSITIVE,
        (account, position, ONE + 1): Reject.SIZE_EXCEEDS_POSITION,
    }
    for asked, code in wrong.items():
        told = sale_of(bench, *asked)
        assert told.refusal.code == code
        assert told[2:] == (0, 0, 0, 0)
    bench.now += 11_000
    assert sale_of(bench, account, position, ONE).refusal.code == Reject.MARK_STALE


def refusal_of(bench: Bench, account: int, strike: int, notional: int, **kind: bool) -> Reject:
    """Return what a copy of the bench says to an order."""
    other = bench.copy()
    if account != NONE:
        return Reject(other.open(account, notional, strike, **kind).refusal.code)
    series = (BTC, kind.get("is_call", True), strike * ONE)
    inputs = (other.state, other.rules, other.market, NONE, *series, notional, other.now)
    return Reject(quote_opening(*inputs).refusal.code)


def largest_of(bench: Bench, account: int, strike: int, is_call: bool = True) -> int:
    inputs = (bench.state, bench.rules, bench.market, account, BTC, is_call, strike * ONE)
    return int(largest_opening(*inputs, bench.now))


BOOKS = {
    "as it is": {},
    "stress": {"series_share_ppm": 10**6, "account_share_ppm": 10**6, "stress_share_ppm": 20_000},
    "capacity": {"series_share_ppm": 10**6, "account_share_ppm": 10**6, "stress_share_ppm": 10**6},
    "account": {"account_share_ppm": 10_000},
}


@given(
    book=st.sampled_from(sorted(BOOKS)),
    strike=st.integers(71, 139).map(lambda thousands: thousands * 1_000),
    is_call=st.booleans(),
    balance=st.none() | st.integers(0, 200 * ONE),
    taken=st.integers(0, 300),
)
def test_the_largest_is_taken_and_a_unit_more_is_not(
    book: str, strike: int, is_call: bool, balance: int | None, taken: int
) -> None:
    """Whatever limits it: series, account, capacity, stress, or what the account can pay."""
    bench = funded(parameters=Parameters(**BOOKS[book]))
    bench.checked = False
    if taken:
        bench.open(bench.account(), taken * ONE, 105_000)
    account = NONE if balance is None else bench.account(1 + balance)
    before = clone(bench.state)
    largest = largest_of(bench, account, strike, is_call)
    assert states_are_equal(before, bench.state)
    smallest = bench.parameters.notional_min
    if largest == 0:
        assert refusal_of(bench, account, strike, smallest, is_call=is_call) != Reject.NONE
    else:
        assert largest >= smallest
        assert refusal_of(bench, account, strike, largest, is_call=is_call) == Reject.NONE
        beyond = refusal_of(bench, account, strike, largest + 1, is_call=is_call)
        assert beyond != Reject.NONE


def test_every_limit_is_met_somewhere() -> None:
    """The property above would hold of a series share alone."""
    seen = set()
    for book in BOOKS.values():
        bench = funded(parameters=Parameters(**book))
        bench.checked = False
        for account in (NONE, bench.account(ONE), bench.account()):
            largest = largest_of(bench, account, 100_000)
            seen.add(refusal_of(bench, account, 100_000, largest + 1))
    limits = {Reject.SERIES_SHARE, Reject.ACCOUNT_SHARE, Reject.STRESS_LIMIT, Reject.BALANCE}
    assert limits <= seen


def test_where_nothing_can_be_bought_the_largest_is_nothing() -> None:
    """Off the ladder or the window, in a series too cheap, on a stale mark, or without means."""
    bench = funded()
    account = bench.account()
    assert largest_of(bench, account, 100_000) > 0
    assert largest_of(bench, bench.account(1), 100_000) == 0
    assert largest_of(bench, account, 200_000) == 0
    inputs = (bench.state, bench.rules, bench.market, account, BTC, True)
    assert largest_opening(*inputs, 100_000 * ONE + 1, bench.now) == 0
    bench.change(total_min_ppm=999_999)
    assert largest_of(bench, account, 100_000) == 0
    bench.change(total_min_ppm=500, series_live_max=0)
    assert largest_of(bench, account, 100_000) == 0
    bench.change(series_live_max=10)
    assert largest_of(bench, account, 100_000) > 0
    bench.now += 11_000
    assert largest_of(bench, account, 100_000) == 0
