"""A server put together from its settings, and run until it is told to stop."""

import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from threading import Timer
from typing import NamedTuple

from litestar.types import ASGIApp

from amm.oracle import OracleRules, OracleState
from amm.units import ONE
from api import demo
from api.access.records import KeyRecord, KeyRingError
from api.access.ring import KeyRing
from api.anchor import Anchor
from api.clock import Clock
from api.exchange import Exchange
from api.feeds import Feed
from api.feeds.belief import LastIndex
from api.feeds.outside import outside_feed
from api.feeds.replay import ReplayFeed
from api.feeds.simulated import STARTS, SimulatedFeed, Start
from api.http.access_log import AccessLog
from api.http.app import create_app
from api.http.metrics import Metrics
from api.http.ops import OpsListener
from api.http.patience import Patience
from api.http.prefix import TokenPrefix
from api.http.stopping import last_answers
from api.http.stream import Doorway
from api.listening import ListeningError, Server, bind, end_at_once, url_of
from api.logs import Log
from api.service import Service
from api.sessions import Sessions
from api.settings import DEFAULT_DATABASE, DEMO_DATABASE, Settings, SettingsError, read_master_key
from api.simulations.desk import Desk
from api.storage.engines import access_engine
from api.storage.errors import StoreError, SupersededError
from api.storage.store import Store, open_store
from api.stream.hub import Hub
from api.warmup import warm_up
from api.welcome import welcome
from sims.markets.history import HistoryError, read_path
from sims.markets.surfaces import SurfaceError
from sims.markets.vols import read_vols
from sims.markets.warmup import warmed_oracle
from vaults.commands import ListToken, StartUnderlying
from vaults.params import BTC_TERMS
from vaults.rejects import Reject

SYMBOLS = tuple(start.symbol for start in STARTS)
QUIET_S = 5.0
"""A preparation that takes longer says so."""

_log = logging.getLogger("evergamma")

Tell = Callable[[str], None]


class ServingError(Exception):
    """The server cannot start; the message is one line."""


UNUSABLE = (
    ServingError,
    ListeningError,
    SettingsError,
    StoreError,
    KeyRingError,
    demo.DemoError,
    HistoryError,
    SurfaceError,
)
"""Why a server does not start: all of it told in one line."""


class Parts(NamedTuple):
    """What a server consists of; with push there is no feed."""

    exchange: Exchange
    clock: Clock
    keys: KeyRing
    feed: Feed | None
    demo_keys: list[KeyRecord]


def assemble(settings: Settings, stack: ExitStack, wait: Tell | None = None) -> Parts:
    """Return the parts of a server; `stack` closes them.

    Where another process has the database, `wait` is told so, and its end is waited for.

    Raises:
        ServingError, SettingsError, StoreError, KeyRingError, DemoError, HistoryError,
        SurfaceError: It cannot be done.
    """
    if settings.database.path in (DEFAULT_DATABASE, DEMO_DATABASE):
        settings.database.path.parent.mkdir(exist_ok=True)
    master_key = read_master_key(settings.master_key)
    store = open_store(settings.database, wait=wait, replica=settings.replica, superseded=_end)
    stack.callback(store.close)
    exchange = Exchange(store, SYMBOLS)
    recording = _read_recording(settings, exchange) if settings.feed == "replay" else None
    # A demo of a replay begins when its history does, at its prices; see `Clock`.
    now_ms = Clock(start_ms=settings.start_ms, not_before_ms=_last_ms(exchange)).now_ms()
    if settings.demo:
        starts = STARTS if recording is None else recording.starts()
        demo.seed_demo(exchange, now_ms, settings.tokens or demo.DEMO_TOKENS, starts)
    if recording is not None and exchange.journal_length == 0:
        _start_underlyings(exchange, recording, now_ms)
    _list_tokens(exchange, settings.tokens, now_ms)
    keys = KeyRing(access_engine(settings.database), master_key)
    stack.callback(keys.close)
    keys.watch()
    clock = Clock(settings.speed, settings.start_ms, _last_ms(exchange))
    demo_keys = demo.demo_keys(keys, clock.wall_ms()) if settings.demo else []
    feed: Feed | None = None if recording is None else recording.feed
    if settings.feed == "simulated":
        feed = SimulatedFeed(starts_now(exchange), settings.seed, exchange.journal_length)
    if settings.sources:
        indices = last_indices(exchange)
        feed = outside_feed(settings.sources, settings.pyth, settings.deribit_url, indices)
    return Parts(exchange, clock, keys, feed, demo_keys)


