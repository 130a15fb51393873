"""Kernels as a whole: one compiled version each, and no float where money is counted."""

import importlib
import json
import pkgutil
import subprocess
import sys

import pytest

import vaults
from amm.units import MINUTE_MS, ONE
from tests.vaults.harness import BTC, funded
from vaults.funding import set_self_funding
from vaults.moves import RequestKind
from vaults.quotes import largest_opening, quote_closing
from vaults.ticker import ticker

pytestmark = pytest.mark.compiled

MONEY_IN = {
    "open_position",
    "close_position",
    "set_self_funding",
    "credit",
    "withdraw",
    "debit",
    "request",
    "cancel",
    "quote_closing",
    "largest_opening",
}


def dispatchers() -> dict[str, object]:
    """Return every kernel of the rules by name."""
    modules = [
        importlib.import_module(f"vaults.{module.name}")
        for module in pkgutil.iter_modules(vaults.__path__)
    ]
    return {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if hasattr(value, "py_func") and value.py_func.__module__.startswith("vaults.")
    }


def live_a_day() -> None:
    """Use every command once, with arguments as a caller would have them."""
    bench = funded()
    account = bench.account()
    fill = bench.open(account, 10 * ONE)
    bench.request(account, RequestKind.DEPOSIT_MAIN, ONE)
    bench.cancel(account, bench.request(account, RequestKind.DEPOSIT_MAIN, ONE).request)
    bench.tick(after_ms=MINUTE_MS)
    inputs = (bench.state, bench.rules, bench.market)
    assert quote_closing(*inputs, account, fill.position_id, ONE, bench.now).total > 0
    assert largest_opening(*inputs, account, BTC, True, 100_000 * ONE, bench.now) > 0
    assert ticker(*inputs, BTC, True, 100_000 * ONE).value > 0.0
    bench.run(set_self_funding, account, fill.position_id, 1, bench.now)
    bench.close(account, fill.position_id, ONE)
    bench.withdraw(account, ONE)
    bench.debit(ONE)
    bench.flush_when_due()


def write_signatures() -> None:
    """Write what every kernel was compiled for after a day of use to standard output, as JSON."""
    live_a_day()
    used = {
        name: [[str(each) for each in signature] for signature in kernel.signatures]  # type: ignore[attr-defined]
        for name, kernel in dispatchers().items()
    }
    json.dump(used, sys.stdout)


@pytest.fixture(scope="module")
def signatures() -> dict[str, list[list[str]]]:
    """Live the day in an interpreter of its own: other tests call kernels as no caller does."""
    command = "from tests.vaults.test_kernels import write_signatures; write_signatures()"
    done = subprocess.run([sys.executable, "-c", command], check=True, capture_output=True)  # noqa: S603
    used: dict[str, list[list[str]]] = json.loads(done.stdout)
    return used


def test_money_has_one_all_integer_version(signatures: dict[str, list[list[str]]]) -> None:
    """A float amount would compile float money beside it, unnoticed."""
    for name in MONEY_IN:
        assert len(signatures[name]) == 1, name
        assert not {"float32", "float64"} & set(signatures[name][0]), name


def test_no_kernel_is_compiled_twice(signatures: dict[str, list[list[str]]]) -> None:
    """Constants, enums and flags must not make versions of their own: each costs a compilation."""
    assert {name: each for name, each in signatures.items() if len(each) > 1} == {}
