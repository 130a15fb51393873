"""The array surface: broadcasting, output arrays, and what happens to bad input."""

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import amm
from amm import Price, price
from amm.perpetual import perpetual_price

WEEK = 7 / 365
VALID = {"kind": "call", "moneyness": 1.1, "vol": 0.55, "funding_period": WEEK}


def empty_price(shape: tuple[int, ...]) -> Price:
    return Price._make(np.full(shape, math.nan) for _ in Price._fields)


def test_scalars_give_floats() -> None:
    """A scalar price is the kernel's, in plain floats."""
    got = price("put", 0.9, 0.55, WEEK, discount_rate=0.01, carry=0.02, cap=0.5)
    assert got == perpetual_price(False, 0.9, 0.55, WEEK, 0.01, 0.02, 0.5)
    assert all(type(number) is float for number in got)


@pytest.mark.parametrize("moneyness", [1, np.float64(1.0), np.array(1.0), np.int64(1)])
def test_any_number_is_a_scalar(moneyness: object) -> None:
    """Integers, NumPy scalars and arrays without axes count as scalars."""
    got = price(np.str_("call"), moneyness, 0.55, WEEK)
    assert got == price("call", 1.0, 0.55, WEEK)
    assert type(got.value) is float


def test_without_a_cap_is_with_an_infinite_one() -> None:
    """None and infinity mean the same."""
    assert price(**VALID) == price(**VALID, cap=math.inf) != price(**VALID, cap=0.2)


@given(st.data())
def test_arrays_broadcast_like_numpy(data: st.DataObject) -> None:
    """Every element is the scalar price of the broadcast arguments."""
    kinds = np.array(data.draw(st.lists(st.sampled_from(["call", "put"]), min_size=3, max_size=3)))
    moneyness = np.array(data.draw(st.lists(st.floats(0.3, 2), min_size=2, max_size=2)))[:, None]
    vol, cap = np.array([0.4, 0.8, 1.2])[::-1], data.draw(st.sampled_from([None, 0.2, 0.5]))
    got = price(kinds, moneyness, vol, WEEK, carry=[[0.05], [-0.05]], cap=cap)
    assert {field.shape for field in got} == {(2, 3)}
    for i, j in np.ndindex(2, 3):
        carry = (0.05, -0.05)[i]
        one = price(kinds[j], moneyness[i, 0], vol[j], WEEK, carry=carry, cap=cap)
        assert tuple(field[i, j] for field in got) == one


@pytest.mark.parametrize("shape", [(0,), (1,), (2, 0), (1, 1)])
def test_shapes_are_kept(shape: tuple[int, ...]) -> None:
    """Empty arrays and axes of length one stay as they are."""
    got = price("call", np.ones(shape), 0.55, WEEK)
    assert {(field.shape, field.dtype) for field in got} == {(shape, np.dtype(np.float64))}


def test_arguments_are_left_alone() -> None:
    """Read-only and strided arguments are fine, and nothing is written to them."""
    moneyness = np.linspace(0.5, 1.5, 9)
    before = moneyness.copy()
    moneyness.flags.writeable = False
    strided = price("call", moneyness[::2], 0.55, WEEK)
    assert np.array_equal(strided.value, price("call", moneyness, 0.55, WEEK).value[::2])
    assert np.array_equal(moneyness, before)


def test_out_receives_the_prices() -> None:
    """The arrays given are filled and returned, for scalars too."""
    out = empty_price((2, 3))
    moneyness = np.linspace(0.8, 1.2, 6).reshape(2, 3)
    assert price("call", moneyness, 0.55, WEEK, out=out) is out
    for got, expected in zip(out, price("call", moneyness, 0.55, WEEK), strict=True):
        assert np.array_equal(got, expected)
    point = empty_price(())
    price("call", 1.0, 0.55, WEEK, out=point)
    assert point.value[()] == price("call", 1.0, 0.55, WEEK).value


@pytest.mark.parametrize(
    "wrong",
    [np.empty(4), np.empty((3, 1)), np.empty(3, dtype=np.float32), np.empty(6)[::2]],
    ids=["length", "shape", "type", "strides"],
)
def test_out_must_fit(wrong: np.ndarray) -> None:
    """An array of another shape, type or layout is refused by name, not copied to."""
    out = empty_price((3,))._replace(vega=wrong)
    with pytest.raises(ValueError, match=r"out\.vega"):
        price("call", np.ones(3), 0.55, WEEK, out=out)


