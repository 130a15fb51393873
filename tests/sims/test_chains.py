"""Chains are read by snapshot as they are, and refused where they are not right."""

import csv
import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from amm.calibration import calibrate
from sims.markets.chains import ChainError, read_chains
from sims.markets.table import iso_second

HEADER = (
    "ts,currency,instrument,type,strike,expiry,index_price,forward,bid_coin,ask_coin,mark_coin,"
    "mark_iv,delta,vega_usd,open_interest,volume_24h"
)
STRIKES = range(80, 125, 5)
TIME = "2026-03-01T10:00:00Z"


def row(
    strike: float = 100,
    ts: str = TIME,
    kind: str = "C",
    expiry: str = "2026-03-27T08:00:00Z",
    iv: str = "0.5",
    forward: str = "100.5",
    currency: str = "BTC",
    delta: str = "",
    index: str = "",
) -> str:
    name = f"{currency}-{expiry[:10]}-{strike}-{kind}"
    cells = [ts, currency, name, kind, f"{strike}", expiry, index, forward, "", "", "", iv, delta]
    return ",".join([*cells, "", "", ""])


def listed(**cells: str) -> list[str]:
    """Return the rows of one expiry, calls and puts."""
    return [row(strike, kind=kind, **cells) for strike in STRIKES for kind in "CP"]


def write(folder: Path, lines: list[str], header: str = HEADER) -> Path:
    path = folder / "chain.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def test_one_snapshot_is_read(tmp_path: Path) -> None:
    lines = listed() + listed(expiry="2026-06-26T08:00:00Z", iv="0.6", forward="101")
    (snapshot,) = read_chains(write(tmp_path, lines[::-1]))
    assert (iso_second(snapshot.time_ms), snapshot.currency) == (TIME, "BTC")
    assert snapshot.rows == len(lines)
    assert [iso_second(each)[:10] for each in snapshot.expiries_ms] == ["2026-03-27", "2026-06-26"]
    near, far = snapshot.chain
    assert near.years == pytest.approx((26 - 2 / 24) / 365)
    assert (near.forward, far.forward) == (100.5, 101.0)
    assert near.log_strikes == pytest.approx(np.log(np.array(STRIKES) / 100.5))
    assert set(far.vols) == {0.6}
    assert near.names[0] == "BTC-2026-03-27-80-P"
    assert near.names[-1] == "BTC-2026-03-27-120-C"


def test_gzip_and_columns_in_any_order(tmp_path: Path) -> None:
    """Of the columns only eight are needed."""
    keep = ("strike", "mark_iv", "forward", "expiry", "type", "instrument", "currency", "ts")
    cells = csv.DictReader([HEADER, *listed()])
    text = "\n".join([",".join(keep), *(",".join(each[name] for name in keep) for each in cells)])
    path = tmp_path / "chain.csv.gz"
    path.write_bytes(gzip.compress(text.encode()))
    (snapshot,) = read_chains(path)
    assert snapshot.chain[0].vols.size == len(STRIKES)


def test_rows_minutes_apart_are_one_snapshot_and_a_pause_begins_another(tmp_path: Path) -> None:
    lines = listed()
    for minutes, chains in ((10, 1), (11, 2)):
        times = ["2026-03-01T10:00:00Z", f"2026-03-01T10:{minutes}:00Z"]
        late = [line.replace(TIME, times[place > 9]) for place, line in enumerate(lines)]
        snapshots = read_chains(write(tmp_path, late))
        assert [iso_second(each.time_ms) for each in snapshots] == times[:chains]


def test_a_repetition_and_a_currency_begin_another(tmp_path: Path) -> None:
    lines = (
        listed(ts="2026-03-01T16:00:00Z")
        + listed()
        + listed(ts="2026-03-01T10:02:00Z")
        + listed(currency="ETH")
    )
    found = [
        (each.currency, iso_second(each.time_ms)[11:16])
        for each in read_chains(write(tmp_path, lines))
    ]
    assert found == [("BTC", "10:00"), ("BTC", "10:02"), ("BTC", "16:00"), ("ETH", "10:00")]


def test_cells_may_be_empty(tmp_path: Path) -> None:
    """No vol, or 0: no quote. No forward: that of the other rows, then the index."""
    lines = listed()
    lines[0] = row(80, kind="C", forward="")
    lines[1] = row(80, kind="P", iv="")
    lines[-2] = row(120, kind="C", iv="0")
    (snapshot,) = read_chains(write(tmp_path, lines))
    assert snapshot.chain[0].vols.size == len(STRIKES) - 2
    assert snapshot.chain[0].forward == 100.5
    (snapshot,) = read_chains(write(tmp_path, listed(forward="", index="99.5")))
    assert snapshot.chain[0].forward == 99.5


def test_the_forward_is_the_middle_one(tmp_path: Path) -> None:
    lines = [row(120, forward="300"), *listed()[:-2]]
    assert read_chains(write(tmp_path, lines))[0].chain[0].forward == 100.5


