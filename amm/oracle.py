"""From observations of a price to the index, and from the index to the vol level.

Prices and confidences count 1e-8 USD, times are milliseconds since 1970 (UTC), vols 1e-9 per
sqrt(year), variances 1e-12 per year. Everything kept is an integer, so a state rebuilt from the
journal equals the one that was lost, bit for bit; floats live inside one call and are rounded to
the nearest integer at its end.
"""

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from amm.elementary import expm1, log
from amm.kernel import allocating_kernel, kernel
from amm.units import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, YEAR_MS, mul_div_down

E9 = 10**9
E12 = 10**12
BAR_MS = 5 * MINUTE_MS
"""The estimator samples the index on this grid, and `variance_5m_e12` forgets at this pace."""
START_VOL = 0.6
"""What the estimator believes before it has seen a price."""
VARIANCE_MAX_E12 = 10_000 * E12
"""A vol of 10,000 %: keeps a nonsense return from overflowing what is stored."""


class OracleVerdict(IntEnum):
    """What became of an observation: the first that applies, its time before its price."""

    USED = 0
    STALE = 1
    IN_FUTURE = 2
    OUT_OF_ORDER = 3
    """Not published after the last one used."""
    NOT_POSITIVE = 4
    """A price of zero or less, or a negative confidence."""
    LOW_CONFIDENCE = 5
    JUMP_PENDING = 6
    """Held back by the jump guard until it is confirmed."""


class Observation(NamedTuple):
    """A price, the half-width of its confidence interval and the time it was published."""

    price_e8: int
    confidence_e8: int
    published_ms: int


class OracleRules(NamedTuple):
    """What makes an observation good, and how the vol level follows the index."""

    age_max_ms: int = 10 * SECOND_MS
    confidence_max_bp: int = 50
    future_max_ms: int = 2 * SECOND_MS
    jump_sigmas: float = 8.0
    jump_min: float = 0.01
    """No log move up to this size is a jump, however calm the market."""
    jump_confirmations: int = 3
    jump_spacing_ms: int = SECOND_MS
    vol_age_max_ms: int = HOUR_MS
    mark_follow_e9: int = E9 // 100
    """The mark's speed limit, per minute."""
    vol_add_on: float = 0.05
    vol_floor: float = 0.20
    weight_1d: float = 0.25
    weight_10d: float = 0.35
    weight_45d: float = 0.40
    buy_factor: float = 0.85
    """Buyers never pay less than this part of the one-day vol."""
    gap_max_ms: int = 30 * MINUTE_MS
    """Over a longer silence no return is computed."""


class OracleState(NamedTuple):
    """The index of one underlying, its vol level, and what the next of each depends on.

    A time of 0 means "none yet". Once an observation was used, `vol_ms` is the time of the last
    one, also after `restart` has dropped the index.
    """

    index_e8: int
    confidence_e8: int
    index_ms: int
    pending_count: int
    pending_side: int
    pending_ms: int
    bar_index_e8: int
    bar_ms: int
    variance_1d_e12: int
    variance_10d_e12: int
    variance_45d_e12: int
    variance_5m_e12: int
    target_vol_e9: int
    mark_vol_e9: int
    vol_ms: int


@kernel
def _nearest(units: float) -> int:
    return int(math.floor(units + 0.5))


@kernel
def _root_e9(variance_e12: float) -> int:
    return _nearest(math.sqrt(variance_e12 / E12) * E9)


@kernel
def initial_state(vol: float) -> OracleState:
    """Return a state that has seen nothing and believes in `vol`.

    Every average starts at vol**2. Target and mark read `vol` until the first observation used
    puts both on the first level: the feed's, or `vol` plus the add-on, at least the floor.

    Args:
        vol: Volatility per sqrt(year); 0 < vol <= 100.
    """
    assert 0.0 < vol <= 100.0
    variance_e12, vol_e9 = _nearest(vol * vol * E12), _nearest(vol * E9)
    return OracleState(
        index_e8=0,
        confidence_e8=0,
        index_ms=0,
        pending_count=0,
        pending_side=0,
        pending_ms=0,
        bar_index_e8=0,
        bar_ms=0,
        variance_1d_e12=variance_e12,
        variance_10d_e12=variance_e12,
        variance_45d_e12=variance_e12,
        variance_5m_e12=variance_e12,
        target_vol_e9=vol_e9,
        mark_vol_e9=vol_e9,
        vol_ms=0,
    )


