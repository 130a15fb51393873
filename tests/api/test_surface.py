"""`evergamma surface` as a user meets it: fits, pictures, and one clear line for bad input."""

import gzip
import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.image import imread

from amm.ssvi import Ssvi, at_level, atm_variance, total_variance
from tests.api.conftest import Call

HEADER = "ts,currency,instrument,type,strike,expiry,forward,mark_iv,delta"
EXPIRIES = ("2026-03-05", "2026-03-12", "2026-03-27", "2026-06-26")
DAYS = (3.9167, 10.9167, 25.9167, 116.9167)
TRUTH = Ssvi(0.45, 0.6, 6.0, -0.2, 0.8)


def chain(surface: Ssvi = TRUTH, day: int = 1, currency: str = "BTC", count: int = 4) -> list[str]:
    """Return rows that the surface itself quotes on 1 March 2026 at 10:00, or later in March."""
    rows = []
    for expiry, days in zip(EXPIRIES[:count], DAYS, strict=False):
        years = (days - day + 1) / 365.0
        theta = atm_variance(surface, years)
        for step in range(-6, 7):
            strike = round(60_000.0 * math.exp(0.3 * step * math.sqrt(theta)), 2)
            k = math.log(strike / 60_000.0)
            variance = total_variance(theta, surface.skew, surface.curvature, 0.5, k)
            kind = "C" if strike >= 60_000.0 else "P"
            rows.append(
                f"2026-03-{day:02d}T10:00:00Z,{currency},{currency}-{expiry}-{step}-{kind},{kind},"
                f"{strike},{expiry}T08:00:00Z,60000,{math.sqrt(variance / years):.6f},"
            )
    return rows


