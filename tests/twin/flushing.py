"""The flush of the twin, step by step as it is written down."""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from tests.twin import cover
from tests.twin.accounts import give_back, rent_doubles
from tests.twin.books import LARGEST, MILLION, Books, Closed, Request, down, up
from tests.twin.premium import allot, settle
from tests.twin.worth import (
    Condition,
    Model,
    Nav,
    accrued_to_main,
    capacity,
    condition_of,
    needed_for,
    net_asset_value,
    receivable,
    stress_of,
    unvested,
    used,
)
from vaults.moves import Flow, RequestKind, RequestStatus
from vaults.rejects import Reject


@dataclass
class Prices:
    """What one pool's shares cost in one flush: NAVs to enter, leave and cross at."""

    supply: int
    high: int
    low: int
    cross: int

    def bought(self, amount: int, nav: int) -> int:
        """Return the shares tokens buy at a NAV."""
        return 0 if nav < 0 or amount <= 0 else down(amount, self.supply + 1, nav + 1)

    def worth(self, shares: int, nav: int) -> int:
        """Return what shares are worth at a NAV."""
        return 0 if nav < 0 else down(shares, nav + 1, self.supply + 1)


@dataclass
class Side:
    """One of the two pools in a flush: its requests, and the cash they move.

    `needed` is what NAV the base stress asks for, `cash` main's as the prices were taken.
    """

    books: Books
    is_main: bool
    prices: Prices
    needed: int
    cash: int

    @property
    def deposits(self) -> RequestKind:
        """Requests to enter."""
        return RequestKind.DEPOSIT_MAIN if self.is_main else RequestKind.DEPOSIT_INSURANCE

    @property
    def redemptions(self) -> RequestKind:
        """Requests to leave."""
        return RequestKind.REDEEM_MAIN if self.is_main else RequestKind.REDEEM_INSURANCE

    @property
    def supply(self) -> int:
        """Shares of the pool now."""
        return self.books.main_shares if self.is_main else self.books.insurance_shares

    def taking_part(self, kind: RequestKind) -> list[Request]:
        """Return the requests of this flush: of its date or older, cooled down, by row."""
        books = self.books
        rows = [each for each in books.waiting(kind) if each.flush <= books.flushes]
        if kind == RequestKind.REDEEM_INSURANCE:
            cooled = books.next_flush - books.parameters.cooldown_ms
            rows = [each for each in rows if each.created <= cooled]
        return rows

    def add_cash(self, amount: int) -> None:
        """Move cash into the pool."""
        if self.is_main:
            self.books.main += amount
        else:
            self.books.insurance += amount

    def add_shares(self, shares: int) -> None:
        """Mint or burn."""
        if self.is_main:
            self.books.main_shares += shares
        else:
            self.books.insurance_shares += shares

    def free(self, condition: Condition) -> int:
        """Return what net redemptions can take now, the condition's gate included."""
        books, prices = self.books, self.prices
        if condition == Condition.WINDDOWN:
            return 0
        if condition == Condition.EXHAUSTED:
            return prices.low
        if self.is_main:
            free = free_main(books, prices.low + books.main - self.cash, self.needed)
        else:
            free = cover.redeemable(books)
        if condition == Condition.STRESSED:
            gate = down(prices.supply, books.parameters.stressed_share_ppm, MILLION)
            free = min(free, prices.worth(gate, prices.low))
        return free

    def fee(self, free: int) -> int:
        """Return the exit fee in millionths: by the utilisation that leavers leave behind."""
        books, parameters = self.books, self.books.parameters
        waiting = self.taking_part(self.redemptions)
        wanted = sum(self.prices.worth(each.amount, self.prices.low) for each in waiting)
        leaving = min(wanted, free)
        main = max(0, books.main - leaving) if self.is_main else books.main
        insurance = books.insurance if self.is_main else max(0, books.insurance - leaving)
        above = used(books.locked, capacity(books, main, insurance)) - parameters.exit_fee_from
        part = min(max(above / (1.0 - parameters.exit_fee_from), 0.0), 1.0)
        slope = parameters.exit_fee_max_ppm - parameters.exit_fee_ppm
        return parameters.exit_fee_ppm + ceil(slope * part)

    def enter(self, asked: Request, amount: int, shares: int) -> None:
        """Fill a part of a deposit."""
        asked.amount -= amount
        asked.filled += amount
        asked.paid += shares
        self.add_cash(amount)
        self.add_shares(shares)
        self.books.move_shares(asked.kind, asked.account, shares)
        self.books.flows[Flow.DEPOSIT] += amount
        if asked.amount == 0:
            asked.status = RequestStatus.FILLED

    def leave(self, asked: Request, shares: int, paid: int, fee: int) -> None:
        """Fill a part of a redemption."""
        asked.amount -= shares
        asked.filled += shares
        asked.paid += paid
        self.add_shares(-shares)
        settle(self.books, asked.account)
        self.add_cash(-paid)
        self.books.accounts[asked.account].balance += paid
        self.books.flows[Flow.REDEMPTION] += paid
        flow = Flow.EXIT_FEE if self.is_main else Flow.EXIT_FEE_INSURANCE
        self.books.flows[flow] += fee
        if asked.amount == 0:
            asked.status = RequestStatus.FILLED


