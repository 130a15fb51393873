"""A server put together from its settings, and run until it is told to stop."""

import gc
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from threading import Timer
from typing import Any, NamedTuple

import uvicorn

from amm.oracle import OracleRules, OracleState
from amm.units import ONE
from api import demo
from api.clock import Clock
from api.exchange import Exchange
from api.feeds import Feed
from api.feeds.replay import ReplayFeed
from api.feeds.simulated import STARTS, SimulatedFeed, Start
from api.http.app import create_app
from api.http.protocol import GatheringProtocol
from api.keys import KeyRecord, KeyRing, KeyRingError
from api.service import Service
from api.settings import DEFAULT_DATABASE, DEMO_DATABASE, Settings, SettingsError, read_master_key
from api.store import Store, StoreError
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
STOP_S = 10
"""How long requests that are being answered may take at the end."""
KEEP_ALIVE_S = 75
GC_ALLOCATIONS = 50_000
"""A request leaves little that refers to itself: to look for it every 700 objects costs more."""
SWITCH_S = 2e-4
"""How long the thread that has written a batch may wait for the interpreter's lock to say so."""
QUIET_S = 5.0
"""A preparation that takes longer says so."""

Tell = Callable[[str], None]


class ServingError(Exception):
    """The server cannot start; the message is one line."""


UNUSABLE = (
    ServingError,
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


def assemble(settings: Settings, stack: ExitStack) -> Parts:
    """Return the parts of a server; `stack` closes them.

    Raises:
        ServingError, SettingsError, StoreError, KeyRingError, DemoError, HistoryError,
        SurfaceError: It cannot be done.
    """
    if settings.database in (DEFAULT_DATABASE, DEMO_DATABASE):
        settings.database.parent.mkdir(exist_ok=True)
    master_key = read_master_key(settings.master_key)
    store = Store(settings.database)
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
    keys = KeyRing(settings.database, master_key)
    stack.callback(keys.close)
    clock = Clock(settings.speed, settings.start_ms, _last_ms(exchange))
    demo_keys = demo.demo_keys(keys, clock.wall_ms()) if settings.demo else []
    feed: Feed | None = None if recording is None else recording.feed
    if settings.feed == "simulated":
        feed = SimulatedFeed(starts_now(exchange), settings.seed, exchange.journal_length)
    return Parts(exchange, clock, keys, feed, demo_keys)


def _last_ms(exchange: Exchange) -> int:
    """Return the time of the journal; 0 before its first record."""
    last = exchange.store.last_record()
    return 0 if last is None else last.now_ms


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


class _Server(uvicorn.Server):
    """A server that says when it answers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What is here now stays: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_ALLOCATIONS, 20, 50)
        sys.setswitchinterval(SWITCH_S)
        self._ready()


def _bind(settings: Settings) -> socket.socket:
    """Return a socket at the host and port; nobody can connect before it listens."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ServingError(f"--host {settings.host}: {error.strerror}") from None
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        reason = error.strerror
        raise ServingError(f"{settings.host}, port {settings.port}: {reason}") from None
    return bound


def url_of(bound: socket.socket) -> str:
    """Return the URL of a bound socket."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def listen(app: Any, bound: socket.socket, ready: Callable[[], None]) -> None:
    """Serve an ASGI application until SIGINT or SIGTERM; call `ready` when it answers."""
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=GatheringProtocol,
        lifespan="on",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_S,
    )
    # When it has finished, uvicorn raises the signal again that it was stopped by.
    with suppress(KeyboardInterrupt):
        _Server(config, ready).run(sockets=[bound])


def _prepare() -> None:
    """Have the kernels ready; say so on standard error where that takes its time."""
    message = "evergamma: compiling, about a minute the first time\n"
    timer = Timer(QUIET_S, sys.stderr.write, [message])
    timer.start()
    try:
        warm_up()
    finally:
        timer.cancel()


def _application(parts: Parts, settings: Settings) -> Any:
    exchange, clock, keys, feed, _ = parts
    service = Service(exchange, clock, feed, fill_delay_ms=settings.fill_delay_ms)
    return create_app(service, keys, settings)


def _welcome(parts: Parts, url: str) -> str:
    token = next(iter(parts.exchange.memory.tokens))
    step = BTC_TERMS.strike_step_e8
    strike = round(int(parts.exchange.memory.market.oracle[0].index_e8) / step) * step // ONE
    return welcome(url, parts.demo_keys, token, strike)


def run_server(settings: Settings, tell: Tell) -> None:
    """Run a server until it is told to stop; `tell` gets its lines for standard output.

    Raises:
        ServingError, SettingsError, StoreError, KeyRingError, DemoError, HistoryError,
        SurfaceError: It cannot start.
    """
    with ExitStack() as stack, suppress(KeyboardInterrupt):
        bound = stack.enter_context(_bind(settings))
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        _prepare()
        parts = assemble(settings, stack)

        def ready() -> None:
            tell(f"listening on {url_of(bound)}")
            if parts.demo_keys:
                tell(_welcome(parts, url_of(bound)))

        listen(_application(parts, settings), bound, ready)
