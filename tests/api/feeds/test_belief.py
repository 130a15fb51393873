"""Which prices are believed, of sources alone and together."""

import pytest

from amm.units import DAY_MS, HOUR_MS, MINUTE_MS, ONE, SECOND_MS
from api.feeds import Observation
from api.feeds.belief import Belief, LastIndex

NOW_MS = 10**12
INDEX = {"BTC": LastIndex(60_000 * ONE, NOW_MS)}


def is_believed(
    belief: Belief, usd: float, late_ms: int = 0, exponent: int = -8, source: str = "pyth"
) -> bool:
    seen = Observation("BTC", round(usd * ONE), 0, NOW_MS + late_ms)
    return belief.doubt(source, seen, exponent) is None


def test_a_power_of_ten_is_refused_for_as_long_as_it_lasts() -> None:
    belief = Belief()
    assert is_believed(belief, 60_000)
    for late_ms in (SECOND_MS, MINUTE_MS, 2 * MINUTE_MS, DAY_MS, 400 * DAY_MS):
        assert not is_believed(belief, 600_000, late_ms, -7)
        assert not is_believed(belief, 6_000, late_ms, -9)
    assert is_believed(belief, 60_100, 400 * DAY_MS)


@pytest.mark.parametrize(
    ("late_ms", "usd"),
    [(0, 60_550), (MINUTE_MS, 61_200), (HOUR_MS, 65_500), (DAY_MS, 91_000), (90 * DAY_MS, 119_000)],
)
def test_a_change_of_notation_may_move_as_the_market_does(late_ms: int, usd: float) -> None:
    """Up to there, down as far, not two fifths further. Then the new one is the usual one."""
    for price in (usd, 60_000**2 / usd):
        belief = Belief()
        assert is_believed(belief, 60_000)
        beyond = 60_000 * (price / 60_000) ** 1.4
        assert not is_believed(belief, beyond, late_ms, -5)
        assert is_believed(belief, price, late_ms, -5)
        assert is_believed(belief, price * 1.2, late_ms, -5)
        assert not is_believed(belief, price * 10, late_ms, -8)


def test_another_source_vouches_for_an_exponent() -> None:
    belief = Belief()
    assert is_believed(belief, 60_000)
    assert is_believed(belief, 60_000, exponent=0, source="deribit")
    assert is_believed(belief, 66_000, SECOND_MS, 0, "deribit")
    assert not is_believed(belief, 66_400, SECOND_MS, -7)  # more than 50 bp
    assert not is_believed(belief, 66_000, 12 * SECOND_MS, -7)  # of long ago
    assert is_believed(belief, 66_300, 2 * SECOND_MS, -7)


def test_a_source_does_not_vouch_for_itself_nor_for_another_symbol() -> None:
    belief = Belief(INDEX)
    assert [is_believed(belief, 600_000, late) for late in (0, 1, 2)] == [False] * 3
    other = Observation("ETH", 600_000 * ONE, 0, NOW_MS)
    assert belief.doubt("deribit", other, 0) is None
    assert not is_believed(belief, 600_000, 3)


@pytest.mark.parametrize(("usd", "good"), [(12_000, False), (12_001, True), (299_999, True)])
def test_a_first_price_is_measured_by_the_last_index(usd: float, good: bool) -> None:
    belief = Belief(INDEX)
    assert is_believed(belief, usd, DAY_MS) == good
    assert not is_believed(Belief(INDEX), 300_000, 14 * DAY_MS)
    assert is_believed(Belief(INDEX), 300_000, 14 * DAY_MS + 1)
    assert is_believed(belief, 60_000, DAY_MS)


def test_two_sources_that_agree_outvote_the_index() -> None:
    belief = Belief(INDEX)
    assert not is_believed(belief, 600_000, 0)
    assert is_believed(belief, 600_100, 1, 0, "deribit")
    assert is_believed(belief, 600_000, 2)
