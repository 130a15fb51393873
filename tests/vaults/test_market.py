"""The surface in force: what was published, until it is too old."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm.oracle import initial_state
from amm.ssvi import BTC_SURFACE, Ssvi
from amm.units import DAY_MS, MINUTE_MS, SECOND_MS
from vaults.market import (
    ShapeRow,
    adopt_shape,
    new_market,
    publish,
    refresh_window,
    shape_fault,
    shape_row,
    surface_of,
)

PUBLISHED = 1_760_000_000_000
STEEP = Ssvi(0.9, 0.7, 5.0, -0.6, 1.2)


def test_a_surface_is_published_without_its_level() -> None:
    row = shape_row(STEEP, PUBLISHED)
    assert row == (PUBLISHED, 700_000_000, 5_000_000_000, -600_000_000, 1_200_000_000)
    assert surface_of(row, BTC_SURFACE) == STEEP._replace(short_vol=0.7)
    assert surface_of(ShapeRow(), BTC_SURFACE) == BTC_SURFACE


def test_a_tick_adopts_what_was_published_and_drops_it_when_old() -> None:
    market = new_market(initial_state(0.5))
    assert not adopt_shape(market, 0, PUBLISHED)
    market.published[0] = tuple(shape_row(STEEP, PUBLISHED))
    assert adopt_shape(market, 0, PUBLISHED)
    assert not adopt_shape(market, 0, PUBLISHED + DAY_MS)
    assert adopt_shape(market, 0, PUBLISHED + DAY_MS + 1)
    assert market.shapes[0].published_ms == 0
    assert market.shapes[1].published_ms == 0


def test_the_same_shape_again_is_no_change_but_lasts_longer() -> None:
    market = new_market(initial_state(0.5))
    market.published[0] = tuple(shape_row(STEEP, PUBLISHED))
    adopt_shape(market, 0, PUBLISHED)
    market.published[0] = tuple(shape_row(STEEP, PUBLISHED + DAY_MS))
    assert not adopt_shape(market, 0, PUBLISHED + DAY_MS)
    assert not adopt_shape(market, 0, PUBLISHED + 2 * DAY_MS)
    assert adopt_shape(market, 0, PUBLISHED + 2 * DAY_MS + 1)


@pytest.mark.parametrize(
    ("surface", "fault"),
    [
        (STEEP, ""),
        (STEEP._replace(long_vol=0.001), "long_vol"),
        (STEEP._replace(reversion=-0.1), "reversion"),
        (STEEP._replace(skew=-1.0), "skew"),
        (STEEP._replace(curvature=1.26), "curvature"),
        (STEEP._replace(curvature=-0.1), "curvature"),
    ],
)
def test_what_no_surface_can_have_is_named(surface: Ssvi, fault: str) -> None:
    assert shape_fault(shape_row(surface, PUBLISHED)) == fault


@given(
    st.lists(
        st.tuples(st.sampled_from([1, 30, 60, 3_540, 3_600, 7_200]), st.integers(1, 1_000)),
        min_size=1,
        max_size=90,
    )
)
def test_a_window_is_what_its_minutes_say(indices: list[tuple[int, int]]) -> None:
    """However long the market was silent before an index."""
    market = new_market(initial_state(0.5))
    oracle, now_ms = market.oracle[0], PUBLISHED
    for seconds, index in indices:
        now_ms += seconds * SECOND_MS
        oracle.index_ms, oracle.index_e8, oracle.mark_vol_e9 = now_ms, index, 2 * index
        publish(market, 0)
        found = market.windows[0].item()
        refresh_window(market, 0)
        assert market.windows[0].item() == found
        minute = now_ms // MINUTE_MS
        assert found[0] == minute
        assert found[1] == sum(minute - 60 < row[0] <= minute for row in market.minutes[0])
