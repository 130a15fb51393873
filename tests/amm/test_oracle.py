"""The oracle takes what is good, holds back what may be a jump, and re-marks slowly."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm.oracle import (
    Observation,
    OracleRules,
    OracleState,
    OracleVerdict,
    buy_vol_e9,
    initial_state,
    is_fresh,
    median_observation,
    observe,
    realised_vol_e9,
    restart,
    sell_vol_e9,
)
from amm.units import DAY_MS, HOUR_MS, MINUTE_MS, ONE, YEAR_MS

RULES = OracleRules()
NOW = 1_700_000_000_000 // DAY_MS * DAY_MS
PRICE = 100_000 * ONE
POINT = 10**7
"""One point of vol, in 1e-9."""
UP = round(PRICE * 1.02)
DOWN = round(PRICE * 0.98)
PENDING = ("pending_count", "pending_side", "pending_ms")


def offer(
    state: OracleState,
    price_e8: int,
    at_ms: int,
    *,
    sources: int = 1,
    confidence_e8: int = 0,
    late_ms: int = 0,
    fed_vol_e9: int = 0,
) -> tuple[OracleVerdict, OracleState]:
    observation = Observation(price_e8, confidence_e8, at_ms)
    code, after = observe(state, observation, sources, at_ms + late_ms, fed_vol_e9, RULES)
    return OracleVerdict(code), after


def used(state: OracleState, price_e8: int, at_ms: int, fed_vol_e9: int = 0) -> OracleState:
    """Offer what must be taken."""
    verdict, after = offer(state, price_e8, at_ms, sources=2, fed_vol_e9=fed_vol_e9)
    assert verdict == OracleVerdict.USED
    return after


def opened(vol: float = 0.5) -> OracleState:
    return used(initial_state(vol), PRICE, NOW)


def without_pending(state: OracleState) -> dict[str, int]:
    return {name: value for name, value in state._asdict().items() if name not in PENDING}


# What is good


def test_first_observation_is_the_index() -> None:
    verdict, state = offer(initial_state(0.5), PRICE, NOW, confidence_e8=7)
    assert verdict == OracleVerdict.USED
    assert (state.index_e8, state.confidence_e8, state.index_ms) == (PRICE, 7, NOW)
    assert (state.bar_index_e8, state.bar_ms) == (PRICE, NOW)


def test_state_is_all_integers() -> None:
    for state in (initial_state(0.5), opened(), restart(opened())):
        assert all(type(value) is int for value in state)


@pytest.mark.parametrize(
    ("late_ms", "verdict"),
    [
        (10_000, OracleVerdict.USED),
        (10_001, OracleVerdict.STALE),
        (-2_000, OracleVerdict.USED),
        (-2_001, OracleVerdict.IN_FUTURE),
    ],
)
def test_age_and_future_limits(late_ms: int, verdict: OracleVerdict) -> None:
    assert offer(opened(), PRICE, NOW + 60_000, late_ms=late_ms)[0] == verdict


@pytest.mark.parametrize(
    ("price_e8", "confidence_e8", "verdict"),
    [
        (PRICE, PRICE // 200, OracleVerdict.USED),
        (PRICE, PRICE // 200 + 1, OracleVerdict.LOW_CONFIDENCE),
        (PRICE, -1, OracleVerdict.NOT_POSITIVE),
        (0, 0, OracleVerdict.NOT_POSITIVE),
        (-PRICE, 0, OracleVerdict.NOT_POSITIVE),
        (-(2**63), 0, OracleVerdict.NOT_POSITIVE),
        (2**63 - 1, 0, OracleVerdict.LOW_CONFIDENCE),
        (PRICE, 2**63 - 1, OracleVerdict.LOW_CONFIDENCE),
    ],
)
def test_price_and_confidence_limits(
    price_e8: int, confidence_e8: int, verdict: OracleVerdict
) -> None:
    assert offer(opened(), price_e8, NOW + 1_000, confidence_e8=confidence_e8)[0] == verdict


@pytest.mark.parametrize("behind_ms", [0, 1, 5_000])
def test_out_of_order_observation_is_refused(behind_ms: int) -> None:
    verdict, _ = offer(opened(), PRICE, NOW - behind_ms, late_ms=behind_ms)
    assert verdict == OracleVerdict.OUT_OF_ORDER


def test_first_objection_is_reported() -> None:
    bad = Observation(price_e8=-1, confidence_e8=PRICE, published_ms=NOW)
    verdicts = [
        observe(opened(), bad, 1, NOW + 20_000, 0, RULES)[0],
        observe(opened(), bad, 1, NOW, 0, RULES)[0],
        observe(opened(), bad._replace(published_ms=NOW + 1), 1, NOW, 0, RULES)[0],
    ]
    assert verdicts == [
        OracleVerdict.STALE,
        OracleVerdict.OUT_OF_ORDER,
        OracleVerdict.NOT_POSITIVE,
    ]


def test_refused_observation_changes_nothing() -> None:
    state = opened()
    for price_e8, at_ms, late_ms, confidence_e8 in [
        (PRICE, NOW + 1, 20_000, 0),
        (PRICE, NOW + 5_000, -5_000, 0),
        (PRICE, NOW - 1, 0, 0),
        (-PRICE, NOW + 1, 0, 0),
        (PRICE, NOW + 1, 0, PRICE),
    ]:
        verdict, after = offer(state, price_e8, at_ms, late_ms=late_ms, confidence_e8=confidence_e8)
        assert verdict not in {OracleVerdict.USED, OracleVerdict.JUMP_PENDING}
        assert after == state


# Sources


def median(
    sources: list[tuple[int, int, int]], last_ms: int = 0, now_ms: int = NOW
) -> tuple[int, Observation]:
    columns = np.array(sources, dtype=np.int64).reshape(-1, 3).T.copy()
    return median_observation(columns[0], columns[1], columns[2], last_ms, now_ms, RULES)


def test_median_of_an_odd_count_is_the_middle_price() -> None:
    sources = [(300_000, 5, NOW - 10), (100_000, 9, NOW - 30), (200_000, 1, NOW)]
    assert median(sources) == (3, Observation(200_000, 9, NOW - 30))


def test_median_of_an_even_count_is_rounded_down() -> None:
    assert median([(10, 0, NOW), (13, 0, NOW)])[1].price_e8 == 11
    sources = [(13, 0, NOW), (1, 0, NOW), (10, 0, NOW), (99, 0, NOW)]
    assert median(sources)[1].price_e8 == 11


def test_only_fresh_sources_count() -> None:
    good = (PRICE, 3, NOW - 1_000)
    bad = [
        (UP, 0, NOW - 10_001),
        (UP, 0, NOW + 2_001),
        (UP, 0, NOW - 5_000),
        (UP, UP // 100, NOW),
        (0, 0, NOW),
        (-UP, 0, NOW),
        (UP, -1, NOW),
    ]
    assert median([*bad, good], last_ms=NOW - 5_000) == (1, Observation(*good))
    assert median(bad, last_ms=NOW - 5_000) == (0, Observation(0, 0, 0))
    assert median([]) == (0, Observation(0, 0, 0))


def test_one_lying_source_of_three_stays_within_the_honest_two() -> None:
    for lie in (1, 10 * PRICE):
        count, seen = median([(PRICE, 0, NOW), (lie, 0, NOW), (PRICE + 50, 0, NOW)])
        assert count == 3
        assert PRICE <= seen.price_e8 <= PRICE + 50


@given(st.lists(st.integers(1, 10**17), min_size=1, max_size=7))
def test_median_is_that_of_sorting(prices: list[int]) -> None:
    ordered = sorted(prices)
    middle = ordered[(len(prices) - 1) // 2] + ordered[len(prices) // 2]
    assert median([(price, 0, NOW) for price in prices])[1].price_e8 == middle // 2


# The jump guard


def test_guard_widens_with_vol_and_time() -> None:
    calm_move = round(PRICE * 1.0099)
    assert offer(opened(), calm_move, NOW + 1_000)[0] == OracleVerdict.USED
    assert offer(opened(), UP, NOW + 1_000)[0] == OracleVerdict.JUMP_PENDING
    hour = HOUR_MS / YEAR_MS
    guard = 8 * 0.55 * math.sqrt(hour)  # the mark is .5 plus the add-on
    within, beyond = (round(PRICE * math.exp(factor * guard)) for factor in (0.999, 1.001))
    assert offer(opened(), within, NOW + HOUR_MS)[0] == OracleVerdict.USED
    assert offer(opened(), beyond, NOW + HOUR_MS)[0] == OracleVerdict.JUMP_PENDING


@pytest.mark.parametrize("price_e8", [UP, DOWN])
def test_jump_of_a_lone_source_is_used_at_the_third_confirmation(price_e8: int) -> None:
    before = state = opened()
    for count in (1, 2):
        verdict, state = offer(state, price_e8, NOW + count * 1_000)
        assert verdict == OracleVerdict.JUMP_PENDING
        assert state.pending_count == count
        assert without_pending(state) == without_pending(before)
        assert not is_fresh(state, NOW + count * 1_000, RULES)
    verdict, state = offer(state, price_e8, NOW + 3_000)
    assert verdict == OracleVerdict.USED
    assert (state.index_e8, state.pending_count, state.pending_ms) == (price_e8, 0, 0)
    assert is_fresh(state, NOW + 3_000, RULES)


def test_second_source_confirms_a_jump_at_once() -> None:
    assert offer(opened(), UP, NOW + 1_000, sources=2)[0] == OracleVerdict.USED
    _, state = offer(opened(), UP, NOW + 1_000)
    for at_ms in (NOW + 900, NOW + 1_100):
        verdict, after = offer(state, UP, at_ms, sources=2)
        assert (verdict, after.pending_count) == (OracleVerdict.USED, 0)


def test_burst_is_one_confirmation() -> None:
    state = opened()
    for at_ms in range(NOW + 1, NOW + 1_001, 37):
        verdict, state = offer(state, UP, at_ms)
        assert verdict == OracleVerdict.JUMP_PENDING
        assert (state.pending_count, state.pending_ms) == (1, NOW + 1)
    assert offer(state, UP, NOW + 1_001)[1].pending_count == 2


def test_alternating_sides_never_confirm() -> None:
    state = opened()
    for second in range(1, 9):
        verdict, state = offer(state, UP if second % 2 else DOWN, NOW + second * 1_000)
        assert verdict == OracleVerdict.JUMP_PENDING
        assert state.pending_count == 1
        assert state.index_e8 == PRICE


def test_spike_that_comes_back_is_forgotten() -> None:
    state = opened()
    for second in (1, 2):
        _, state = offer(state, UP, NOW + second * 1_000)
    verdict, state = offer(state, PRICE + 5, NOW + 3_000)
    assert verdict == OracleVerdict.USED
    assert (state.index_e8, state.pending_count) == (PRICE + 5, 0)
    for second in (4, 5):
        verdict, state = offer(state, UP, NOW + second * 1_000)
        assert verdict == OracleVerdict.JUMP_PENDING


def test_old_observation_does_not_deny_a_newer_jump() -> None:
    _, jumped = offer(opened(), UP, NOW + 3_000)
    for price_e8 in (PRICE, DOWN, UP):
        assert offer(jumped, price_e8, NOW + 2_000, late_ms=1_000) == (
            OracleVerdict.JUMP_PENDING,
            jumped,
        )


def test_refused_observations_do_not_confirm() -> None:
    _, jumped = offer(opened(), UP, NOW + 1_000)
    assert offer(jumped, UP, NOW + 2_000, late_ms=60_000) == (OracleVerdict.STALE, jumped)
    verdict, after = offer(jumped, UP, NOW + 2_000, confidence_e8=UP)
    assert (verdict, after) == (OracleVerdict.LOW_CONFIDENCE, jumped)


# The vol level


def test_first_level_is_the_target() -> None:
    before = initial_state(0.5)
    assert before.target_vol_e9 == before.mark_vol_e9 == 50 * POINT
    assert opened().target_vol_e9 == opened().mark_vol_e9 == 55 * POINT
    assert opened(0.05).mark_vol_e9 == 20 * POINT
    assert used(before, PRICE, NOW, fed_vol_e9=70 * POINT).mark_vol_e9 == 70 * POINT


def test_mark_follows_a_point_a_minute() -> None:
    state = opened()
    for minute in range(1, 4):
        state = used(state, PRICE, NOW + minute * MINUTE_MS, fed_vol_e9=90 * POINT)
        assert state.target_vol_e9 == 90 * POINT
        assert state.mark_vol_e9 == (55 + minute) * POINT
    half = used(state, PRICE, state.vol_ms + MINUTE_MS // 2, fed_vol_e9=30 * POINT)
    assert half.mark_vol_e9 == 57 * POINT + POINT // 2
    assert used(state, PRICE, NOW + DAY_MS, fed_vol_e9=90 * POINT).mark_vol_e9 == 90 * POINT


def test_many_small_steps_follow_no_faster_than_one() -> None:
    state = opened()
    for tick in range(1, 241):
        state = used(state, PRICE, NOW + tick * 250, fed_vol_e9=90 * POINT)
    assert 0 <= 56 * POINT - state.mark_vol_e9 <= 240


def test_known_re_mark_cannot_be_traded_against() -> None:
    for fed in (30, 90):
        state = used(opened(), PRICE, NOW + MINUTE_MS, fed_vol_e9=fed * POINT)
        assert buy_vol_e9(state, RULES) == max(fed * POINT, state.mark_vol_e9)
        assert sell_vol_e9(state) == min(fed * POINT, state.mark_vol_e9)


def test_buyers_pay_at_least_most_of_the_last_day() -> None:
    state = used(initial_state(0.8), PRICE, NOW, fed_vol_e9=30 * POINT)
    assert buy_vol_e9(state, RULES) == 68 * POINT
    assert sell_vol_e9(state) == 30 * POINT


def test_freshness_needs_a_young_index_and_vol_level() -> None:
    state = opened()
    assert not is_fresh(initial_state(0.5), NOW, RULES)
    assert is_fresh(state, NOW + 10_000, RULES)
    assert not is_fresh(state, NOW + 10_001, RULES)
    patient = RULES._replace(age_max_ms=2 * HOUR_MS)
    assert is_fresh(state, NOW + HOUR_MS, patient)
    assert not is_fresh(state, NOW + HOUR_MS + 1, patient)


# The estimator


def test_one_return_enters_every_average_once() -> None:
    move = 0.004
    price_e8 = round(PRICE * math.exp(move))
    state = used(opened(), price_e8, NOW + 5 * MINUTE_MS)
    annual = math.log(price_e8 / PRICE) ** 2 * 365 * 288
    for days, variance_e12 in [
        (1, state.variance_1d_e12),
        (10, state.variance_10d_e12),
        (45, state.variance_45d_e12),
        (1 / 288, state.variance_5m_e12),
    ]:
        decay = math.exp(-1 / (288 * days))
        assert variance_e12 == pytest.approx((0.25 * decay + annual * (1 - decay)) * 1e12, abs=1)
    blend_e12 = (
        0.25 * state.variance_1d_e12 + 0.35 * state.variance_10d_e12 + 0.40 * state.variance_45d_e12
    )
    assert state.target_vol_e9 == pytest.approx((math.sqrt(blend_e12 / 1e12) + 0.05) * 1e9, abs=1)


def test_bars_are_sampled_when_a_boundary_has_passed() -> None:
    state = opened()
    for second in range(1, 300):
        state = used(state, PRICE + second, NOW + second * 1_000)
        assert state.bar_ms == NOW
    state = used(state, PRICE, NOW + 300_500)
    assert (state.bar_ms, state.bar_index_e8) == (NOW + 300_500, PRICE)


def test_return_over_a_silence_is_left_out() -> None:
    before = opened()
    within = used(before, UP, NOW + 30 * MINUTE_MS)
    assert within.variance_1d_e12 > before.variance_1d_e12
    beyond = used(before, UP, NOW + 30 * MINUTE_MS + 1)
    for name in ("variance_1d_e12", "variance_10d_e12", "variance_45d_e12", "variance_5m_e12"):
        assert getattr(beyond, name) == getattr(before, name)
    assert (beyond.bar_index_e8, beyond.index_e8) == (UP, UP)


def test_no_return_is_computed_across_a_restart() -> None:
    _, before = offer(opened(), UP, NOW + 1_000)
    assert before.pending_count == 1
    broken = restart(before)
    assert (broken.index_ms, broken.bar_ms, broken.pending_count) == (0, 0, 0)
    assert not is_fresh(broken, NOW + 1_000, RULES)
    assert offer(broken, PRICE, NOW, late_ms=0)[0] == OracleVerdict.OUT_OF_ORDER
    verdict, after = offer(broken, 3 * PRICE, NOW + 6 * MINUTE_MS)
    assert verdict == OracleVerdict.USED
    for name in ("variance_1d_e12", "variance_10d_e12", "variance_45d_e12", "variance_5m_e12"):
        assert getattr(after, name) == getattr(before, name)
    assert after.mark_vol_e9 == before.mark_vol_e9


def test_nonsense_returns_do_not_overflow() -> None:
    state = opened()
    for tick in range(1, 30):
        state = used(state, 1 if tick % 2 else 10**17, NOW + tick * 5 * MINUTE_MS)
        assert all(value >= 0 for value in state)
    assert realised_vol_e9(state) == 100 * 10**9


def test_realised_vol_is_that_of_the_last_minutes() -> None:
    generator = np.random.Generator(np.random.Philox(5))
    step = 2.0 * math.sqrt(1_000 / YEAR_MS)
    seconds = 1_800
    state, levels = opened(0.3), []
    for second, log in enumerate(np.cumsum(step * generator.standard_normal(seconds)), 1):
        state = used(state, round(PRICE * math.exp(log)), NOW + second * 1_000)
        if second >= 1_500:
            levels.append(realised_vol_e9(state) / 1e9)
    # An average over n = 600 effective squares is off by sqrt(2 / n) of itself.
    assert np.mean(levels) == pytest.approx(2.0, abs=4 * 0.5 * 2.0 * math.sqrt(2 / 600))


@pytest.mark.parametrize("vol", [0.4, 1.2])
def test_estimator_converges_to_the_vol_of_the_market(vol: float) -> None:
    """Its expectation and error are those of weighted sums of squared normal returns."""
    days, first_vol = 60, 0.7
    generator = np.random.Generator(np.random.Philox(11))
    bars = days * 288
    logs = np.cumsum(vol * math.sqrt(1 / (288 * 365)) * generator.standard_normal(bars))
    state = opened(first_vol)
    for bar, log in enumerate(logs, 1):
        state = used(state, round(PRICE * math.exp(log)), NOW + bar * 5 * MINUTE_MS)

    ages = np.arange(bars)
    weights, remembered = np.zeros(bars), 0.0
    for part, horizon in [(0.25, 288), (0.35, 2_880), (0.40, 12_960)]:
        weights += part * -math.expm1(-1 / horizon) * np.exp(-ages / horizon)
        remembered += part * math.exp(-bars / horizon)
    expected = remembered * first_vol**2 + (1 - remembered) * vol**2
    error = vol**2 * math.sqrt(2 * np.sum(weights**2))
    estimate = (state.target_vol_e9 / 1e9 - 0.05) ** 2
    assert estimate == pytest.approx(expected, abs=4 * error)
    assert error < 0.03 * expected  # the test can tell


# On any feed


@st.composite
def feeds(draw: st.DrawFn) -> list[tuple[Observation, int, int, int]]:
    """Observations of an erratic, partly hostile feed: (observation, sources, now, fed vol)."""
    now_ms, feed = NOW, []
    for _ in range(draw(st.integers(1, 25))):
        now_ms += draw(st.sampled_from([0, 1, 400, 1_000, 61_000, 400_000, 4_000_000]))
        price_e8 = draw(
            st.sampled_from([PRICE, PRICE + 9, UP, DOWN, 2 * PRICE, 1, 0, -PRICE, 10**17])
        )
        confidence_e8 = draw(st.sampled_from([0, 0, 0, 1, PRICE // 200, PRICE, -1]))
        published_ms = now_ms - draw(st.sampled_from([0, 0, 0, 300, 9_999, 10_001, -2_000, -2_001]))
        fed_vol_e9 = draw(st.sampled_from([0, 0, 5 * POINT, 300 * POINT]))
        observation = Observation(price_e8, confidence_e8, published_ms)
        feed.append((observation, draw(st.integers(1, 2)), now_ms, fed_vol_e9))
    return feed


@given(feeds(), st.booleans())
def test_on_any_feed(feed: list[tuple[Observation, int, int, int]], breaks: bool) -> None:
    """Each index was observed, time only moves on, the mark keeps its speed limit."""
    state = initial_state(0.6)
    for number, (observation, sources, now_ms, fed_vol_e9) in enumerate(feed):
        if breaks and number == len(feed) // 2:
            state = restart(state)
        code, after = observe(state, observation, sources, now_ms, fed_vol_e9, RULES)
        assert after.variance_5m_e12 >= 0
        assert 0 <= after.pending_count < RULES.jump_confirmations
        if code == OracleVerdict.USED:
            assert after[:3] == (*observation[:2], observation.published_ms)
            assert after.index_ms > state.vol_ms
            assert abs(after.index_ms - now_ms) <= RULES.age_max_ms
            assert after.index_e8 > 0
            assert after.pending_count == 0
            elapsed_ms = after.vol_ms - state.vol_ms
            moved = abs(after.mark_vol_e9 - state.mark_vol_e9)
            assert state.vol_ms == 0 or moved * MINUTE_MS <= POINT * elapsed_ms
            assert sell_vol_e9(after) <= after.mark_vol_e9 <= buy_vol_e9(after, RULES)
        elif code == OracleVerdict.JUMP_PENDING:
            assert sources == 1
            assert without_pending(after) == without_pending(state)
            assert not is_fresh(after, now_ms, RULES)
        else:
            assert after == state
        state = after