@pytest.mark.parametrize(
    ("argument", "wrong"),
    [
        ("moneyness", 0.0),
        ("moneyness", -1.0),
        ("moneyness", math.inf),
        ("vol", 0.0),
        ("vol", math.inf),
        ("funding_period", 0.0),
        ("funding_period", math.inf),
        ("discount_rate", -1 / WEEK),
        ("carry", 1 / WEEK),
        ("cap", 0.0),
        *((name, 1e-320) for name in ("moneyness", "vol", "funding_period")),
        ("moneyness", 3e-308),
        ("vol", 1e-150),
        *(
            (name, math.nan)
            for name in ("moneyness", "vol", "funding_period", "discount_rate", "carry", "cap")
        ),
    ],
)
def test_a_number_out_of_range_is_named_or_gives_nan(argument: str, wrong: float) -> None:
    """As a scalar it raises; in an array only its own element is NaN."""
    with pytest.raises(ValueError, match=f"^{argument} must"):
        price(**VALID | {argument: wrong})
    right = (VALID | {"discount_rate": 0.0, "carry": 0.0, "cap": 0.5})[argument]
    got = price(**VALID | {argument: [right, wrong]})
    assert all(list(np.isnan(field)) == [False, True] for field in got)


@pytest.mark.parametrize("kind", ["c", "Call", "", 1, None, ["call", "straddle"], [True, False]])
@pytest.mark.parametrize("moneyness", [1.0, [1.0, 1.1]])
def test_a_wrong_kind_is_refused(kind: object, moneyness: object) -> None:
    """Only call and put are kinds, in arrays too."""
    with pytest.raises(ValueError, match=r"^kind must be 'call' or 'put'"):
        price(kind, moneyness, 0.55, WEEK)


def test_shapes_that_do_not_broadcast_are_refused() -> None:
    """Lengths two and three do not go together."""
    with pytest.raises(ValueError, match="shape mismatch"):
        price("call", [1.0, 1.1], [0.5, 0.6, 0.7], WEEK)


@pytest.mark.parametrize("kind", [["call", ["put", "call"]], [["call"], ["put", "put"]]])
def test_a_ragged_kind_is_named(kind: object) -> None:
    """What is no array of kinds is refused by the argument's name."""
    with pytest.raises(ValueError, match=r"^kind must be 'call' or 'put'"):
        price(kind, 1.0, 0.55, WEEK)


@pytest.mark.parametrize("exponents", [(-308, 0, 0), (0, -307, 0), (0, 0, -308), (-160, -80, -150)])
def test_a_price_is_whole_or_refused(exponents: tuple[int, ...]) -> None:
    """Towards the smallest numbers a price is finite in every field or in none."""
    steps = np.linspace(0, 1, 500)
    moneyness, vol, years = (10.0 ** (steps * exponent) for exponent in exponents)
    for cap in (None, 0.5):
        for kind in ("call", "put"):
            got = np.isnan(price(kind, moneyness, vol, years, cap=cap))
            assert np.all(got.any(axis=0) == got.all(axis=0))
            assert not got[:, :100].any()


@pytest.mark.parametrize(
    "wrong",
    [
        "much",
        "0.5",
        object(),
        [[1.0], [1.0, 2.0]],
        10**400,
        [1, 10**400],
        1j,
        np.array([1.0, 1j]),
        np.array(["2026-01-01"], dtype="datetime64[D]"),
        np.timedelta64(1, "D"),
    ],
    ids=lambda wrong: "an object" if type(wrong) is object else repr(wrong),
)
def test_what_is_no_number_is_named(wrong: object) -> None:
    """Text, ragged lists, dates, complex and too large numbers are refused by name."""
    with pytest.raises(ValueError, match=r"^vol must be a number"):
        price(**VALID | {"vol": wrong})


@pytest.mark.compiled
def test_importing_the_package_compiles_nothing() -> None:
    """Compilation waits for the first price."""
    code = "import amm.perpetual as p; assert not p.perpetual_price.signatures"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)  # noqa: S603
    assert {"Price", "price", "value"} < set(amm.__all__)


@pytest.mark.compiled
def test_one_layout_is_compiled() -> None:
    """Whatever the arguments' layout, the loop has one compiled version."""
    fill = sys.modules["amm.perpetual_arrays"].fill_prices
    moneyness = np.ones((4, 6))
    for view in (moneyness, moneyness.T, moneyness[::2], np.broadcast_to(1.0, (2, 2)), [1, 2]):
        price("call", view, 0.55, WEEK)
    assert len(fill.signatures) == 1
