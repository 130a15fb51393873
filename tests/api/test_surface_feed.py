"""Published surfaces: refused where none can be so, in force from a tick on, replaced when old."""

from dataclasses import replace

import pytest

from amm.ssvi import BTC_SURFACE, DEFAULT_SURFACES, Ssvi
from amm.units import DAY_MS, MINUTE_MS, ONE
from api.exchange import Exchange
from api.recovery import check_database, load_memory
from api.storage.store import open_store
from api.storage.url import DatabaseUrl
from tests.api.conftest import START_MS, TOKEN, tick
from vaults.commands import Open, PublishSurface
from vaults.rejects import Reject

STEEP = PublishSurface("BTC", 800_000_000, 5_000_000_000, -600_000_000, 1_200_000_000, START_MS + 1)
OUT_OF_THE_MONEY = Open(
    TOKEN, "buyer", "BTC", "put", 85_000 * ONE, ONE // 10, ONE, START_MS + MINUTE_MS
)


def asked(exchange: Exchange, now_ms: int) -> float:
    """What a put far out of the money is quoted at."""
    quoted = exchange.quote(replace(OUT_OF_THE_MONEY, now_ms=now_ms))
    assert quoted.refusal.code == Reject.NONE
    return quoted.quote.mid


def refusal(exchange: Exchange, now_ms: int) -> int:
    """What speaks against buying it."""
    return exchange.quote(replace(OUT_OF_THE_MONEY, now_ms=now_ms)).refusal.code


def test_a_surface_is_in_force_from_the_next_tick(exchange: Exchange) -> None:
    now = START_MS + MINUTE_MS
    before = asked(exchange, now)
    assert exchange.execute(STEEP, "steep").outcome.code == Reject.NONE
    assert refusal(exchange, now) == Reject.MARK_STALE
    tick(exchange, now + MINUTE_MS)
    assert asked(exchange, now + MINUTE_MS) > 1.2 * before
    assert exchange.memory.surfaces()[0] == Ssvi(0.8, 0.8, 5.0, -0.6, 1.2)
    assert exchange.memory.surfaces()[1] == DEFAULT_SURFACES["ETH"]


def test_a_surface_older_than_a_day_gives_way_to_the_default(exchange: Exchange) -> None:
    exchange.execute(STEEP, "steep")
    tick(exchange, START_MS + 2 * MINUTE_MS)
    last_ms = STEEP.now_ms + DAY_MS
    tick(exchange, last_ms)
    assert exchange.memory.surfaces()[0].skew == -0.6
    assert refusal(exchange, last_ms) == Reject.NONE
    assert refusal(exchange, last_ms + 1) == Reject.MARK_STALE
    tick(exchange, last_ms + 1)
    assert exchange.memory.surfaces()[0] == BTC_SURFACE
    again = replace(STEEP, now_ms=last_ms + 2)
    assert exchange.execute(again, "again").outcome.code == Reject.NONE
    tick(exchange, last_ms + 3)
    assert exchange.memory.surfaces()[0].skew == -0.6


def test_surfaces_survive_a_restart_and_the_journal_knows_them(
    exchange: Exchange, database: DatabaseUrl
) -> None:
    """Both the one in force and the one that waits for a tick."""
    exchange.execute(STEEP, "steep")
    now = START_MS + 2 * MINUTE_MS
    tick(exchange, now)
    here = asked(exchange, now)
    exchange.execute(replace(STEEP, skew_e9=100_000_000, now_ms=now), "next")
    exchange.commit()
    loaded = load_memory(exchange.store, ("BTC", "ETH"))
    assert loaded.surfaces() == exchange.memory.surfaces()
    assert not exchange.memory.differences(loaded)
    exchange.store.close()
    store = open_store(database)
    assert check_database(store).faults == []
    again = Exchange(store)
    assert refusal(again, now) == Reject.MARK_STALE
    tick(again, now + MINUTE_MS)
    assert asked(again, now + MINUTE_MS) != here
    assert again.memory.surfaces()[0].skew == 0.1
    store.close()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"underlying": "SOL"}, Reject.UNDERLYING_UNKNOWN),
        ({"long_vol_e9": 0}, Reject.PARAMETERS_INVALID),
        ({"long_vol_e9": 6 * 10**9}, Reject.PARAMETERS_INVALID),
        ({"reversion_e9": -1}, Reject.PARAMETERS_INVALID),
        ({"reversion_e9": 201 * 10**9}, Reject.PARAMETERS_INVALID),
        ({"skew_e9": 10**9}, Reject.PARAMETERS_INVALID),
        ({"curvature_e9": -1}, Reject.PARAMETERS_INVALID),
        ({"skew_e9": -600_000_000, "curvature_e9": 1_300_000_000}, Reject.PARAMETERS_INVALID),
        ({"now_ms": START_MS + 1}, Reject.TIME_NOT_INCREASING),
    ],
)
def test_what_is_no_surface_is_refused(
    exchange: Exchange, change: dict[str, int], code: Reject
) -> None:
    exchange.execute(STEEP, "steep")
    tick(exchange, START_MS + 2 * MINUTE_MS)
    wanted = replace(STEEP, **{"now_ms": START_MS + 3, **change})
    before = exchange.memory.market.published.tobytes()
    assert exchange.execute(wanted, "wrong").outcome.code == code
    assert exchange.memory.market.published.tobytes() == before


def test_a_surface_of_tomorrow_waits_for_it(exchange: Exchange) -> None:
    exchange.execute(replace(STEEP, now_ms=START_MS + DAY_MS), "tomorrow")
    tick(exchange, START_MS + 2 * MINUTE_MS)
    assert exchange.memory.surfaces()[0] == BTC_SURFACE
    assert refusal(exchange, START_MS + 2 * MINUTE_MS) == Reject.NONE
    tick(exchange, START_MS + DAY_MS)
    assert exchange.memory.surfaces()[0].skew == -0.6


HARD = PublishSurface("BTC", 135_000_000, 134_505_000_000, 947_000_000, 606_000_000, START_MS + 1)


def test_a_surface_whose_far_wings_are_worth_nothing_is_priced(exchange: Exchange) -> None:
    """Strikes that no float has a value for keep the vol of the last that has one."""
    assert exchange.execute(HARD, "hard").outcome.code == Reject.NONE
    order = Open(TOKEN, "buyer", "BTC", "call", 100_000 * ONE, ONE // 10, ONE, START_MS)
    now = START_MS + 2 * MINUTE_MS
    tick(exchange, now)
    assert exchange.execute(replace(order, now_ms=now), "open").outcome.code == Reject.NONE
    tick(exchange, now + MINUTE_MS)
    assert exchange.quote(replace(order, now_ms=now + MINUTE_MS)).quote.mid > 0.0