def _tell_waiting(line: str) -> None:
    print(f"evergamma: {line}", file=sys.stderr, flush=True)  # noqa: T201


def _end() -> None:
    """Have this process finish as if it had been told to."""
    os.kill(os.getpid(), signal.SIGTERM)


def _say_why(store: Store) -> None:
    """Raise the error that ended the server, if it was one."""
    try:
        store.hold()
    except SupersededError:
        raise
    except StoreError:
        return


def _last_ms(exchange: Exchange) -> int:
    """Return the time of the journal; 0 before its first record."""
    last = exchange.store.last_record()
    return 0 if last is None else last.now_ms


def _head(exchange: Exchange) -> str:
    """Return what `db verify --expect` takes; nothing where the last records may yet be lost."""
    last = Anchor(exchange.journal_length, exchange.digest)
    return str(last) if exchange.is_settled else ""


def starts_now(exchange: Exchange) -> tuple[Start, ...]:
    """Return where a simulated market goes on: at the last index, where there is one."""
    starts = []
    for slot, start in enumerate(STARTS):
        oracle = exchange.memory.market.oracle[slot]
        if oracle.index_e8 > 0:
            price, vol = int(oracle.index_e8) / 1e8, int(oracle.mark_vol_e9) / 1e9
            starts.append(start._replace(price=price, vol=vol))
        else:
            starts.append(start)
    return tuple(starts)


def last_indices(exchange: Exchange) -> dict[str, LastIndex]:
    """Return the last index of each underlying that has one."""
    oracles = zip(exchange.memory.underlyings, exchange.memory.market.oracle, strict=True)
    return {
        symbol: LastIndex(int(oracle.index_e8), int(oracle.index_ms))
        for symbol, oracle in oracles
        if oracle.index_e8 > 0
    }


class _Recording(NamedTuple):
    """A history to replay, and what its vol estimators know when it begins."""

    feed: ReplayFeed
    oracles: tuple[OracleState, ...]

    def starts(self) -> tuple[Start, ...]:
        """Return the first prices and vol levels, where the history has them."""
        first = {seen.symbol: seen for seen in self.feed.first()}
        starts = []
        for start, oracle in zip(STARTS, self.oracles, strict=True):
            seen = first.get(start.symbol)
            price_e8, vol_e9 = (seen.price_e8, seen.vol_e9) if seen else (0, 0)
            starts.append(
                start._replace(
                    price=price_e8 / ONE or start.price,
                    vol=(vol_e9 or oracle.target_vol_e9) / 1e9,
                )
            )
        return tuple(starts)


def _read_recording(settings: Settings, exchange: Exchange) -> _Recording:
    assert settings.data is not None
    assert settings.start_ms is not None
    assert settings.end_ms is not None
    if _last_ms(exchange) >= settings.end_ms:
        raise ServingError(f"{settings.database} is past the end of the replay, --to")
    path = read_path(settings.data, SYMBOLS, settings.start_ms, settings.end_ms)
    vols = read_vols(settings.data, SYMBOLS, settings.start_ms, settings.end_ms)
    oracles = tuple(warmed_oracle(path, slot, OracleRules()) for slot in range(len(SYMBOLS)))
    return _Recording(ReplayFeed(path, vols), oracles)


def _start_underlyings(exchange: Exchange, recording: _Recording, now_ms: int) -> None:
    """Let the vol estimators of an empty exchange know of the time before the replay."""
    for symbol, oracle in zip(SYMBOLS, recording.oracles, strict=True):
        variances = (oracle.variance_1d_e12, oracle.variance_10d_e12, oracle.variance_45d_e12)
        started = StartUnderlying(symbol, now_ms, *map(int, variances))
        exchange.execute(started, f"/start/{symbol}")


