"""European options against the field: time per option and error, all in one run.

The field is NumPy with SciPy's normal distribution, a compiled loop over the C library's functions,
fast-vollib and QuantLib; the last two only where they are installed (`make bench` sees to it).
"""

import importlib.util
import math
import time
from collections.abc import Callable
from typing import NamedTuple

import mpmath
import numba
import numpy as np
from mpmath import mpf
from scipy.special import ndtr

import amm
from amm.arrays import Floats
from amm.kernel import kernel
from tests.benchmarks.measure import Figure, nanoseconds
from tests.reference.perpetual import Option, european

WEEK = 7 / 365
COUNT = 2_000_000
"""Options in an array of ours, NumPy's and the C library's; fewer where one takes longer."""
SAMPLE = 400
"""Options compared with 60 digits."""
SQRT_HALF = math.sqrt(0.5)


class Calls(NamedTuple):
    """Calls without rates; per unit of strike."""

    moneyness: Floats
    vol: Floats
    years: Floats

    def first(self, count: int) -> "Calls":
        """Return some of them."""
        return Calls._make(field[:count] for field in self)


def some_calls(count: int) -> Calls:
    """Return out-of-the-money calls of all kinds, up to four deviations out."""
    random = np.random.default_rng(1)
    vol, years = random.uniform(0.2, 1.5, count), random.uniform(0.01, 1, count)
    moneyness = np.exp(-random.uniform(0, 4, count) * vol * np.sqrt(years))
    return Calls(moneyness, vol, years)


def with_numpy(calls: Calls) -> Floats:
    """Return values by the textbook's formula."""
    total_vol = calls.vol * np.sqrt(calls.years)
    d1 = np.log(calls.moneyness) / total_vol + 0.5 * total_vol
    return calls.moneyness * ndtr(d1) - ndtr(d1 - total_vol)


@kernel
def fill_with_libm(moneyness: Floats, vol: Floats, years: Floats, value: Floats) -> None:
    """Write values by the textbook's formula, one by one."""
    for i in range(moneyness.size):
        total_vol = vol[i] * math.sqrt(years[i])
        d1 = math.log(moneyness[i]) / total_vol + 0.5 * total_vol
        d2 = d1 - total_vol
        value[i] = 0.5 * (moneyness[i] * math.erfc(-d1 * SQRT_HALF) - math.erfc(-d2 * SQRT_HALF))


def with_libm(calls: Calls) -> Floats:
    """Return values by the compiled loop."""
    value = np.empty_like(calls.moneyness)
    fill_with_libm(*calls, value)
    return value


def with_ours(calls: Calls) -> Floats:
    """Return values of this package, on one thread."""
    return amm.european_value("call", *calls, threads=1)


def with_quantlib(calls: Calls) -> Floats:
    """Return values of QuantLib's formula, the fastest it offers to Python."""
    import QuantLib as ql  # noqa: N813, PLC0415 - optional

    total_vol = calls.vol * np.sqrt(calls.years)
    pairs = zip(calls.moneyness.tolist(), total_vol.tolist(), strict=True)
    return np.array([ql.blackFormula(ql.Option.Call, 1.0, *pair) for pair in pairs])


def with_quantlib_engine(calls: Calls) -> Floats:
    """Return values of QuantLib's analytic engine for one expiry, its quotes set one by one."""
    import QuantLib as ql  # noqa: N813, PLC0415 - optional

    today = ql.Date(1, 1, 2026)
    ql.Settings.instance().evaluationDate = today
    index, vol = ql.SimpleQuote(1.0), ql.SimpleQuote(0.5)
    count = ql.Actual365Fixed()
    rate = ql.YieldTermStructureHandle(ql.FlatForward(today, 0.0, count))
    surface = ql.BlackConstantVol(today, ql.NullCalendar(), ql.QuoteHandle(vol), count)
    process = ql.BlackScholesMertonProcess(
        ql.QuoteHandle(index), rate, rate, ql.BlackVolTermStructureHandle(surface)
    )
    payoff = ql.PlainVanillaPayoff(ql.Option.Call, 1.0)
    option = ql.VanillaOption(payoff, ql.EuropeanExercise(today + 365))
    option.setPricingEngine(ql.AnalyticEuropeanEngine(process))
    values = []
    total_vol = calls.vol * np.sqrt(calls.years)
    for moneyness, annual in zip(calls.moneyness.tolist(), total_vol.tolist(), strict=True):
        index.setValue(moneyness)
        vol.setValue(annual)
        values.append(option.NPV())
    return np.array(values)


