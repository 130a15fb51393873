"""Options side by side are worth what they are worth alone, to the last bit."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from amm.elementary import log
from amm.lanes import LANES, enter, new_lanes, premium_rate_in, price_lanes, value_in
from amm.mixture import discounting_period
from amm.perpetual import perpetual_price
from amm.scenarios import Contract
from amm.ssvi import BTC_SURFACE
from amm.surface import COEFFICIENTS, fill_surface, make_table, strike_vol

WEEK = 7 / 365
TABLE = make_table(BTC_SURFACE, discounting_period(WEEK, 0.0))
CONTRACTS = st.builds(
    Contract,
    is_call=st.booleans(),
    strike=st.floats(1e3, 1e6),
    funding_period=st.floats(1 / 365, 1.0),
    discount_rate=st.floats(0.0, 0.1),
    carry=st.floats(-0.2, 0.2),
    cap=st.sampled_from([0.3, 0.5, 0.9, 1.0, math.inf]),
)


@given(
    options=st.lists(
        st.tuples(CONTRACTS, st.floats(0.2, 5.0), st.integers(0, 1)), min_size=1, max_size=LANES
    ),
    levels=st.tuples(st.floats(0.1, 3.0), st.floats(0.1, 3.0)),
)
def test_a_lane_is_the_option_alone(
    options: list[tuple[Contract, float, int]], levels: tuple[float, float]
) -> None:
    ratios = np.empty((2, COEFFICIENTS))
    surfaces = [
        fill_surface(TABLE, level, 0.05, row) for level, row in zip(levels, ratios, strict=True)
    ]
    lanes = new_lanes()
    for lane, (contract, moneyness, place) in enumerate(options):
        index = contract.strike * moneyness
        enter(lanes, lane, contract, index, surfaces[place], place)
    price_lanes(lanes, len(options), ratios)
    for lane, (contract, moneyness, place) in enumerate(options):
        index = contract.strike * moneyness
        vol = strike_vol(surfaces[place], log(contract.strike / index))
        terms = contract.funding_period, contract.discount_rate, contract.carry, contract.cap
        price = perpetual_price(contract.is_call, index / contract.strike, vol, *terms)
        assert value_in(lanes, lane) == price.value
        assert premium_rate_in(lanes, lane) == price.premium_rate