def _list_tokens(exchange: Exchange, tokens: tuple[str, ...], now_ms: int) -> None:
    """List what is not listed yet, with the default parameters."""
    for token in tokens:
        if token not in exchange.memory.tokens:
            outcome = exchange.execute(ListToken(token, now_ms), f"/list/{token}").outcome
            if outcome.code:
                raise ServingError(f"{token} cannot be listed: {Reject(outcome.code).name}")
    exchange.commit()


def _prepare() -> None:
    """Have the kernels ready; say so on standard error where that takes its time."""
    message = "evergamma: compiling, about a minute the first time\n"
    timer = Timer(QUIET_S, sys.stderr.write, [message])
    timer.start()
    try:
        warm_up()
    finally:
        timer.cancel()


def _application(
    service: Service, hub: Hub, parts: Parts, settings: Settings, log: Log, patience: Patience
) -> tuple[TokenPrefix, Doorway]:
    """Return what answers requests, outermost first: whose token, noted or not; and upgrades."""
    desk = Desk(settings.simulations, settings.simulation_limits, settings.data)
    metrics = Metrics(service, log, patience, hub.counts, desk.counts)
    express = create_app(service, parts.keys, settings, metrics, hub, desk)
    app: ASGIApp = AccessLog(express, log) if settings.access_log else express
    doorway: Doorway = express.framework.state.doorway
    return TokenPrefix(app, doorway.is_here), doorway


def _welcome(parts: Parts, url: str) -> str:
    token = next(iter(parts.exchange.memory.tokens))
    step = BTC_TERMS.strike_step_e8
    strike = round(int(parts.exchange.memory.market.oracle[0].index_e8) / step) * step // ONE
    return welcome(url, parts.demo_keys, token, strike)


def run_server(settings: Settings, tell: Tell) -> None:
    """Run a server until it is told to stop; `tell` gets its lines for standard output.

    Raises:
        ServingError, ListeningError, SettingsError, StoreError, KeyRingError, DemoError,
        HistoryError, SurfaceError: It cannot start.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end_at_once)
    with ExitStack() as stack:
        sockets = [stack.enter_context(bind(settings.host, settings.port))]
        settings = replace(settings, port=sockets[0].getsockname()[1])
        if settings.metrics_port is not None:
            sockets.append(stack.enter_context(bind("127.0.0.1", settings.metrics_port)))
        log = stack.enter_context(Log(settings.log_format, settings.log_level))
        if settings.feed == "simulated" and not settings.demo:
            _log.warning("PRICES ARE MADE UP: no real money here", extra={"feed": settings.feed})
        _prepare()
        parts = assemble(settings, stack, _tell_waiting)
        exchange, clock, _, feed, _ = parts
        head = _head(exchange)
        service = Service(exchange, clock, feed, settings.fill_delay_ms, Sessions())
        patience = Patience(settings.patience_s, settings.connections_max)
        hub = Hub(service, parts.keys)
        front, doorway = _application(service, hub, parts, settings, log, patience)
        if len(sockets) > 1:
            front.app = OpsListener(front.app, sockets[1].getsockname()[1])

        def ready() -> None:
            tell(f"listening on {url_of(sockets[0])}")
            if len(sockets) > 1:
                tell(f"metrics on {url_of(sockets[1])}/metrics")
            if parts.demo_keys:
                tell(_welcome(parts, url_of(sockets[0])))
            begun = {"url": url_of(sockets[0]), "feed": settings.feed, "head": head}
            _log.info("listening", extra=begun)

        def drain() -> None:
            service.take_no_more()
            front.app = last_answers(front.app)

        Server(front, doorway, settings, patience, ready, drain).run(sockets=sockets)
        _say_why(exchange.store)
        _log.info("stopped", extra={"journal": exchange.journal_length, "head": _head(exchange)})