def with_vollib(calls: Calls, backend: str) -> Floats:
    """Return values of fast-vollib."""
    import fast_vollib  # noqa: PLC0415 - optional

    strike, rate = np.ones_like(calls.vol), np.zeros_like(calls.vol)
    arguments = (calls.moneyness, strike, calls.years, rate, calls.vol)
    return fast_vollib.fast_black_scholes("c", *arguments, return_as="numpy", backend=backend)


def vol_with_ours(calls: Calls, value: Floats) -> Floats:
    """Return vols of this package, on one thread."""
    return amm.european_implied_vol("call", value, calls.moneyness, calls.years, threads=1)


def vol_with_quantlib(calls: Calls, value: Floats) -> Floats:
    """Return vols of QuantLib, asked for twelve digits."""
    import QuantLib as ql  # noqa: N813, PLC0415 - optional

    pairs = zip(calls.moneyness.tolist(), value.tolist(), strict=True)
    guess, digits = 0.5, 1e-12
    found = [
        ql.blackFormulaImpliedStdDev(ql.Option.Call, 1.0, *pair, 1.0, 0.0, guess, digits, 1_000)
        for pair in pairs
    ]
    return np.array(found) / np.sqrt(calls.years)


def vol_with_vollib(calls: Calls, value: Floats, backend: str) -> Floats:
    """Return vols of fast-vollib."""
    import fast_vollib  # noqa: PLC0415 - optional

    strike, rate = np.ones_like(value), np.zeros_like(value)
    return fast_vollib.fast_implied_volatility(
        value, calls.moneyness, strike, calls.years, rate, "c", return_as="numpy", backend=backend
    )


def exact(calls: Calls) -> list[mpf]:
    """Return values in 60 digits."""
    rows = zip(*(field.tolist() for field in calls), strict=True)
    with mpmath.workdps(60):
        return [european(Option(True, x, vol, 1.0), mpf(years)) for x, vol, years in rows]


def errors_of(got: Floats, expected: list[mpf]) -> str:
    """Return the largest relative error, and the median one."""
    pairs = zip(got.tolist(), expected, strict=True)
    errors = sorted(float(abs(mpf(a) / b - 1)) for a, b in pairs)
    return f"{errors[-1]:.0e} (median {errors[len(errors) // 2]:.0e})"


def is_installed(module: str) -> bool:
    """Tell whether an optional package is there."""
    return importlib.util.find_spec(module) is not None


def absent() -> list[str]:
    """Say which packages cannot be compared with."""
    packages = {"fast_vollib": "fast-vollib", "QuantLib": "QuantLib"}
    return [
        f"{name} not installed" for module, name in packages.items() if not is_installed(module)
    ]


def per_option(call: Callable[[], object], count: int, repeats: int) -> float:
    """Return the least time of the processor per option."""
    return nanoseconds(call, count, repeats, time.process_time)


def value_rivals() -> dict[str, tuple[Callable[[Calls], Floats], int]]:
    """Return who else prices, and how many options at a time."""
    rivals: dict[str, tuple[Callable[[Calls], Floats], int]] = {
        "NumPy and SciPy": (with_numpy, COUNT),
        "libm, compiled": (with_libm, COUNT),
    }
    if is_installed("fast_vollib"):
        for backend in ("numpy", "numba"):
            name = f"fast-vollib ({backend})"
            rivals[name] = (lambda calls, b=backend: with_vollib(calls, b), COUNT)
    if is_installed("QuantLib"):
        rivals["QuantLib formula"] = (with_quantlib, 50_000)
        rivals["QuantLib engine"] = (with_quantlib_engine, 5_000)
    return rivals


