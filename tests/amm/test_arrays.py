"""Arrays of prices: the same bits whatever the shape, the block and the number of threads."""

import math
import threading
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import amm
from amm import Price
from amm.arrays import BLOCK, THREADED
from amm.perpetual import perpetual_price, perpetual_value

WEEK = 7 / 365
FIELDS = Price._fields


def book(count: int, seed: int = 1) -> dict[str, np.ndarray]:
    """Options over the whole domain, some capped, some beyond the barrier, some not valid."""
    random = np.random.default_rng(seed)
    funding_period = np.exp(random.uniform(math.log(3e-8), math.log(1000), count))
    wide = random.random(count) < 0.3
    return {
        "kind": random.choice(["call", "put"], count),
        "moneyness": np.exp(random.uniform(-1, 1, count) * np.where(wide, 13.8, 0.7)),
        "vol": np.exp(random.uniform(math.log(1e-4), math.log(50), count)),
        "funding_period": funding_period,
        "discount_rate": random.uniform(-0.5, 2, count) / np.maximum(funding_period, 5),
        "carry": random.uniform(-2, 0.4, count) / np.maximum(funding_period, 5),
        "cap": random.choice([0.01, 0.2, 0.5, 3.0, math.inf, math.nan], count),
    }


def scalars(options: dict[str, np.ndarray], i: int) -> tuple[bool, ...]:
    """Return the arguments of the scalar kernels for one of the options."""
    kind, *numbers = (array[i] for array in options.values())
    return (kind == "call", *map(float, numbers))


def same(left: np.ndarray, right: np.ndarray) -> bool:
    return np.array_equal(left, right, equal_nan=True)


@pytest.mark.parametrize("count", [1, 7, 8, 9, 100, 401])
def test_arrays_are_scalars_to_the_last_bit(count: int) -> None:
    """Vector code and its remainder give what the scalar kernels give."""
    options = book(count, seed=count)
    prices, values = amm.price(**options), amm.value(**options)
    for i in range(count):
        one = perpetual_price(*scalars(options, i))
        assert same(np.array([field[i] for field in prices]), np.array(one))
        assert same(values[i], np.array(perpetual_value(*scalars(options, i))))


def test_value_is_that_of_price_to_the_last_bit() -> None:
    """With caps and without, the fast loop and the full one agree."""
    options = book(3 * BLOCK + 5)
    assert same(amm.value(**options), amm.price(**options).value)
    options["cap"] = None
    assert same(amm.value(**options), amm.price(**options).value)
    options["cap"] = np.full(3 * BLOCK + 5, math.inf)
    assert same(amm.value(**options), amm.value(**(options | {"cap": None})))


@given(st.integers(1, 40), st.integers(0, 20), st.integers(1, 60))
def test_an_element_does_not_know_its_place(count: int, begin: int, repeats: int) -> None:
    """A slice priced alone is the slice of the prices, wherever blocks begin."""
    options = {name: np.tile(array, repeats) for name, array in book(count).items()}
    begin = min(begin, count * repeats - 1)
    part = {name: array[begin:] for name, array in options.items()}
    for whole, alone in zip(amm.price(**options), amm.price(**part), strict=True):
        assert same(whole[begin:], alone)


@pytest.mark.parametrize(
    "shapes",
    [
        [(3, 1, 5), (4, 1), (5,)],
        [(2, 3, 4), (1, 3, 1), (2, 1, 1)],
        [(1, 1), (6,), (7, 1)],
        [(0, 4), (4,), (1, 1)],
        [(50, 1), (70,), ()],
    ],
)
def test_any_shapes_broadcast(shapes: list[tuple[int, ...]]) -> None:
    """Arguments that repeat along some axes are priced as if they were written out."""
    random = np.random.default_rng(2)
    moneyness, vol, carry = (random.uniform(0.5, 1.5, shape) for shape in shapes)
    got = amm.price("put", moneyness, vol, WEEK, carry=carry, cap=0.4)
    full = [np.array(each) for each in np.broadcast_arrays(moneyness, vol, carry)]
    expected = amm.price("put", full[0], full[1], WEEK, carry=full[2], cap=0.4)
    for left, right in zip(got, expected, strict=True):
        assert left.shape == np.broadcast_shapes(*shapes)
        assert same(left, right)


@pytest.mark.compiled
@pytest.mark.parametrize("threads", [None, 2, 5])
def test_threads_change_no_bit(threads: int | None) -> None:
    """Nor do they outlive the call."""
    options = book(THREADED + 12_345)
    running = threading.active_count()
    for alone, together in zip(
        amm.price(**options, threads=1), amm.price(**options, threads=threads), strict=True
    ):
        assert same(alone, together)
    assert same(amm.value(**options, threads=1), amm.value(**options, threads=threads))
    assert threading.active_count() == running


def test_fields_that_are_not_wanted_stay_away() -> None:
    """None in `out` asks for nothing, and the others are what they always are."""
    options = book(BLOCK + 3)
    full = amm.price(**options)
    for wanted in (("value",), ("gamma", "premium_rate"), FIELDS):
        out = Price._make(np.zeros(BLOCK + 3) if name in wanted else None for name in FIELDS)
        assert amm.price(**options, out=out) is out
        for name, got, expected in zip(FIELDS, out, full, strict=True):
            assert got is None if name not in wanted else same(got, expected)
    assert amm.price(**options, out=Price(None, None, None, None, None)) == (None,) * 5


