"""The command line as a user meets it: results, pictures, and one clear line for bad input."""

import gzip
import json
from pathlib import Path

import pytest

from tests.api.conftest import Call, Run

HEADER = "ts,open,high,low,close,volume,seg"
DAYS = 3


def hours(price: float, count: int = 24 * DAYS) -> list[str]:
    """Return lines of hourly history from 2024-01-01 that swing around a price."""
    lines = []
    for hour in range(count):
        opened = price * (1 + 0.004 * ((hour * 7) % 5 - 2))
        closed = price * (1 + 0.004 * (((hour + 1) * 7) % 5 - 2))
        high, low = 1.002 * max(opened, closed), 0.998 * min(opened, closed)
        stamp = f"2024-01-{1 + hour // 24:02d}T{hour % 24:02d}:00:00Z"
        lines.append(f"{stamp},{opened:.2f},{high:.2f},{low:.2f},{closed:.2f},10.0,0")
    return lines


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """A folder with three days of both underlyings."""
    folder = tmp_path / "history"
    folder.mkdir()
    for symbol, price in (("BTC", 42_000.0), ("ETH", 2_300.0)):
        write(folder / f"{symbol}_1h.csv", hours(price))
    return folder


def write(file: Path, lines: list[str], header: str = HEADER) -> None:
    """Write a history file."""
    file.write_text("\n".join([header, *lines]) + "\n")


SPAN = ("--from", "2024-01-01", "--to", "2024-01-04")
ONE_TOKEN = ("--tokens", "TSLA.M")


def test_a_replay_reports_and_draws(history: Path, run: Run, tmp_path: Path) -> None:
    """Tables on the terminal, a picture where it says, nothing left over."""
    done = run("replay", history, *SPAN, *ONE_TOKEN)
    assert done.returncode == 0, done.stderr
    for words in ("Profit and loss", "Premium by source", "refusals", "all hold", "TSLA.M"):
        assert words in done.stdout
    picture = tmp_path / "run" / "replay.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["history", "run"]


def test_json_is_the_whole_result(history: Path, call: Call) -> None:
    """Machines read standard output; progress does not disturb it."""
    _, output, _ = call("replay", history, *SPAN, "--tokens", "TSLA.M,NVDA.M", "--json")
    result = json.loads(output)
    assert set(result["tokens"]) == {"TSLA.M", "NVDA.M"}
    for token in result["tokens"].values():
        assert sum(token["profit_and_loss"].values()) == 0
    assert result["trades"] > 0
    assert result["checks"] >= result["commands"]


def without(folder: Path) -> None:
    (folder / "ETH_1h.csv").unlink()


def replace_line(number: int, line: str) -> object:
    """Return a change of one line of the BTC file; the header is line 1."""

    def change(folder: Path) -> None:
        lines = (folder / "BTC_1h.csv").read_text().splitlines()
        lines[number - 1] = line
        (folder / "BTC_1h.csv").write_text("\n".join(lines) + "\n")

    return change