def vol_rivals() -> dict[str, tuple[Callable[[Calls, Floats], Floats], int]]:
    """Return who else finds vols, and how many at a time."""
    rivals: dict[str, tuple[Callable[[Calls, Floats], Floats], int]] = {}
    if is_installed("fast_vollib"):
        for backend in ("numpy", "numba"):
            name = f"fast-vollib ({backend})"
            rivals[name] = (lambda calls, y, b=backend: vol_with_vollib(calls, y, b), 100_000)
    if is_installed("QuantLib"):
        rivals["QuantLib"] = (vol_with_quantlib, 10_000)
    return rivals


def values() -> list[Figure]:
    """Time and check values."""
    calls = some_calls(COUNT)
    out = np.empty(COUNT)
    fields = amm.EuropeanPrice._make(np.empty(COUNT) for _ in amm.EuropeanPrice._fields)
    sample = calls.first(SAMPLE)
    expected = exact(sample)

    def value() -> None:
        amm.european_value("call", *calls, out=out, threads=1)

    def price() -> None:
        amm.european_price("call", *calls, out=fields, threads=1)

    ours, greeks = per_option(value, COUNT, 9), per_option(price, COUNT, 9)
    times, errors = absent(), absent()
    for name, (rival, count) in value_rivals().items():
        some = calls.first(count)
        taken = per_option(lambda rival=rival, some=some: rival(some), count, 3)
        times.append(f"{name} {taken:,.0f} ns")
        errors.append(f"{name} {errors_of(rival(sample), expected)}")
    error = errors_of(with_ours(sample), expected)
    return [
        Figure("European value", f"{ours:.1f} ns", "; ".join(times), "≤ 10 ns"),
        Figure("the same with four greeks", f"{greeks:.1f} ns", f"{greeks / ours:.2f} x value"),
        Figure("the value's largest relative error", error, "; ".join(errors), "≤ 1e-12"),
    ]


def vols() -> list[Figure]:
    """Time and check implied vols."""
    calls = some_calls(COUNT // 4)
    sample = calls.first(SAMPLE)
    exact_values = np.array([float(number) for number in exact(sample)])
    known = [mpf(vol) for vol in sample.vol.tolist()]
    value = with_ours(calls)
    ours = per_option(lambda: vol_with_ours(calls, value), value.size, 9)
    times, errors = absent(), absent()
    for name, (rival, count) in vol_rivals().items():
        some, given = calls.first(count), value[:count]
        taken = per_option(lambda r=rival, s=some, g=given: r(s, g), count, 2)
        times.append(f"{name} {taken:,.0f} ns")
        errors.append(f"{name} {errors_of(rival(sample, exact_values), known)}")
    error = errors_of(vol_with_ours(sample, exact_values), known)
    return [
        Figure("European implied vol", f"{ours:.0f} ns", "; ".join(times)),
        Figure("the vol's largest relative error", error, "; ".join(errors), "≤ 1e-12"),
        *(perpetual_vols(calls, cap) for cap in (None, 0.5)),
    ]


def perpetual_vols(calls: Calls, cap: float | None) -> Figure:
    """Time implied vols of perpetual options."""
    moneyness = np.maximum(calls.moneyness, 0.7)
    value = amm.price("call", moneyness, calls.vol, WEEK, cap=cap).value
    found = amm.implied_vol("call", value, moneyness, WEEK, cap=cap)

    def find() -> None:
        amm.implied_vol("call", value, moneyness, WEEK, cap=cap, out=found, threads=1)

    taken = per_option(find, value.size, 3)
    error = float(np.max(np.abs(found / calls.vol - 1)))
    what = "perpetual implied vol" + ("" if cap is None else f", cap {cap}")
    return Figure(what, f"{taken:.0f} ns", f"round trip to within {error:.0e}")


def europeans() -> list[Figure]:
    """Measure everything, on one thread."""
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    figures = values() + vols()
    numba.set_num_threads(threads)
    return figures