NOTHING = Nav(0, 0, 0)


@dataclass(frozen=True)
class Flushed:
    """What a flush did: reached conditions are named for tests to see that they were reached."""

    refusal: Reject = Reject.NONE
    done: bool = False
    nav: Nav = NOTHING
    after: Nav = NOTHING
    gain: int = 0
    claim: int = 0
    repaid: int = 0
    condition: Condition = Condition.NORMAL


def marks_are_good(books: Books, model: Model) -> bool:
    """Whether every underlying in the book has a full, fresh and settled window."""
    parameters = books.parameters
    for underlying in (0, 1):
        if list(books.live(underlying)):
            window = model.window(underlying)
            is_full = window.marks >= parameters.window_marks_min
            is_settled = window.move <= parameters.unsettled_move
            if not (is_full and window.is_fresh and is_settled):
                return False
    return True


def dates_of(requests: list[Request]) -> list[list[Request]]:
    """Group requests by the flush they were first in, oldest first."""
    dates = sorted({each.flush for each in requests})
    return [[each for each in requests if each.flush == date] for date in dates]


def _test_limits(side: Side, condition: Condition) -> None:
    """Return, each alone, the requests whose own limit the price of the whole misses.

    Where both kinds of requests meet, one unit of rounding counts against each. While the pool
    winds down there is one price, the crossing's, and no fee.
    """
    prices, books = side.prices, side.books
    deposits, redemptions = side.taking_part(side.deposits), side.taking_part(side.redemptions)
    slack = 1 if deposits and redemptions else 0
    high, low, free = prices.high, prices.low, side.free(condition)
    if condition == Condition.WINDDOWN:
        high = low = prices.cross
    room = LARGEST - prices.supply
    for asked in deposits:
        bought = prices.bought(max(0, asked.amount - slack), high) - slack
        if bought > room or asked.paid + max(0, bought) < max(1, asked.min_out):
            give_back(books, asked, RequestStatus.RETURNED)
        else:
            room -= max(0, bought)
    if condition == Condition.WINDDOWN:
        _test_redemptions(side, low, 0, slack)
    else:
        _test_redemptions(side, low, books.parameters.exit_fee_ppm, slack)
        _test_redemptions(side, low, side.fee(free), slack)


def _test_redemptions(side: Side, low: int, fee: int, slack: int) -> None:
    """Return the redemptions that miss their limit at a fee, and those that are worth nothing."""
    for asked in side.taking_part(side.redemptions):
        gross = side.prices.worth(asked.amount, low)
        is_dust = low >= 0 and gross == 0
        net = asked.paid + max(gross - up(gross, fee, MILLION) - slack, 0)
        if net < asked.min_out or is_dust:
            give_back(side.books, asked, RequestStatus.RETURNED)


def _tokens_spent(side: Side, left: int) -> list[tuple[Request, int]]:
    """Share what tokens cross among deposits: oldest date first, the marginal one pro rata."""
    spent = []
    for date in dates_of(side.taking_part(side.deposits)):
        tokens = sum(each.amount for each in date)
        of_date = min(left, tokens)
        spent += [(each, down(of_date, each.amount, tokens)) for each in date]
        left -= of_date
    return spent


def _shares_sold(side: Side, left: int) -> list[tuple[Request, int]]:
    """Share exactly as many among redemptions; what rounding leaves goes to the first rows."""
    sold = []
    for date in dates_of(side.taking_part(side.redemptions)):
        wanted = sum(each.amount for each in date)
        of_date = min(left, wanted)
        parts = [down(of_date, each.amount, wanted) for each in date]
        over = of_date - sum(parts)
        for place, each in enumerate(date):
            if over > 0 and parts[place] < each.amount:
                parts[place] += 1
                over -= 1
        assert over == 0
        sold += list(zip(date, parts, strict=True))
        left -= of_date
    return sold


