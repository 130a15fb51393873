"""What the README shows is what happens."""

import doctest
import re
from pathlib import Path

import amm
from amm.units import ONE
from tests.vaults.harness import BTC, Bench
from vaults.opening import quote_opening
from vaults.params import Parameters
from vaults.state import NONE

README = (Path(__file__).resolve().parent.parent / "README.md").read_text()


def test_the_price_it_shows() -> None:
    """To the last digit but one, which is the machine's."""
    shown = re.search(r"^Price\((.*)\)$", README, flags=re.MULTILINE)
    assert shown is not None
    values = {name: float(value) for name, value in re.findall(r"(\w+)=([\d.]+)", shown.group(1))}
    price = amm.price("call", 1.0, 0.55, 7 / 365)._asdict()
    assert values.keys() == price.keys()
    for name, value in values.items():
        assert abs(price[name] / value - 1.0) < 1e-14


def test_the_trade_it_follows() -> None:
    """Every number of its table, from a pool whose reference NAV is 10,000."""
    bench = Bench(Parameters(seed=10_000 * ONE))
    bench.warm()
    quoted = quote_opening(
        bench.state, bench.rules, bench.market, NONE, BTC, True, 100_000 * ONE, 100 * ONE, bench.now
    )
    shown = dict(
        re.findall(r"^\| \*?\*?(\w+)\*?\*? \| \*?\*?([\d.]+)\*?\*? \|", README, flags=re.MULTILINE)
    )
    for name, value in zip(("value", "impact", "spread", "fee", "paid"), quoted.quote, strict=True):
        assert f"{value:.5f}" == shown[name]
    assert quoted.lock == 50.0
    assert f"{quoted.premium_per_day:.5f} TSLA.M a day" in README


def test_the_session_it_shows() -> None:
    """Line by line, as typed into Python."""
    section = README.split("## Prices for quants")[1].split("```")[1].removeprefix("python\n")
    session = doctest.DocTestParser().get_doctest(section, {}, "README", None, 0)
    assert doctest.DocTestRunner().run(session).failed == 0
    assert len(session.examples) >= 5
