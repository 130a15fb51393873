"""Replays: seeded, resumable, zero-sum, checked after every command."""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from amm.units import HOUR_MS, ONE
from api.exchange import Exchange
from api.journal import read_outcome
from api.recovery import check_database
from api.replay import InvariantError, Plan, PlanError, Replay, state_digest
from api.results import collect
from api.storage.store import open_store
from sims.flows import FlowRules
from sims.markets.path import PricePath
from sims.markets.simulated import simulate_path
from tests.api.conftest import Run
from vaults.state import State

START_MS = 1_760_011_200_000
BUSY = FlowRules(buyers=10, opens_per_day=400.0, holding_days=0.2, provider_moves_per_day=40.0)


def short_path(days: int = 2, seed: int = 3) -> PricePath:
    """Return two days of simulated minutes."""
    prices, vols = (100_000.0, 4_000.0), (0.5, 0.65)
    return simulate_path(("BTC", "ETH"), START_MS, days, prices, vols, 0.8, seed)


def plan(**changes: object) -> Plan:
    """Return a plan for one token with a busy flow."""
    values = {
        "source": "simulated",
        "start_ms": START_MS,
        "end_ms": START_MS,
        "tokens": ("TSLA.M",),
        "seed": 5,
        "flow": BUSY,
    }
    return Plan(**(values | changes))  # type: ignore[arg-type]


def finished(database: Path, path: PricePath, asked: Plan) -> tuple[Replay, str]:
    """Run a plan to its end; return it and the digest of its state. The store stays open."""
    run = Replay(Exchange(open_store(database)), asked, path)
    run.run()
    return run, state_digest(run.exchange)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Replay, str]]:
    """A replay that was never interrupted."""
    run, digest = finished(tmp_path_factory.mktemp("whole") / "db", short_path(), plan())
    yield run, digest
    run.exchange.store.close()


def test_profit_and_loss_sums_to_zero_exactly(whole: tuple[Replay, str]) -> None:
    """Every gain is somebody's loss, to the last base unit."""
    for token in collect(whole[0]).tokens.values():
        assert sum(token.profit_and_loss) == 0
        assert token.profit_and_loss.protocol > 0


def test_it_trades_refuses_and_checks(whole: tuple[Replay, str]) -> None:
    """The flow opens and closes, some of it is refused, and every command was checked."""
    result = collect(whole[0])
    assert result.trades > 300
    assert result.refusals
    assert result.checks >= result.commands
    premium = result.tokens["TSLA.M"].premium
    assert premium["time_value_streamed"] > 0
    assert premium["impact_refunded"] <= premium["impact_paid"]


def test_the_database_of_a_replay_agrees_with_its_journal(whole: tuple[Replay, str]) -> None:
    """I13 over a whole run."""
    assert check_database(whole[0].exchange.store).faults == []


def test_the_same_seed_gives_the_same_state_and_another_does_not(
    whole: tuple[Replay, str], tmp_path: Path
) -> None:
    """Nothing but plan and prices enters."""
    again, digest = finished(tmp_path / "again", short_path(), plan())
    assert digest == whole[1]
    again.exchange.store.close()
    other, digest = finished(tmp_path / "other", short_path(), plan(seed=6))
    assert digest != whole[1]
    other.exchange.store.close()


@pytest.mark.parametrize("commits", [1, 4])
def test_an_interrupted_replay_ends_in_the_same_state(
    whole: tuple[Replay, str], tmp_path: Path, commits: int
) -> None:
    """Stopped after some commits and continued from the database."""

    class StoppedError(Exception):
        pass

    seen = []

    def stop(row: int) -> None:
        seen.append(row)
        if len(seen) == commits:
            raise StoppedError

    first = Replay(Exchange(open_store(tmp_path / "db")), plan(), short_path())
    with pytest.raises(StoppedError):
        first.run(stop)
    first.exchange.store.close()
    second, digest = finished(tmp_path / "db", short_path(), plan())
    assert digest == whole[1]
    assert collect(second) == collect(whole[0])
    second.exchange.store.close()


def test_a_database_keeps_to_its_plan(tmp_path: Path) -> None:
    """Another seed, or other prices, on the same database are refused, not mixed in."""
    store = open_store(tmp_path / "db")
    Replay(Exchange(store), plan(), short_path())
    with pytest.raises(PlanError):
        Replay(Exchange(store), plan(seed=6), short_path())
    with pytest.raises(PlanError):
        Replay(Exchange(store), plan(), short_path(seed=4))
    Replay(Exchange(store), plan(), short_path())
    store.close()


def test_a_set_up_that_is_refused_stops_before_the_first_step(tmp_path: Path) -> None:
    """More tokens than a token may have: nothing would sum to zero afterwards."""
    store = open_store(tmp_path / "db")
    rich = BUSY._replace(buyer_tokens=10**6)
    run = Replay(Exchange(store), plan(flow=rich), short_path())
    with pytest.raises(PlanError, match="SUPPLY_LIMIT"):
        run.run()
    store.close()