@kernel
def restart(state: OracleState) -> OracleState:
    """Begin again after a break in the prices: no return is ever computed across it.

    A pending jump and the estimator's last sample are dropped; variances and vol levels stay.
    The last index stays as a number that open positions can be marked at, without a time: it is
    never fresh, and the next one is not compared with it. `vol_ms` stays too, so what was
    published before the break remains out of order.
    """
    return OracleState(
        index_e8=state.index_e8,
        confidence_e8=state.confidence_e8,
        index_ms=0,
        pending_count=0,
        pending_side=0,
        pending_ms=0,
        bar_index_e8=0,
        bar_ms=0,
        variance_1d_e12=state.variance_1d_e12,
        variance_10d_e12=state.variance_10d_e12,
        variance_45d_e12=state.variance_45d_e12,
        variance_5m_e12=state.variance_5m_e12,
        target_vol_e9=state.target_vol_e9,
        mark_vol_e9=state.mark_vol_e9,
        vol_ms=state.vol_ms,
    )


@kernel
def _screen(observation: Observation, last_ms: int, now_ms: int, rules: OracleRules) -> int:
    """Return the verdict on one observation by itself, USED where nothing speaks against it."""
    if now_ms - observation.published_ms > rules.age_max_ms:
        return OracleVerdict.STALE.value
    if observation.published_ms - now_ms > rules.future_max_ms:
        return OracleVerdict.IN_FUTURE.value
    if observation.published_ms <= last_ms:
        return OracleVerdict.OUT_OF_ORDER.value
    if observation.price_e8 <= 0 or observation.confidence_e8 < 0:
        return OracleVerdict.NOT_POSITIVE.value
    # A price too large to be one makes the product -1, which no confidence is within.
    widest_e8 = mul_div_down(observation.price_e8, rules.confidence_max_bp, 10_000)
    if observation.confidence_e8 > widest_e8:
        return OracleVerdict.LOW_CONFIDENCE.value
    return OracleVerdict.USED.value


