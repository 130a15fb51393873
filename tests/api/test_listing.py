"""Lists of series: pages are the parts of one order, and cause no more work than they hold."""

from collections.abc import Callable, Iterator
from itertools import islice

import pytest

from amm.units import MINUTE_MS, ONE
from api.exchange import Exchange
from api.http.context import decode_cursor, page_from
from api.instruments import Series
from api.memory import Memory, Token
from api.views import market
from tests.api.conftest import START_MS, TOKEN, tick
from vaults.commands import Credit, ListToken, Open
from vaults.params import Parameters

NOW = START_MS + 2 * MINUTE_MS
SYMBOLS = ["BTC", "ETH"]
LOW, HIGH = 99_000, 101_000
"""The ends of what may be opened on BTC at 100,000."""
NARROW = Parameters(strike_low=LOW / 100_000, strike_high=HIGH / 100_000)
Walk = Callable[[Memory, list[str], list[str], market.Place | None], Iterator[Series]]


def open_one(
    exchange: Exchange, underlying: str, kind: str, strike: int, token: str = TOKEN
) -> None:
    order = Open(token, "buyer", underlying, kind, strike * ONE, ONE // 100, ONE, NOW)
    name = f"open-{token}-{underlying}-{kind}-{strike}"
    assert exchange.execute(order, name).outcome.code == 0


@pytest.fixture
def memory(exchange: Exchange) -> Memory:
    """Of an exchange with some tokens, something open in one of them."""
    for name in ("Z.M", "AB.M", "A.M"):
        exchange.execute(ListToken(name, NOW, NARROW), f"list-{name}")
    tick(exchange, NOW)
    for strike in (90_000, 100_000, 110_000):
        open_one(exchange, "BTC", "call", strike)
    open_one(exchange, "BTC", "put", 100_000)
    open_one(exchange, "ETH", "put", 4_000)
    return exchange.memory


def listed_at_once(
    memory: Memory, tokens: list[str], underlyings: list[str], *, is_live: bool
) -> list[Series]:
    """Return what the pages are to hold, from every strike and every row there is."""
    found = set()
    for name in tokens:
        for slot in range(int(memory.tokens[name].state.pool[0].series_count)):
            row = memory.tokens[name].state.series[slot]
            if not is_live or row.open_notional > 0:
                found.add(market.series_of(memory, name, slot))
        ladder = [] if is_live else underlyings
        for symbol in ladder:
            for strike in market.strikes(memory, memory.tokens[name], SYMBOLS.index(symbol)):
                found |= {Series(symbol, name, kind, strike) for kind in ("call", "put")}
    return sorted((each for each in found if each.underlying in underlyings), key=market.place)


@pytest.mark.parametrize("walk", [market.listed, market.live])
@pytest.mark.parametrize("limit", [1, 7, 500])
@pytest.mark.parametrize("underlyings", [["BTC", "ETH"], ["ETH"]])
def test_pages_are_the_parts_of_one_order(
    memory: Memory, walk: Walk, limit: int, underlyings: list[str]
) -> None:
    names = [name for name in memory.tokens if name != TOKEN or walk is market.live]
    whole = listed_at_once(memory, names, underlyings, is_live=walk is market.live)
    found: list[Series] = []
    after = None
    while True:
        page = page_from(walk(memory, names, underlyings, after), market.place, limit)
        found += page.items
        if page.next is None:
            break
        assert len(page.items) == limit
        after = decode_cursor(page.next, market.Place)
    assert found == whole
    assert len(whole) >= len(underlyings)


def test_what_was_opened_stays_listed(exchange: Exchange, memory: Memory) -> None:
    """Once, and also where it cannot be opened any more."""
    exchange.execute(Credit("A.M", "buyer", ONE, NOW), "credit-narrow")
    for strike in (LOW, HIGH):
        open_one(exchange, "BTC", "call", strike, "A.M")
    for minute in range(3, 6):
        tick(exchange, START_MS + minute * MINUTE_MS, btc=HIGH)
    ladder = market.strikes(memory, memory.tokens["A.M"], SYMBOLS.index("BTC"))
    assert LOW * ONE not in ladder
    assert HIGH * ONE in ladder
    found = list(market.listed(memory, ["A.M"], SYMBOLS, None))
    assert found == listed_at_once(memory, ["A.M"], SYMBOLS, is_live=False)
    assert found[0] == Series("BTC", "A.M", "call", LOW * ONE)


def test_a_place_need_not_be_that_of_a_series(memory: Memory) -> None:
    """Nor of a token or an underlying there is: it goes on with what comes after it."""
    names = list(memory.tokens)
    whole = listed_at_once(memory, names, SYMBOLS, is_live=False)
    known = [market.place(each) for each in whole[:: len(whole) // 20]]
    for after in (
        *known,
        ("", "", 0, ""),
        ("AA.M", "DOGE", 1, "call"),
        ("AB.M", "BTC", 100_000 * ONE + 1, "call"),
        ("AB.M", "CCC", 0, ""),
        ("AB.M", "ETH", 10**30, "zzz"),
        ("ZZ", "", 0, ""),
    ):
        rest = [each for each in whole if market.place(each) > after]
        assert list(market.listed(memory, names, SYMBOLS, after)) == rest


class Looked(dict[str, Token]):
    """Tokens, and which of them were looked at."""

    def __init__(self, tokens: dict[str, Token]) -> None:
        super().__init__(tokens)
        self.names: list[str] = []

    def __getitem__(self, name: str) -> Token:
        self.names.append(name)
        return super().__getitem__(name)


@pytest.mark.parametrize(("after", "first"), [(None, "A.M"), (("Z.M", "", 0, ""), "Z.M")])
def test_a_page_looks_at_its_own_tokens_only(
    exchange: Exchange, memory: Memory, after: market.Place | None, first: str
) -> None:
    for number in range(16):
        exchange.execute(ListToken(f"M{number}.M", NOW, NARROW), f"list-{number}")
    memory.tokens = looked = Looked(memory.tokens)
    assert len(looked) == 20
    page = page_from(market.listed(memory, list(looked), SYMBOLS, after), market.place, 1)
    assert [each.token for each in page.items] == [first]
    assert looked.names == [first]


def test_tickers_are_of_what_is_open_only(memory: Memory) -> None:
    """No strike of a token in which nothing is open is looked at."""
    found = list(islice(market.live(memory, list(memory.tokens), SYMBOLS, None), 10))
    assert [each.name for each in found] == [
        f"BTC-{TOKEN}-90000-C",
        f"BTC-{TOKEN}-100000-C",
        f"BTC-{TOKEN}-100000-P",
        f"BTC-{TOKEN}-110000-C",
        f"ETH-{TOKEN}-4000-P",
    ]