def write(folder: Path, lines: list[str], header: str = HEADER, name: str = "chain.csv") -> Path:
    path = folder / name
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def test_a_fit_is_shown_and_drawn(tmp_path: Path, call: Call) -> None:
    """One panel for each expiry, with ink; another chain looks different."""
    pictures = []
    for name, surface in (("calm", TRUTH), ("crash", Ssvi(1.2, 0.6, 20.0, -0.4, 1.0))):
        file = write(tmp_path, chain(surface), name=f"{name}.csv")
        status, output, _ = call("surface", "fit", file, "--plot", f"{name}.png")
        assert status == 0
        pictures.append(imread(tmp_path / f"{name}.png")[..., :3])
        for words in ("2026-06-26", "butterflies none", "calendar spreads none", "no outliers"):
            assert words in output
        assert f"picture {name}.png" in output
    assert pictures[0].shape == pictures[1].shape
    assert (pictures[0] != pictures[1]).any()
    height, width = pictures[0].shape[:2]
    for panel in range(3):
        part = pictures[0][height // 6 : height // 2, panel * width // 3 : (panel + 1) * width // 3]
        assert (part < 0.7).any()


def test_json_holds_the_whole_fit(tmp_path: Path, call: Call) -> None:
    status, output, _ = call("surface", "fit", write(tmp_path, chain()), "--json")
    assert status == 0
    (fit,) = json.loads(output)
    assert (fit["currency"], fit["ts"]) == ("BTC", "2026-03-01T10:00:00Z")
    assert [each["quotes"] for each in fit["expiries"]] == [13] * 4
    assert [each["expiry"][:10] for each in fit["expiries"]] == list(EXPIRIES)
    assert max(fit["error"], fit["surface_error"]) < 0.02
    assert fit["surface"] == pytest.approx(TRUTH._asdict(), rel=0.03)
    assert fit["no_arbitrage"]
    assert fit["arbitrage"]["density"] > 0


def test_several_chains_are_listed_and_chosen(tmp_path: Path, call: Call) -> None:
    file = write(tmp_path, chain() + chain(day=2) + chain(currency="ETH"))
    _, output, _ = call("surface", "fit", file)
    lines = [line for line in output.splitlines() if "2026-03-0" in line]
    assert ["BTC 2026-03-01" in line for line in lines] == [True, False, False]
    assert ["none" in line for line in lines] == [True] * 3
    _, output, _ = call("surface", "fit", file, "--at", "2026-03-02")
    assert "BTC 2026-03-02T10:00:00Z: 52 of 52 options count" in output
    status, output, errors = call("surface", "fit", file, "--at", "2026-03-05")
    assert (status, output) == (2, "")
    assert "no chain at '2026-03-05', only 2026-03-01T10:00:00Z" in errors
    status, _, errors = call("surface", "fit", file, "--plot", "three.png")
    assert status == 2
    assert "choose with --at" in errors


def test_a_chain_too_thin_is_told_beside_the_others(tmp_path: Path, call: Call) -> None:
    file = write(tmp_path, chain()[:5] + chain(day=2))
    status, output, errors = call("surface", "fit", file)
    assert status == 0
    assert "BTC 2026-03-02T10:00:00Z" in output
    assert errors.splitlines() == [
        f"evergamma: {file}, BTC 2026-03-01T10:00:00Z: no expiry with enough quotes that count"
    ]


def test_one_expiry_is_enough(tmp_path: Path, call: Call) -> None:
    status, output, _ = call("surface", "fit", write(tmp_path, chain(count=1)))
    assert status == 0
    assert "13 of 13 options count" in output


def test_an_outlier_is_named(tmp_path: Path, call: Call) -> None:
    rows = chain()
    name = rows[20].split(",")[2]
    cells = rows[20].split(",")
    cells[7] = "0.9"
    _, output, _ = call(
        "surface", "fit", write(tmp_path, [*rows[:20], ",".join(cells), *rows[21:]])
    )
    assert f"outlier {name}: 90.0%" in output


def change(place: int, text: str) -> Callable[[Path], Path]:
    """Return a maker of a chain with another cell in line 5."""

    def make(folder: Path) -> Path:
        rows = chain()
        cells = rows[3].split(",")
        cells[place] = text
        return write(folder, [*rows[:3], ",".join(cells), *rows[4:]])

    return make


def not_gzip(folder: Path) -> Path:
    return write(folder, chain(), name="chain.csv.gz")


def cut_gzip(folder: Path) -> Path:
    path = folder / "chain.csv.gz"
    path.write_bytes(gzip.compress("\n".join([HEADER, *chain()]).encode())[:-30])
    return path


BAD_FILES = {
    "missing": (lambda folder: folder / "none.csv", "No such file"),
    "a folder": (lambda folder: folder, "directory"),
    "empty": (lambda folder: write(folder, [], header=""), "no column ts"),
    "header only": (lambda folder: write(folder, []), "no options"),
    "wrong columns": (lambda folder: write(folder, ["1,2"], header="a,b"), "no column ts"),
    "not gzip": (not_gzip, "damaged or truncated gzip"),
    "cut gzip": (cut_gzip, "damaged or truncated gzip"),
    "NaN": (change(7, "nan"), "line 5: mark_iv"),
    "infinite": (change(6, "inf"), "line 5: forward"),
    "negative strike": (change(4, "-60000"), "line 5: strike"),
    "negative vol": (change(7, "-0.4"), "line 5: mark_iv"),
    "per cent": (change(7, "45.2"), "line 5: mark_iv"),
    "bad time": (change(0, "today"), "line 5: ts"),
    "bad expiry": (change(5, "friday"), "line 5: expiry"),
    "too thin": (lambda folder: write(folder, chain()[:6]), "no expiry with enough quotes"),
}


@pytest.mark.parametrize(("make", "words"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_bad_file_gets_one_line_and_status_2(
    tmp_path: Path, call: Call, make: Callable[[Path], Path], words: str
) -> None:
    file = make(tmp_path)
    status, output, errors = call("surface", "fit", file)
    assert (status, output) == (2, "")
    assert len(errors.strip().splitlines()) == 1
    assert errors.startswith(f"evergamma: {file}")
    assert words in errors


@pytest.mark.parametrize("is_last", [True, False])
def test_a_plot_without_a_place_has_a_usual_one(tmp_path: Path, call: Call, is_last: bool) -> None:
    file = write(tmp_path, chain())
    arguments = (file, "--plot") if is_last else ("--plot", file)
    status, output, _ = call("surface", "fit", *arguments)
    assert status == 0
    assert "picture run/smiles.png" in output
    assert imread(tmp_path / "run" / "smiles.png").size > 0


@pytest.mark.parametrize("plot", ["chart.jpeg", "/proc/no/chart.png"])
def test_a_picture_that_cannot_be_written_is_refused(tmp_path: Path, call: Call, plot: str) -> None:
    status, output, errors = call("surface", "fit", write(tmp_path, chain()), "--plot", plot)
    assert (status, output) == (2, "")
    assert errors.startswith(f"evergamma: --plot {plot}")


def test_defaults_come_from_all_chains_of_a_folder(tmp_path: Path, call: Call) -> None:
    """Chains of one shape at two levels give it back."""
    folder = tmp_path / "options"
    folder.mkdir()
    for day, level in ((1, 0.4), (2, 0.8)):
        moved = at_level(TRUTH, level)
        write(folder, chain(moved, day), name=f"{day}.csv")
        write(folder, chain(moved, day, "ETH"), name=f"{day}-eth.csv")
    status, output, _ = call("surface", "defaults", tmp_path)
    assert status == 0
    found = [line for line in output.splitlines() if "short vol" in line]
    assert [line[:4] for line in found] == ["BTC:", "ETH:"]
    moved = Ssvi(*(float(part.split()[-1]) for part in found[0].split(",")))
    # The level is read between two expiries, so the term structure comes back less exactly.
    assert moved[3:] == pytest.approx(TRUTH[3:], rel=0.01)
    for years in (0.02, 0.1, 0.5):
        expected = math.sqrt(atm_variance(at_level(TRUTH, 0.6), years))
        assert math.sqrt(atm_variance(moved, years)) == pytest.approx(expected, rel=0.01)
    status, output, errors = call("surface", "defaults", tmp_path / "none")
    assert (status, output) == (2, "")
    assert "has no .csv" in errors