def test_value_writes_where_it_is_told() -> None:
    """One array receives the values; one that does not fit is refused."""
    options = book(20)
    out = np.zeros(20)
    assert amm.value(**options, out=out) is out
    assert same(out, amm.value(**options))
    with pytest.raises(ValueError, match=r"^out must be a C-contiguous"):
        amm.value(**options, out=np.zeros((20, 1)))
    assert isinstance(amm.value("call", 1.0, 0.5, WEEK), float)
    with pytest.raises(ValueError, match=r"^vol must"):
        amm.value("call", 1.0, -0.5, WEEK)


VALUED = {"kind": "call", "value": 0.05, "moneyness": np.ones(4)}
NAMED = {"moneyness": np.ones(4), "discount_rate": 0.0, "carry": 0.0}
PERPETUAL = NAMED | {"kind": "call", "vol": 0.5, "funding_period": WEEK}
EUROPEAN = NAMED | {"kind": "call", "vol": 0.5, "years": WEEK}
RECORDS = [
    (amm.price, PERPETUAL, Price),
    (amm.sensitivities, PERPETUAL, amm.Sensitivities),
    (amm.european_price, EUROPEAN, amm.EuropeanPrice),
]
ROWS = [
    (amm.value, PERPETUAL),
    (amm.european_value, EUROPEAN),
    (amm.implied_vol, VALUED | {"funding_period": WEEK}),
    (amm.implied_vol, VALUED | {"funding_period": WEEK, "cap": 0.5}),
    (amm.european_implied_vol, VALUED | {"years": WEEK}),
]


def unfit(argument: np.ndarray) -> list[object]:
    """Return what cannot be written to, for an argument of four numbers."""
    fixed = np.empty(4)
    fixed.flags.writeable = False
    unaligned = np.empty(33, dtype=np.uint8)[1:].view(np.float64)
    lists = [[0.0] * 4, 0.0, "four"]
    others = [np.empty(5), np.empty(4, dtype=np.float32), np.empty(8)[::2], np.empty((1, 4))]
    return [fixed, unaligned, argument, *lists, *others]


@pytest.mark.parametrize(("function", "options", "record"), RECORDS)
def test_outputs_that_do_not_fit_are_named(
    function: Callable[..., object], options: dict[str, object], record: type
) -> None:
    """What is fixed, no array, of another shape or shared is refused before anything is written."""
    fields = record._fields
    last = fields[-1]
    right = record._make(np.zeros(4) for _ in fields)
    for wrong in unfit(options["moneyness"]):
        with pytest.raises(ValueError, match=rf"^out\.{last} must"):
            function(**options, out=right._replace(**{last: wrong}))
    for shared in (right[0], right[0].reshape(2, 2).reshape(4)):
        with pytest.raises(ValueError, match=rf"^out\.{last} must not share .* out\.{fields[0]}$"):
            function(**options, out=right._replace(**{last: shared}))
    for wrong in (np.zeros((len(fields), 4)), list(right), tuple(right[1:]), (*right, None), 1.0):
        with pytest.raises(ValueError, match=rf"^out must .* out\.{last}$"):
            function(**options, out=wrong)
    inside = options | {"vol": right[0][3, ...]}
    with pytest.raises(ValueError, match=rf"^out\.{fields[0]} must not share"):
        function(**inside, out=right)
    assert not np.any(right)
    only = record._make(np.zeros(4) if name == last else None for name in fields)
    assert function(**options, out=only) is only
    assert same(only[-1], function(**options)[-1])


@pytest.mark.parametrize(("function", "options"), ROWS)
def test_an_output_that_does_not_fit_is_named(
    function: Callable[..., object], options: dict[str, object]
) -> None:
    """So it is where there is but one."""
    for wrong in unfit(options["moneyness"]):
        with pytest.raises(ValueError, match=r"^out must"):
            function(**options, out=wrong)
    point = np.array(1.0)
    with pytest.raises(ValueError, match=r"^out must not share"):
        function(**options | {"moneyness": point}, out=point)


@pytest.mark.parametrize("threads", [0, -1, 1.5, 2.0, "2"])
@pytest.mark.parametrize(("function", "options"), [(each[0], each[1]) for each in RECORDS] + ROWS)
def test_threads_are_a_number_above_zero(
    function: Callable[..., object], options: dict[str, object], threads: object
) -> None:
    """Another is refused by name, for scalars and small arrays too."""
    for moneyness in (1.0, np.ones(4)):
        with pytest.raises(ValueError, match=r"^threads must"):
            function(**options | {"moneyness": moneyness}, threads=threads)
    function(**options, threads=np.int64(1))


def test_what_leaves_no_digit_is_refused() -> None:
    """A carry that takes all but rounding of the discounting has no price."""
    carry = math.nextafter(1 / WEEK, 0)
    with pytest.raises(ValueError, match="carry"):
        amm.price("call", 1.0, 0.5, WEEK, carry=carry)
    assert math.isnan(amm.value("call", np.ones(1), 0.5, WEEK, carry=carry)[0])
