"""Which quotes of a chain count, and which are refused."""

import math

import numpy as np
import pytest

from amm.chain import QUOTES_MIN, CalibrationError, Quote, smile_of


def quote(
    strike: float, vol: float = 0.5, delta: float = math.nan, call: bool | None = None
) -> Quote:
    is_call = strike >= 100.0 if call is None else call
    return Quote(f"{strike:g}", is_call, strike, vol, delta)


STRIKES = np.arange(80.0, 125.0, 5.0).tolist()


def test_quotes_in_the_money_and_far_out_do_not_count() -> None:
    listed = [
        quote(strike, call=call) for strike in [20.0, *STRIKES, 400.0] for call in (True, False)
    ]
    smile = smile_of(30.0 / 365.0, 100.0, listed)
    assert smile is not None
    assert list(smile.names) == [f"{strike:g}" for strike in STRIKES]
    assert smile.log_strikes == pytest.approx(np.log(np.array(STRIKES) / 100.0))


def test_the_delta_quoted_decides_where_there_is_one() -> None:
    listed = [quote(strike, delta=0.3) for strike in STRIKES]
    listed[0] = listed[0]._replace(delta=-0.0149)
    listed[-1] = listed[-1]._replace(delta=0.61)
    smile = smile_of(30.0 / 365.0, 100.0, listed)
    assert smile is not None
    assert smile.vols.size == len(STRIKES) - 2


def test_too_little_does_not_count() -> None:
    listed = [quote(strike, delta=0.3) for strike in STRIKES]
    assert smile_of(0.99 / 365.0, 100.0, listed) is None
    assert smile_of(1.01 / 365.0, 100.0, listed) is not None
    assert smile_of(30.0 / 365.0, 100.0, listed[: QUOTES_MIN - 1]) is None
    assert smile_of(30.0 / 365.0, 100.0, listed[:QUOTES_MIN]) is not None


@pytest.mark.parametrize(
    ("years", "forward", "listed"),
    [
        (0.1, 0.0, [quote(100.0)]),
        (0.1, math.nan, [quote(100.0)]),
        (math.nan, 100.0, [quote(100.0)]),
        (0.1, 100.0, [quote(-5.0)]),
        (0.1, 100.0, [quote(100.0, vol=math.nan)]),
        (0.1, 100.0, [quote(100.0, vol=55.0)]),
        (0.1, 100.0, [quote(strike) for strike in [*STRIKES, 100.0]]),
    ],
)
def test_numbers_no_market_quotes_are_refused(
    years: float, forward: float, listed: list[Quote]
) -> None:
    with pytest.raises(CalibrationError) as caught:
        smile_of(years, forward, listed)
    assert "\n" not in str(caught.value)
