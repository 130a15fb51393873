"""Time arrays of perpetual options against NumPy and against one option at a time."""

import math
import time
from functools import partial

import numpy as np

import amm
from amm.arrays import Floats
from amm.kernel import kernel
from tests.benchmarks.measure import Figure, nanoseconds

COUNT = 2_000_000
WEEK = 7.0 / 365.0


def numpy_value(
    moneyness: Floats,
    vol: Floats,
    funding_period: Floats,
    discount_rate: Floats | float,
    carry: Floats | float,
) -> Floats:
    """Return call values by the formula of the contract, in NumPy."""
    half_variance = 0.5 * vol * vol * funding_period
    discounting = 1.0 + discount_rate * funding_period
    per_period = carry * funding_period
    drift = per_period - half_variance
    width = np.sqrt(drift * drift + 4.0 * half_variance * discounting)
    is_low = moneyness <= 1.0
    exponent = np.where(is_low, width - drift, -width - drift) / (2.0 * half_variance)
    width *= exponent * (exponent - 1.0)
    exponent *= np.log(moneyness)
    time_value = np.exp(exponent, out=exponent)
    time_value /= width
    forward = (moneyness - 1.0) * discounting + per_period
    forward /= discounting * (discounting - per_period)
    time_value += np.where(is_low, 0.0, forward)
    return time_value


@kernel
def fill_one_by_one(
    moneyness: Floats,
    vol: Floats,
    funding_period: Floats,
    discount_rate: Floats,
    carry: Floats,
    value: Floats,
) -> None:
    """Write call values by the same formula, compiled, with branches and the C library."""
    for i in range(value.size):
        x, rate = moneyness[i], 1.0 / funding_period[i]
        half_variance = 0.5 * vol[i] * vol[i]
        drift = carry[i] - half_variance
        width = math.hypot(drift, vol[i] * math.sqrt(2.0 * (rate + discount_rate[i])))
        exponent = (width - drift if x <= 1.0 else -width - drift) / (2.0 * half_variance)
        log = math.log1p(x - 1.0) if abs(x - 1.0) < 0.5 else math.log(x)
        value[i] = rate * math.exp(exponent * log) / (width * exponent * (exponent - 1.0))
        if x > 1.0:
            discounting = rate + discount_rate[i]
            forward = rate * (x - 1.0 + carry[i] / discounting)
            value[i] += forward / (discounting - carry[i])


def perpetuals() -> list[Figure]:
    """Time values alone and with greeks and premium rate, by the kind of arguments."""
    random = np.random.default_rng(1)
    lowest = np.array([0.6, 0.2, 1 / 365, -0.05, -0.1])
    highest = np.array([1.45, 1.5, 40 / 365, 0.1, 0.2])
    arrays = random.uniform(lowest[:, None], highest[:, None], (5, COUNT))
    moneyness, vol, *rates = arrays
    results = amm.Price._make(np.empty(COUNT) for _ in amm.Price._fields)
    figures = []
    for what, others in (("r, b, T scalars", [WEEK, 0.03, 0.05]), ("r, b, T arrays", rates)):
        numpy = per_option(partial(numpy_value, moneyness, vol, *others))
        full = (np.array(np.broadcast_to(each, COUNT)) for each in others)
        single = per_option(partial(fill_one_by_one, moneyness, vol, *full, results.value))
        for kind, cap in (("uncapped", None), ("capped", 0.5)):
            period, discount_rate, carry = others
            named = {"discount_rate": discount_rate, "carry": carry, "cap": cap}
            value = partial(amm.value, "call", moneyness, vol, period, out=results.value, **named)
            price = partial(amm.price, "call", moneyness, vol, period, out=results, **named)
            alone, greeks = per_option(value), per_option(price)
            baseline = f"uncapped: NumPy {numpy:.0f} ns, one by one {single:.0f} ns"
            ratio = f"{numpy / alone:.1f} and {single / alone:.1f} x as fast"
            both = f"two threads {per_option(value, 2):.1f} and {per_option(price, 2):.1f} ns"
            bars = ("≤ 4.5 ns, ≥ 7 x NumPy", "≤ 7.5 ns") if cap is None else ("≤ 9 ns", "≤ 15 ns")
            figures += [
                Figure(
                    f"{kind} perpetual value, {what}",
                    f"{alone:.1f} ns",
                    f"{baseline}: {ratio}",
                    bars[0],
                ),
                Figure("with greeks and premium rate", f"{greeks:.1f} ns", both, bars[1]),
            ]
    return figures


def per_option(call: partial[object], threads: int = 1) -> float:
    """Return the least time per option: of the processor for one thread, elapsed for more."""
    if call.func in {amm.value, amm.price}:
        call = partial(call, threads=threads)
    clock = time.process_time if threads == 1 else time.perf_counter
    return nanoseconds(call, COUNT, clock=clock)