def test_expired_and_thin_expiries_are_left_out(tmp_path: Path) -> None:
    lines = (
        listed(expiry="2026-03-01T08:00:00Z")
        + listed(expiry="2026-03-02T08:00:00Z")
        + listed(expiry="2026-03-08T08:00:00Z")[:6]
    )
    (snapshot,) = read_chains(write(tmp_path, lines))
    assert snapshot.chain == ()
    assert snapshot.rows == len(lines)


BAD_LINES = {
    "not a time": (row(ts="yesterday"), "ts"),
    "no such day": (row(ts="2026-02-30T10:00:00Z"), "2026-02-30"),
    "not a kind": (row(kind="X"), "type"),
    "no currency": (row(currency=""), "currency"),
    "negative strike": (row(-100), "strike"),
    "zero strike": (row(0), "strike"),
    "text strike": (row().replace(",100,", ",1e5x,"), "strike"),
    "bad expiry": (row(expiry="27MAR26"), "expiry"),
    "NaN vol": (row(iv="nan"), "mark_iv"),
    "infinite vol": (row(iv="inf"), "mark_iv"),
    "negative vol": (row(iv="-0.5"), "mark_iv"),
    "vol in per cent": (row(iv="55.3"), "mark_iv"),
    "zero forward": (row(forward="0"), "forward"),
    "NaN forward": (row(forward="NaN"), "forward"),
    "negative index": (row(index="-1"), "index_price"),
    "delta beyond 1": (row(delta="50"), "delta"),
    "short row": (TIME, "1 cells under 16"),
    "open quote": (row().replace("BTC-", '"BTC-'), "chain.csv"),
}


@pytest.mark.parametrize(("line", "word"), BAD_LINES.values(), ids=BAD_LINES.keys())
def test_a_bad_line_is_refused_and_named(tmp_path: Path, line: str, word: str) -> None:
    path = write(tmp_path, [row(95), line, row(105)])
    with pytest.raises(ChainError) as caught:
        read_chains(path)
    message = str(caught.value)
    assert message.startswith(f"{path}, line ")
    assert word in message
    assert "\n" not in message
    if line.count(",") == HEADER.count(",") and '"' not in line:
        assert message.startswith(f"{path}, line 3: ")


def test_the_same_option_twice_at_once_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, [row(95), row(100), row(95)])
    with pytest.raises(ChainError, match=r"line 4: BTC-2026-03-27-95-C is there twice"):
        read_chains(path)


def test_an_expiry_without_forward_and_two_names_of_a_strike_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ChainError, match="no forward"):
        read_chains(write(tmp_path, listed(forward="")))
    twin = row(110).replace("BTC-2026-03-27-110-C", "TWIN")
    with pytest.raises(ChainError, match="two quotes at the strike 110"):
        read_chains(write(tmp_path, [*listed(), twin]))


def write_text(text: bytes, name: str = "chain.csv") -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(text)
        return folder / name

    return make


CONTENT = "\n".join([HEADER, *listed()]).encode()
BAD_FILES = {
    "missing": (lambda folder: folder / "none.csv", "No such file"),
    "a folder": (lambda folder: folder, "directory"),
    "empty": (write_text(b""), "line 1: no column ts"),
    "only a header": (write_text(HEADER.encode()), "no options"),
    "wrong columns": (write_text(b"a,b\n1,2\n"), "no column ts"),
    "column twice": (write_text(b"ts," + CONTENT), "same name"),
    "not gzip": (write_text(CONTENT, "chain.csv.gz"), "gzip"),
    "cut gzip": (write_text(gzip.compress(CONTENT)[:-20], "chain.csv.gz"), "gzip"),
    "not text": (write_text(b"ts,\xff\xfe\n"), "not UTF-8"),
}


@pytest.mark.parametrize(("make", "word"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_bad_file_is_refused(tmp_path: Path, make: Callable[[Path], Path], word: str) -> None:
    path = make(tmp_path)
    with pytest.raises(ChainError, match=word) as caught:
        read_chains(path)
    assert str(caught.value).startswith(str(path))


def reference(market_data: Path) -> dict[tuple[str, str], dict[str, str]]:
    """Return the errors that others measured, by file and day."""
    path = market_data / "derived" / "ssvi_per_snapshot.csv"
    if not path.is_file():
        pytest.skip("no measured errors to compare with")
    with path.open() as file:
        return {(each["file"], each["ts"][:10]): each for each in csv.DictReader(file)}


def test_real_chains_are_fitted_as_closely_as_others_fitted_them(market_data: Path) -> None:
    """The same quotes count, the error stays inside its bar, and no arbitrage is found."""
    expected = reference(market_data)
    compared = 0
    for path in sorted((market_data / "options").glob("*.csv.gz")):
        for snapshot in read_chains(path):
            fit = calibrate(snapshot.chain)
            assert fit.no_arbitrage, snapshot.time_ms
            measured = expected.get((path.name, iso_second(snapshot.time_ms)[:10]))
            if measured is None:
                continue
            compared += 1
            bar = float(measured["vega_rmse_volpt"])
            assert (fit.quotes, len(fit.expiries)) == (int(measured["n"]), int(measured["n_exp"]))
            assert fit.error <= 1.02 * bar
            assert fit.surface_error <= max(3.0 * bar, 2.7)
    assert compared == len(expected)