def test_a_broken_invariant_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit that appears from nowhere is found after the next command that touches the token."""
    run = Replay(Exchange(open_store(tmp_path / "db")), plan(), short_path())
    step = run._step  # noqa: SLF001

    def steal(row: int) -> None:
        state: State = run.exchange.memory.tokens["TSLA.M"].state
        state.pool[0].fees += 1
        step(row)

    monkeypatch.setattr(run, "_step", steal)
    with pytest.raises(InvariantError, match="I1 "):
        run.run()
    run.exchange.store.close()


def test_nobody_holds_over_a_break_in_the_prices(tmp_path: Path) -> None:
    """Before a change of segment all sell; after it the index starts anew, however far away."""
    path = short_path()
    rows = len(path.times_ms) // 2
    path.prices_e8[rows:] //= 2
    path.times_ms[rows:] += 90 * 24 * HOUR_MS
    segment = np.repeat([0, 1], [rows, len(path.times_ms) - rows])
    run = Replay(Exchange(open_store(tmp_path / "db")), plan(), path._replace(segment=segment))
    held: list[int] = []
    step = run._step  # noqa: SLF001

    def watched(row: int) -> None:
        step(row)
        if row == rows - 1:
            state = run.exchange.memory.tokens["TSLA.M"].state
            held.append(int(state.pool[0].locked))

    run._step = watched  # type: ignore[method-assign]  # noqa: SLF001
    run.run()
    assert held == [0]
    assert int(run.exchange.memory.market.oracle[0].index_e8) < 80_000 * ONE
    run.exchange.store.close()


def test_closes_wait_where_prices_are_missing(tmp_path: Path) -> None:
    """A quarter of every hour without an index: who sells then is filled when it is back."""
    path = short_path()
    silent = np.arange(len(path.times_ms)) % 60 < 15
    path.prices_e8[silent, 0] = 0
    done, digest = finished(tmp_path / "db", path, plan())
    records = list(done.exchange.store.journal())
    queued = {each.sequence for each in records if read_outcome(each.outcome).queued}
    fills = {
        each.key: read_outcome(each.outcome) for each in records if each.key.startswith("/fill/")
    }
    assert len(queued) > 10
    waiting = done.exchange.memory.queue.keys()
    assert fills.keys() == {f"/fill/{number}" for number in queued - waiting}
    assert sum(each.code == 0 for each in fills.values()) > 10
    assert check_database(done.exchange.store).faults == []
    done.exchange.store.close()
    again = Replay(Exchange(open_store(tmp_path / "db")), plan(), path)
    again.run()
    assert state_digest(again.exchange) == digest
    assert collect(again).is_zero_sum
    again.exchange.store.close()


@pytest.mark.parametrize("seed", range(2))
def test_buyers_gain_nothing_at_mid(tmp_path: Path, seed: int) -> None:
    """On a path at the mark vol, without rent, profit before costs is 0 within 4 s.e."""
    prices, vols = (100_000.0, 4_000.0), (0.6, 0.6)
    path = simulate_path(("BTC", "ETH"), START_MS, 3, prices, vols, 0.8, seed)
    run, _ = finished(tmp_path / "db", path, plan(vol=0.6, rent=False, seed=seed))
    fair = collect(run).fairness
    assert fair.standard_error > 0
    assert abs(fair.profit) <= 4 * fair.standard_error
    run.exchange.store.close()


def replay_command(database: Path) -> list[str]:
    """Return a command line that runs a simulated day on a database."""
    return [
        sys.executable, "-m", "api", "replay", "--simulated", "--from", "2025-10-01", "--to",
        "2025-10-02", "--tokens", "TSLA.M", "--json", "--database", str(database),
    ]  # fmt: skip


def journal_length(database: Path) -> int:
    """Return the records that are durable while another process writes."""
    if not database.exists():
        return 0
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        return int(connection.execute("SELECT count(*) FROM journal").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
    finally:
        connection.close()


def test_kill_9_in_the_middle_loses_nothing_acknowledged(tmp_path: Path, run: Run) -> None:
    """Killed, checked, continued: the same end state as without."""
    database, other = tmp_path / "killed.sqlite", tmp_path / "whole.sqlite"
    undisturbed = run(*replay_command(other)[3:])
    assert undisturbed.returncode == 0, undisturbed.stderr
    least = 1_000
    process = subprocess.Popen(  # noqa: S603
        replay_command(database),
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while journal_length(database) < least and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    durable = journal_length(database)
    assert durable >= least
    checked = run("db", "check", database)
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.startswith(f"{durable} records")
    continued = run(*replay_command(database)[3:])
    assert continued.returncode == 0, continued.stderr
    ends = [json.loads(each.stdout) for each in (undisturbed, continued)]
    assert ends[0] == ends[1]