@allocating_kernel
def median_observation(
    prices_e8: npt.NDArray[np.int64],
    confidences_e8: npt.NDArray[np.int64],
    published_ms: npt.NDArray[np.int64],
    last_ms: int,
    now_ms: int,
    rules: OracleRules,
) -> tuple[int, Observation]:
    """Return how many sources are fresh, and the one observation they amount to.

    The price is their median (of an even count the mean of the middle two, rounded down), the
    confidence their widest, the publish time their oldest: doubt and age are never averaged away.

    Args:
        prices_e8: Prices of shape (sources,).
        confidences_e8: Half-widths, same shape.
        published_ms: Publish times, same shape.
        last_ms: Publish time of the last observation used; 0 where there is none.
        now_ms: The present.
        rules: What makes a source fresh.

    Returns:
        (fresh sources, observation); (0, zeros) where no source is fresh.
    """
    fresh_e8 = np.empty(prices_e8.shape[0], dtype=np.int64)
    count, widest_e8, oldest_ms = 0, 0, 0
    for source in range(prices_e8.shape[0]):
        confidence_e8, time_ms = int(confidences_e8[source]), int(published_ms[source])
        observation = Observation(int(prices_e8[source]), confidence_e8, time_ms)
        if _screen(observation, last_ms, now_ms, rules) == OracleVerdict.USED.value:
            fresh_e8[count] = observation.price_e8
            widest_e8 = max(widest_e8, confidence_e8)
            oldest_ms = time_ms if count == 0 else min(oldest_ms, time_ms)
            count += 1
    if count == 0:
        return 0, Observation(0, 0, 0)
    ordered_e8 = np.sort(fresh_e8[:count])
    lower_e8, upper_e8 = int(ordered_e8[(count - 1) // 2]), int(ordered_e8[count // 2])
    return count, Observation(lower_e8 + (upper_e8 - lower_e8) // 2, widest_e8, oldest_ms)


@kernel
def _jump_side(state: OracleState, observation: Observation, rules: OracleRules) -> int:
    """Return 1 or -1 where the move from the index is a jump up or down, else 0."""
    if state.index_ms == 0:
        return 0
    move = math.log(observation.price_e8 / state.index_e8)
    years = (observation.published_ms - state.index_ms) / YEAR_MS
    sigma = state.mark_vol_e9 / E9
    if abs(move) <= max(rules.jump_sigmas * sigma * math.sqrt(years), rules.jump_min):
        return 0
    return 1 if move > 0.0 else -1


@kernel
def _confirmations(
    state: OracleState, observation: Observation, side: int, rules: OracleRules
) -> int:
    """Return how many observations in a row now say `side`, or 0 where this one adds nothing.

    One published too soon after the last pending one neither confirms nor contradicts it: a
    burst is one opinion, and what is older than a pending jump cannot know of it.
    """
    since_ms = observation.published_ms - state.pending_ms
    if state.pending_count == 0:
        return 1
    if side != state.pending_side:
        return 1 if since_ms > 0 else 0
    return state.pending_count + 1 if since_ms >= rules.jump_spacing_ms else 0


@kernel
def _hold_back(state: OracleState, observation: Observation, side: int, count: int) -> OracleState:
    return OracleState(
        index_e8=state.index_e8,
        confidence_e8=state.confidence_e8,
        index_ms=state.index_ms,
        pending_count=count,
        pending_side=side,
        pending_ms=observation.published_ms,
        bar_index_e8=state.bar_index_e8,
        bar_ms=state.bar_ms,
        variance_1d_e12=state.variance_1d_e12,
        variance_10d_e12=state.variance_10d_e12,
        variance_45d_e12=state.variance_45d_e12,
        variance_5m_e12=state.variance_5m_e12,
        target_vol_e9=state.target_vol_e9,
        mark_vol_e9=state.mark_vol_e9,
        vol_ms=state.vol_ms,
    )


@kernel
def _averaged(variance_e12: int, move: float, elapsed_ms: int, horizon_ms: int) -> int:
    """Return the average after a log move: what is `horizon_ms` old weighs 1/e of what is new.

    The weight grows with the time the move took and its annualised square shrinks with it, so
    how the samples are spaced does not matter.
    """
    weight = -expm1(-elapsed_ms / horizon_ms)
    annual_e12 = move * move * (YEAR_MS / elapsed_ms) * E12
    variance = variance_e12 + weight * (annual_e12 - variance_e12)
    return _nearest(min(variance, float(VARIANCE_MAX_E12)))


@kernel
def _target_vol_e9(
    variance_1d_e12: int, variance_10d_e12: int, variance_45d_e12: int, rules: OracleRules
) -> int:
    blend_e12 = (
        rules.weight_1d * variance_1d_e12
        + rules.weight_10d * variance_10d_e12
        + rules.weight_45d * variance_45d_e12
    )
    return _nearest(max(math.sqrt(blend_e12 / E12) + rules.vol_add_on, rules.vol_floor) * E9)


@kernel
def _followed_e9(state: OracleState, target_e9: int, at_ms: int, rules: OracleRules) -> int:
    """Return the mark at `at_ms`: the target, or as near to it as the speed limit lets it come."""
    if state.vol_ms == 0:
        return target_e9
    elapsed_ms = min(at_ms - state.vol_ms, YEAR_MS)  # the product fits int64
    step_e9 = rules.mark_follow_e9 * elapsed_ms // MINUTE_MS
    return min(max(target_e9, state.mark_vol_e9 - step_e9), state.mark_vol_e9 + step_e9)


@kernel
def _use(
    state: OracleState, observation: Observation, fed_vol_e9: int, rules: OracleRules
) -> OracleState:
    """Return the state with the observation as its index, and the vol level of that instant."""
    price_e8, at_ms = observation.price_e8, observation.published_ms

    variance_5m_e12 = state.variance_5m_e12
    if state.index_ms > 0 and at_ms - state.index_ms <= rules.gap_max_ms:
        move = log(price_e8 / state.index_e8)
        variance_5m_e12 = _averaged(variance_5m_e12, move, at_ms - state.index_ms, BAR_MS)

    bar_index_e8, bar_ms = state.bar_index_e8, state.bar_ms
    variance_1d_e12 = state.variance_1d_e12
    variance_10d_e12 = state.variance_10d_e12
    variance_45d_e12 = state.variance_45d_e12
    if at_ms // BAR_MS > bar_ms // BAR_MS:
        elapsed_ms = at_ms - bar_ms
        # The move over a silence says little of the minutes around it, so it is left out.
        if bar_ms > 0 and elapsed_ms <= rules.gap_max_ms:
            move = log(price_e8 / bar_index_e8)
            variance_1d_e12 = _averaged(variance_1d_e12, move, elapsed_ms, DAY_MS)
            variance_10d_e12 = _averaged(variance_10d_e12, move, elapsed_ms, 10 * DAY_MS)
            variance_45d_e12 = _averaged(variance_45d_e12, move, elapsed_ms, 45 * DAY_MS)
        bar_index_e8, bar_ms = price_e8, at_ms

    target_e9 = fed_vol_e9
    if fed_vol_e9 == 0:
        target_e9 = _target_vol_e9(variance_1d_e12, variance_10d_e12, variance_45d_e12, rules)
    return OracleState(
        index_e8=price_e8,
        confidence_e8=observation.confidence_e8,
        index_ms=at_ms,
        pending_count=0,
        pending_side=0,
        pending_ms=0,
        bar_index_e8=bar_index_e8,
        bar_ms=bar_ms,
        variance_1d_e12=variance_1d_e12,
        variance_10d_e12=variance_10d_e12,
        variance_45d_e12=variance_45d_e12,
        variance_5m_e12=variance_5m_e12,
        target_vol_e9=target_e9,
        mark_vol_e9=_followed_e9(state, target_e9, at_ms, rules),
        vol_ms=at_ms,
    )


@kernel
def observe(
    state: OracleState,
    observation: Observation,
    sources: int,
    now_ms: int,
    fed_vol_e9: int,
    rules: OracleRules,
) -> tuple[int, OracleState]:
    """Offer an observation; it becomes the index unless something speaks against it.

    A jump from a lone source is held back until enough observations in a row, each a little
    apart, lie beyond the guard on the same side; one back within the guard ends the wait.

    Args:
        state: Index and vol level so far.
        observation: What was observed, as from `median_observation`.
        sources: How many fresh sources it rests on; >= 1.
        now_ms: The present.
        fed_vol_e9: 30-day at-the-money vol of a feed; 0 where there is none, which leaves the
            target to the estimator.
        rules: The limits.

    Returns:
        (an `OracleVerdict`, the state after it). Refused, the state is the one given; pending,
        only the `pending_*` fields may differ from it.
    """
    assert sources >= 1
    assert fed_vol_e9 >= 0
    verdict = _screen(observation, state.vol_ms, now_ms, rules)
    if verdict != OracleVerdict.USED.value:
        return verdict, state
    if sources == 1:
        side = _jump_side(state, observation, rules)
        if side == 0 and observation.published_ms < state.pending_ms:
            return OracleVerdict.JUMP_PENDING.value, state  # older than the jump: no denial of it
        if side != 0:
            count = _confirmations(state, observation, side, rules)
            if count == 0:
                return OracleVerdict.JUMP_PENDING.value, state
            if count < rules.jump_confirmations:
                held_back = _hold_back(state, observation, side, count)
                return OracleVerdict.JUMP_PENDING.value, held_back
    return OracleVerdict.USED.value, _use(state, observation, fed_vol_e9, rules)


@kernel
def is_fresh(state: OracleState, now_ms: int, rules: OracleRules) -> bool:
    """Return whether one may trade on the state: a young index and vol level, no jump pending."""
    return (
        state.index_ms > 0
        and now_ms - state.index_ms <= rules.age_max_ms
        and state.pending_count == 0
        and now_ms - state.vol_ms <= rules.vol_age_max_ms
    )


@kernel
def buy_vol_e9(state: OracleState, rules: OracleRules) -> int:
    """Return the vol buyers pay: whichever way the mark is heading, the dearer end of it."""
    recent_e9 = _nearest(rules.buy_factor * _root_e9(state.variance_1d_e12))
    return max(state.mark_vol_e9, state.target_vol_e9, recent_e9)


@kernel
def sell_vol_e9(state: OracleState) -> int:
    """Return the vol sellers receive: the cheaper end of where the mark is and is heading."""
    return min(state.mark_vol_e9, state.target_vol_e9)


@kernel
def realised_vol_e9(state: OracleState) -> int:
    """Return the realised vol of about the last five minutes."""
    return _root_e9(state.variance_5m_e12)