def cross(side: Side) -> None:
    """Let deposits take over shares of redemptions at one price: no fee, no free cash needed."""
    prices = side.prices
    tokens = sum(each.amount for each in side.taking_part(side.deposits))
    shares = sum(each.amount for each in side.taking_part(side.redemptions))
    if prices.cross < 0 or tokens == 0 or shares == 0:
        return
    meeting = min(tokens, prices.worth(shares, prices.cross))
    changing = received = paid = 0
    for asked, part in _tokens_spent(side, meeting):
        got = prices.bought(part, prices.cross)
        if got > 0:
            cost = up(got, prices.cross + 1, prices.supply + 1)
            side.enter(asked, cost, got)
            changing += got
            received += cost
    for asked, part in _shares_sold(side, changing):
        if part > 0:
            side.leave(asked, part, prices.worth(part, prices.cross), 0)
            paid += prices.worth(part, prices.cross)
    assert side.supply == prices.supply
    assert received >= paid


def deposit_rest(side: Side) -> None:
    """Mint for what of deposits has not crossed."""
    for asked in side.taking_part(side.deposits):
        side.enter(asked, asked.amount, side.prices.bought(asked.amount, side.prices.high))


def redeem_rest(side: Side, condition: Condition) -> None:
    """Burn what fits into what is free: oldest date first, the marginal one pro rata."""
    prices, left = side.prices, side.free(condition)
    fee_ppm = side.fee(left)
    for date in dates_of(side.taking_part(side.redemptions)):
        worth = sum(prices.worth(each.amount, prices.low) for each in date)
        fits = min(left, worth)
        for asked in date:
            shares = asked.amount if fits == worth else down(asked.amount, fits, worth)
            if prices.worth(shares, prices.low) > left:
                shares = down(left, prices.supply + 1, prices.low + 1)
            gross = prices.worth(shares, prices.low)
            if gross > 0:
                fee = up(gross, fee_ppm, MILLION)
                side.leave(asked, shares, gross - fee, fee)
                left -= gross
                assert left >= 0
            elif fits == worth and prices.low > 0 and asked.filled > 0:
                give_back(side.books, asked, RequestStatus.FILLED)
        if fits < worth:
            return


def _fill(side: Side, condition: Condition) -> None:
    """Let one pool's providers come and go."""
    _test_limits(side, condition)
    cross(side)
    if condition != Condition.WINDDOWN:
        deposit_rest(side)
    redeem_rest(side, condition)


def _let_insurers_go(books: Books, needed: int) -> None:
    """Pay insurers of an exhausted pool what is left if all locks were paid."""
    low = max(0, books.insurance - max(0, books.locked - books.main))
    side = Side(books, False, Prices(books.insurance_shares, low, low, low), needed, books.main)
    _test_redemptions(side, low, side.fee(low), 0)
    redeem_rest(side, Condition.EXHAUSTED)


def free_main(books: Books, low: int, needed: int) -> int:
    """Free: what redemptions can take of main."""
    parameters = books.parameters
    backed = down(books.insurance, parameters.insurance_backing_ppm, MILLION)
    own = up(books.locked, parameters.free_locked_ppm, MILLION)
    unlocked = books.main - max(books.locked - backed, own, 0)
    return max(0, min(unlocked, low - needed))


def is_worthless(books: Books, nav: Nav) -> bool:
    """Whether a share is worth less than 1e-4 of what the seed's were issued at."""
    return nav.mid * 10_000 < down(books.main_shares, books.parameters.seed, books.main_seed)


def _return_all(books: Books) -> None:
    """Return every request there is."""
    for asked in books.requests:
        if asked.status == RequestStatus.OPEN:
            give_back(books, asked, RequestStatus.RETURNED)


def _dissolve(books: Books) -> None:
    """Pay back what can be, and share out what both pools have; the seeds' parts stay."""
    _return_all(books)
    cover.repay(books, min(books.main, books.advances))
    cover.write_off_all(books)
    main, main_shares = books.main, books.main_shares
    insurance, insurance_shares = books.insurance, books.insurance_shares
    for row, holder in enumerate(books.accounts):
        of_main = down(holder.main_shares, main, main_shares)
        of_insurance = down(holder.insurance_shares, insurance, insurance_shares)
        books.main_shares -= holder.main_shares
        books.insurance_shares -= holder.insurance_shares
        holder.main_shares = holder.insurance_shares = 0
        books.main -= of_main
        books.insurance -= of_insurance
        settle(books, row)
        holder.balance += of_main + of_insurance
        books.flows[Flow.DISSOLUTION] += of_main + of_insurance