def cut_gzip(folder: Path) -> None:
    content = gzip.compress((folder / "BTC_1h.csv").read_bytes())
    (folder / "BTC_1h.csv").unlink()
    (folder / "BTC_1h.csv.gz").write_bytes(content[: len(content) // 2])


def unordered(folder: Path) -> None:
    lines = hours(42_000.0)
    lines[10], lines[11] = lines[11], lines[10]
    write(folder / "BTC_1h.csv", lines)


def gap(folder: Path) -> None:
    lines = hours(42_000.0)
    write(folder / "BTC_1h.csv", lines[:20] + lines[50:])


BAD_HISTORY = {
    "missing file": without,
    "wrong columns": replace_line(1, "ts,open,high,low,close"),
    "not a number": replace_line(12, "2024-01-01T10:00:00Z,4e4x,5e4,3e4,4e4,1,0"),
    "NaN": replace_line(12, "2024-01-01T10:00:00Z,nan,50000,30000,40000,1,0"),
    "infinite": replace_line(12, "2024-01-01T10:00:00Z,40000,inf,30000,40000,1,0"),
    "negative": replace_line(12, "2024-01-01T10:00:00Z,-40000,50000,-50000,40000,1,0"),
    "zero": replace_line(12, "2024-01-01T10:00:00Z,0,50000,0,40000,1,0"),
    "low above open": replace_line(12, "2024-01-01T10:00:00Z,40000,50000,45000,47000,1,0"),
    "short row": replace_line(12, "2024-01-01T10:00:00Z,40000"),
    "bad time": replace_line(12, "yesterday,40000,50000,30000,40000,1,0"),
    "unordered time": unordered,
    "gap": gap,
    "truncated gzip": cut_gzip,
}


@pytest.mark.parametrize("change", BAD_HISTORY.values(), ids=BAD_HISTORY.keys())
def test_bad_history_gets_one_line_and_status_2(history: Path, call: Call, change: object) -> None:
    """The line names the file; nothing is printed as a result."""
    change(history)  # type: ignore[operator]
    status, output, errors = call("replay", history, *SPAN, *ONE_TOKEN)
    assert status == 2
    assert output == ""
    assert len(errors.strip().splitlines()) == 1
    assert "_1h.csv" in errors


def test_an_outage_is_told_and_survived(history: Path, call: Call) -> None:
    """Some hours missing in both files: prices age, trading pauses, the run goes on."""
    for symbol, price in (("BTC", 42_000.0), ("ETH", 2_300.0)):
        lines = hours(price)
        write(history / f"{symbol}_1h.csv", lines[:30] + lines[35:])
    status, output, errors = call("replay", history, *SPAN, *ONE_TOKEN, "--json")
    assert status == 0
    assert "hours missing in the history: 5" in errors
    assert json.loads(output)["trades"] > 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--from", "soon"), "'soon' is not a day"),
        (("--from", "2024-01-03", "--to", "2024-01-02"), "--to must be after --from"),
        (("--from", "2030-01-01", "--to", "2030-01-02"), "_1h.csv"),
        ((*SPAN, "--tokens", " , "), "--tokens"),
        ((*SPAN, "--tokens", "TSLA.M,TSLA.M"), "--tokens"),
        ((*SPAN, "--database", "no/such/folder/x.sqlite"), "no/such/folder"),
        ((*SPAN, "--database", "."), "is a folder"),
        ((*SPAN, "--picture", "/proc/no/picture.png"), "--picture"),
        ((*SPAN, "--picture", "chart.jpeg"), ".png"),
        (("--from", "1960-01-01"), "between 2009"),
        ((*SPAN, "--seed", "-1"), "--seed"),
        ((*SPAN, "--vol", "high"), "--vol"),
        (("--colour",), "--colour"),
    ],
)
def test_bad_options_get_one_line_and_status_2(
    history: Path, call: Call, arguments: tuple[str, ...], words: str
) -> None:
    """And say which option."""
    status, _, errors = call("replay", history, *arguments)
    assert status == 2
    assert len(errors.strip().splitlines()) == 1
    assert words in errors


def test_a_folder_that_is_not_there(call: Call) -> None:
    """One line, status 2."""
    status, _, errors = call("replay", "nowhere", *SPAN)
    assert status == 2
    assert "nowhere" in errors
    assert len(errors.strip().splitlines()) == 1


def test_checking_what_is_no_database(call: Call, tmp_path: Path) -> None:
    """A missing file and a file of something else."""
    (tmp_path / "notes.txt").write_text("dear diary, " * 100)
    for name in ("nothing.sqlite", "notes.txt"):
        status, _, errors = call("db", "check", name)
        assert status == 2
        assert len(errors.strip().splitlines()) == 1
        assert name in errors


def test_another_run_on_the_same_database_is_refused(history: Path, call: Call) -> None:
    """A database belongs to one plan."""
    span = ("--from", "2024-01-01", "--to", "2024-01-02", *ONE_TOKEN, "--database", "db.sqlite")
    assert call("replay", history, *span)[0] == 0
    status, _, errors = call("replay", history, *span, "--seed", "8")
    assert status == 2
    assert "holds another run" in errors


def test_real_history_replays(market_data: Path, call: Call) -> None:
    """The hours around the crash of 12 March 2020, every invariant checked after every command."""
    span = ("--from", "2020-03-11", "--to", "2020-03-14", *ONE_TOKEN)
    status, output, errors = call("replay", market_data.resolve(), *span, "--json")
    assert status == 0, errors
    result = json.loads(output)
    assert sum(result["tokens"]["TSLA.M"]["profit_and_loss"].values()) == 0
    assert result["trades"] > 0
    assert result["commands"] > 2 * 3 * 24 * 60
