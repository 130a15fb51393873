"""A server's parts, put together from settings; and what keeps a server from starting."""

import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from amm.oracle import OracleRules
from amm.units import DAY_MS, HOUR_MS, ONE
from api.demo import DEMO_TOKENS, DemoError
from api.feeds.belief import LastIndex
from api.feeds.replay import ReplayFeed
from api.feeds.simulated import STARTS, SimulatedFeed
from api.listening import url_of
from api.serving import Parts, ServingError, assemble, last_indices, starts_now
from api.settings import Settings
from api.storage.errors import StoreError
from api.storage.url import DatabaseUrl
from api.warmup import warm_up
from api.welcome import first_trade
from sims.markets.history import read_path
from sims.markets.warmup import warmed_oracle
from tests.api.conftest import Call
from tests.api.test_command_line import hours, write
from tests.api.test_feeds import PromptClock, collect
from vaults.commands import Tick

START_MS = 1_704_067_200_000
"""2024-01-01."""


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Closes what a test has put together."""
    with ExitStack() as made:
        yield made


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """Three days of both underlyings."""
    folder = tmp_path / "history"
    folder.mkdir()
    for symbol, price in (("BTC", 42_000.0), ("ETH", 2_300.0)):
        write(folder / f"{symbol}_1h.csv", hours(price))
    return folder


def settings(tmp_path: Path, **given: Any) -> Settings:
    place = {"database": DatabaseUrl(tmp_path / "d.sqlite"), "master_key": tmp_path / "d.key"}
    return Settings(**(place | given))


def index(parts: Parts, slot: int = 0) -> float:
    return int(parts.exchange.memory.market.oracle[slot].index_e8) / ONE


def test_a_demo_is_ready_to_trade(tmp_path: Path, stack: ExitStack) -> None:
    parts = assemble(settings(tmp_path, demo=True), stack)
    assert tuple(parts.exchange.memory.tokens) == DEMO_TOKENS
    assert isinstance(parts.feed, SimulatedFeed)
    assert [key.account for key in parts.demo_keys] == ["alice", "lena", "operator"]
    assert stat.S_IMODE((tmp_path / "d.key").stat().st_mode) == 0o600
    last = parts.exchange.store.last_record()
    assert last is not None
    assert parts.clock.now_ms() > last.now_ms
    program = first_trade("http://127.0.0.1:1", parts.demo_keys[0], DEMO_TOKENS[0])
    compile(program, "first trade", "exec")
    assert parts.demo_keys[0].secret in program


def test_a_demo_goes_on_with_its_keys(tmp_path: Path) -> None:
    """Its prices too: the market goes on at the last index, by other moves of the seed."""
    with ExitStack() as first:
        parts = assemble(settings(tmp_path, demo=True), first)
        keys = parts.demo_keys
        now_ms = parts.clock.now_ms()
        for symbol, price in (("BTC", 100_900), ("ETH", 4_040)):
            tick = Tick(symbol, price * ONE, now_ms, now_ms, sources=2, vol_e9=600_000_000)
            parts.exchange.execute(tick, f"tick-{symbol}")
        parts.exchange.commit()
    with ExitStack() as second:
        parts = assemble(settings(tmp_path, demo=True), second)
        assert parts.demo_keys == keys
        assert index(parts) == 100_900
        assert parts.feed is not None
        seen = collect(parts.feed, PromptClock(), 2)
        assert [each.price_e8 for each in seen[0]] == [100_900 * ONE, 4_040 * ONE]
        vols = [int(oracle.mark_vol_e9) for oracle in parts.exchange.memory.market.oracle]
        assert [each.vol_e9 for each in seen[0]] == pytest.approx(vols, abs=1)


def test_outside_prices_are_measured_by_the_last_index(tmp_path: Path, stack: ExitStack) -> None:
    exchange = assemble(settings(tmp_path, feed="push"), stack).exchange
    assert last_indices(exchange) == {}
    tick = Tick("ETH", 4_040 * ONE, START_MS, START_MS, sources=2)
    exchange.execute(tick, "tick")
    assert last_indices(exchange) == {"ETH": LastIndex(4_040 * ONE, START_MS)}


def test_an_empty_exchange_has_what_it_is_told(tmp_path: Path, stack: ExitStack) -> None:
    parts = assemble(settings(tmp_path, feed="push", tokens=("AMZN.M",)), stack)
    assert list(parts.exchange.memory.tokens) == ["AMZN.M"]
    assert parts.feed is None
    assert parts.demo_keys == []
    assert parts.keys.all() == []
    assert starts_now(parts.exchange) == STARTS


def test_tokens_are_listed_once(tmp_path: Path) -> None:
    for names in (("AMZN.M",), ("AMZN.M",), ("AMZN.M", "TSLA.M")):
        with ExitStack() as stack:
            parts = assemble(settings(tmp_path, tokens=names), stack)
            assert tuple(parts.exchange.memory.tokens) == names
            assert parts.exchange.journal_length == len(names)


def test_a_replay_begins_in_its_history_and_goes_on_there(tmp_path: Path, history: Path) -> None:
    replay = {
        "feed": "replay",
        "data": history,
        "start_ms": START_MS,
        "end_ms": START_MS + DAY_MS,
        "demo": True,
    }
    with ExitStack() as first:
        parts = assemble(settings(tmp_path, **replay), first)
        assert isinstance(parts.feed, ReplayFeed)
        assert START_MS <= parts.clock.now_ms() < START_MS + HOUR_MS
        assert index(parts) == pytest.approx(42_000, rel=0.03)
        later_ms = START_MS + 5 * HOUR_MS
        price_e8 = round(index(parts)) * ONE
        parts.exchange.execute(Tick("BTC", price_e8, later_ms, later_ms), "later")
        parts.exchange.commit()
    with ExitStack() as second:
        parts = assemble(settings(tmp_path, **replay), second)
        assert later_ms <= parts.clock.now_ms() < later_ms + HOUR_MS
    with ExitStack() as third, pytest.raises(ServingError, match="past the end"):
        assemble(settings(tmp_path, **(replay | {"end_ms": START_MS + HOUR_MS})), third)


def test_a_replay_knows_the_vol_of_the_time_before_it(
    tmp_path: Path, history: Path, stack: ExitStack
) -> None:
    """A day of history before it is what its estimator begins with."""
    start_ms = START_MS + DAY_MS
    replay = {"feed": "replay", "data": history, "start_ms": start_ms, "end_ms": start_ms + DAY_MS}
    parts = assemble(settings(tmp_path, **replay), stack)
    path = read_path(history, ("BTC", "ETH"), start_ms, start_ms + DAY_MS)
    assert path.start > 0
    for slot in range(2):
        expected = warmed_oracle(path, slot, OracleRules())
        oracle = parts.exchange.memory.market.oracle[slot]
        assert oracle.variance_1d_e12 == expected.variance_1d_e12
        assert oracle.variance_45d_e12 == expected.variance_45d_e12
        assert oracle.vol_ms == 0
    assert parts.feed is not None
    seen = collect(parts.feed, PromptClock(start_ms=start_ms), 1)
    assert seen[0][0].price_e8 == path.prices_e8[path.start, 0]


def test_warming_up_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    warm_up()
    assert list(tmp_path.iterdir()) == []


def test_a_fast_simulation_never_goes_back(tmp_path: Path) -> None:
    """A journal that is ahead of the wall clock goes on from where it is."""
    with ExitStack() as first:
        parts = assemble(settings(tmp_path, speed=600.0), first)
        ahead_ms = parts.clock.wall_ms() + DAY_MS
        parts.exchange.execute(Tick("BTC", ONE, ahead_ms, ahead_ms), "ahead")
        parts.exchange.commit()
    with ExitStack() as second:
        parts = assemble(settings(tmp_path), second)
        assert parts.clock.now_ms() >= ahead_ms


def test_one_server_a_database(tmp_path: Path, stack: ExitStack) -> None:
    assemble(settings(tmp_path), stack)
    with pytest.raises(StoreError, match="in use"):
        assemble(settings(tmp_path), stack)


def test_a_demo_leaves_another_exchange_alone(tmp_path: Path) -> None:
    with ExitStack() as first:
        assemble(settings(tmp_path, tokens=("AMZN.M",)), first)
    with ExitStack() as second, pytest.raises(DemoError):
        assemble(settings(tmp_path, demo=True), second)


def test_what_failed_to_start_holds_nothing(tmp_path: Path) -> None:
    """The lock least of all: the next server may have the database."""
    with ExitStack() as first:
        assemble(settings(tmp_path, tokens=("AMZN.M",)), first)
    for _ in range(2):
        with pytest.raises(DemoError), ExitStack() as second:
            assemble(settings(tmp_path, demo=True), second)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_urls_of_both_families(family: socket.AddressFamily) -> None:
    host = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}[family]
    with socket.socket(family, socket.SOCK_STREAM) as bound:
        bound.bind((host, 0))
        port = bound.getsockname()[1]
        shown = host if family == socket.AF_INET else f"[{host}]"
        assert url_of(bound) == f"http://{shown}:{port}"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--port", "high"), "--port"),
        (("--port", "70000"), "--port"),
        (("--speed", "0"), "--speed"),
        (("--feed", "pyth,push"), "--feed"),
        (("--feed", "pyth,pyth"), "--feed"),
        (("--feed", "pyth", "--pyth-url", "ftp://host"), "--pyth-url"),
        (("--feed", "pyth", "--pyth-ids", "SOL=1"), "--pyth-ids"),
        (("--feed", "pyth", "--pyth-key-file", "nowhere"), "--pyth-key-file"),
        (("--feed", "deribit", "--speed", "2"), "--speed"),
        (("--feed", "replay"), "--data"),
        (("--feed", "replay", "--data", "nowhere"), "--from"),
        (("--from", "soon"), "'soon' is not a day"),
        (("--tokens", "tsla"), "--tokens"),
        (("--demo", "--host", "0.0.0.0"), "--demo"),  # noqa: S104
        (("--fill-delay", "-1"), "--fill-delay"),
        (("--host", "999.1.1.1"), "--host 999.1.1.1"),
        (("--domain", "a b"), "--domain"),
        (("--withdrawal-hold", "-1"), "--withdrawal-hold"),
        (("--colour",), "--colour"),
    ],
)
def test_bad_options_get_one_line_and_status_2(
    call: Call, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.delenv("EVERGAMMA_DATA", raising=False)
    status, output, errors = call("serve", *arguments)
    assert status == 2
    assert output == ""
    assert len(errors.strip().splitlines()) == 1
    assert words in errors


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "high"),
        ("SPEED", "0"),
        ("FEED", "moon"),
        ("PYTH_URL", "moon"),
        ("FILL_DELAY", "-1"),
        ("RATE", "-1"),
        ("RATE_BURST", "-1"),
        ("BODY_MAX", "0"),
        ("SEED", "-1"),
        ("TOKENS", "tsla"),
        ("HOST", "999.1.1.1"),
    ],
)
def test_bad_variables_get_one_line_and_status_2(
    call: Call, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(f"EVERGAMMA_{variable}", value)
    status, _, errors = call("serve")
    assert status == 2
    assert len(errors.strip().splitlines()) == 1
    assert f"--{variable.lower().replace('_', '-')}" in errors


def test_a_port_that_is_taken_is_told_before_anything_is_made(call: Call, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, _, errors = call("serve", "--database", "d.sqlite", "--port", str(port))
    assert status == 2
    assert f"port {port}" in errors
    assert len(errors.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