def _end(books: Books, nav: Nav) -> None:
    """Exhaust a worthless pool; at a later flush, its last position gone, dissolve it."""
    if not books.is_exhausted and is_worthless(books, nav):
        books.is_exhausted = True
        _return_all(books)
    elif books.is_exhausted and books.locked == 0:
        _dissolve(books)


def _settle_cover(books: Books, nav: Nav, needed: int) -> tuple[int, int, int]:
    """Pay a claim, or pay back; then write off. Returns the gain, the claim, the repayment."""
    cover.note_peak(books)
    gain = nav.mid - books.nav_after
    claim = back = 0
    if not books.is_exhausted:
        claim = cover.claim_of(books, books.cover.pnl + gain)
        if claim > 0:
            cover.pay_claim(books, claim)
        else:
            share = down(max(0, gain), books.parameters.repay_share_ppm, MILLION)
            back = max(0, min(books.advances, share, free_main(books, nav.low, needed)))
            cover.repay(books, back)
    if books.advances > 0:
        cover.write_off(books)
    return gain, claim, back


def _fill_both(books: Books, nav: Nav, needed: int, condition: Condition) -> None:
    middle = nav.mid - ceil(Fraction(unvested(books) + books.advances, 2))
    crossing = min(max(middle, nav.low), nav.high)
    prices = Prices(books.main_shares, nav.high, nav.low, crossing)
    _fill(Side(books, True, prices, needed, books.main), condition)
    low = books.insurance
    high = low + books.advances + receivable(books) - accrued_to_main(books)
    prices = Prices(books.insurance_shares, high, low, low)
    _fill(Side(books, False, prices, needed, books.main), condition)


def _begin_epoch(books: Books, nav: Nav, stress: int, gain: int, claim: int) -> None:
    """Set what holds until the next flush; the dust owed is divided by the new phi."""
    is_new = books.flushes % books.parameters.cover_period_flushes == 0
    cover.keep_track(books, nav.mid, gain, claim, is_new)
    before = accrued_to_main(books)
    phi = cover.price_of(books, stress)
    books.is_rent_doubled = rent_doubles(books, books.flushes + 1)
    books.phi = phi
    books.nav_reference = max(0, nav.mid)
    books.nav_after += accrued_to_main(books) - before
    books.flushes += 1
    _schedule(books, cover.next_flush(books))
    _close(books)


def _close(books: Books) -> None:
    """Keep what the next epoch's profit and loss is told apart from."""
    books.closed = Closed(
        books.nav_after,
        books.insurance,
        accrued_to_main(books),
        books.refundable,
        books.flows.copy(),
    )


def _schedule(books: Books, next_flush: int) -> None:
    books.next_flush = next_flush
    books.cutoff = next_flush - books.parameters.cutoff_ms


def _postpone(books: Books) -> None:
    """Try later: half the time to take a request back, half to watch the marks."""
    later = books.parameters.postpone_ms
    books.next_flush = books.now + later
    books.cutoff = books.now + later // 2


def list_token(books: Books, now: int) -> None:
    """Open both pools with their seeds."""
    seed = books.parameters.seed
    books.now = now
    books.main = books.insurance = books.main_shares = books.insurance_shares = seed
    books.main_seed = books.insurance_seed = seed
    books.custody = 2 * seed
    books.flows[Flow.SEED] += 2 * seed
    _schedule(books, cover.next_flush(books))
    cover.keep_track(books, seed, 0, 0, is_new=True)
    _close(books)


def flush(books: Books, now: int, model: Model) -> Flushed:
    """Settle cover, fill the requests of both pools, and begin the next epoch."""
    if now < books.next_flush:
        return Flushed(Reject.NOT_DUE)
    books.now = now
    if not marks_are_good(books, model):
        _postpone(books)
        return Flushed()
    for row in range(len(books.accounts)):
        if books.held_by(row):
            settle(books, row)
            allot(books, row)
    asked = {each.account for each in books.requests if each.status == RequestStatus.OPEN}
    stress = stress_of(books, model)
    needed = needed_for(books, stress)
    gain, claim, back = _settle_cover(books, net_asset_value(books, model), needed)
    nav = net_asset_value(books, model)
    _end(books, nav)
    condition = condition_of(books, nav, stress)
    if condition == Condition.EXHAUSTED:
        _let_insurers_go(books, needed)
    else:
        _fill_both(books, nav, needed, condition)
    for account in sorted(asked):
        allot(books, account)
    after = net_asset_value(books, model)
    _begin_epoch(books, after, stress, gain, claim)
    return Flushed(Reject.NONE, True, nav, after, gain, claim, back, condition)
