"""What a server is told at its start, checked as a whole; and its master key.

Every setting has one meaning, given by its option on the command line or, where that is missing,
by its variable in the environment, then by its name in a file of settings.
"""

import ipaddress
import os
import re
import secrets
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from amm.units import DAY_MS, SECOND_MS
from api.feeds.places import DERIBIT_URL, PythSettings
from api.private_files import mode_fault
from api.simulations.limits import Limits
from api.storage.url import DatabaseUrl

ALONE = ("simulated", "replay", "push")
"""Feeds that are the only one."""
SOURCES = ("pyth", "deribit")
"""Feeds of which there may be several: the median counts."""
LogFormat = Literal["auto", "json", "text"]
LogLevel = Literal["debug", "info", "warning", "error"]

DEFAULT_DATABASE = Path("run/exchange.sqlite")
DEMO_DATABASE = Path("run/demo.sqlite")
MASTER_KEY_BYTES = 32
SPEED_MAX = 600.0
"""Faster, and what a feed says would be too old before it is heard."""
FILL_DELAY_MAX_MS = 5 * SECOND_MS
"""Orders are refused when they have waited this long for an index."""
BODY_MIN, BODY_MAX = 1_024, 16 * 1_048_576
RATE_MAX = 1_000_000
HOLD_MAX_MS = 30 * DAY_MS
DOMAIN = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(:[0-9]{1,5})?")
CONNECTIONS_MAX = 1_000_000
PATIENCE_MIN_S, PATIENCE_MAX_S = 0.1, 600.0
DRAIN_MAX_S = 30.0
PROCESSES_MAX, SIMULATION_JOBS_MAX = 1_024, 1_000
SIMULATION_STEPS_MAX, SIMULATION_DISK_MAX_MB = 10**13, 10**8
KEEP_MAX_DAYS, NICE_MAX = 3_650, 19
TOKEN_NAME = re.compile(r"[A-Z][A-Z0-9.]{0,15}")


class SettingsError(ValueError):
    """A setting that cannot be used; the message is one line naming its option."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one server.

    Attributes:
        database: Where the exchange is kept, its shard included.
        master_key: The file that the secrets of all API keys are derived from.
        replica: A server that follows the database, for queries of history.
        host: Address to listen on; other machines reach only what is not loopback.
        port: 0 takes any that is free.
        feed: Where prices come from; with push, from the operator. Of `pyth` and `deribit` both
            can be given, with a comma between.
        data: Folder of price history, for replay and simulations.
        start_ms: When the replay begins.
        end_ms: When it ends; exclusive.
        speed: How much faster than the wall clock the exchange's is.
        seed: Of the simulated market.
        fill_delay_ms: An order is filled at the first index published so long after it came.
        rate_per_second: Requests of one key that come back per second; 0: no limit.
        rate_burst: Requests of one key at once; 0: no limit.
        body_max: Longest body of a request, in bytes.
        demo: Whether an empty database is filled with an example, with keys that are printed.
        tokens: Listed at the start where they are not.
        log_format: How lines of the log are written.
        log_level: Events below it are not logged.
        access_log: Whether every request has a line in the log.
        metrics_port: Where `/metrics` is, and only there, on loopback; 0 takes any that is free.
        trusted_proxies: Addresses and networks whose `X-Forwarded-For` is believed.
        connections_max: Connections at a time; more are refused.
        patience_s: Seconds a caller has for a head, and for a body.
        drain_s: Seconds from the signal to stop until no connection is accepted.
        pyth: Where Hermes is, with its key.
        deribit_url: Where Deribit's WebSocket is.
        domain: Host, with its port, that wallets are told they log in to; None: the one it listens
            on.
        withdrawal_hold_ms: How old a withdrawal destination must be.
        simulations: Folder of simulations asked for over HTTP; none: there are none.
        simulation_limits: How much of the machine they may take.

    Raises:
        SettingsError: One of them is out of range, or two do not go together.
    """

    database: DatabaseUrl
    master_key: Path
    replica: DatabaseUrl | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    feed: str = "simulated"
    data: Path | None = None
    start_ms: int | None = None
    end_ms: int | None = None
    speed: float = 1.0
    seed: int = 7
    fill_delay_ms: int = 250
    rate_per_second: int = 100
    rate_burst: int = 500
    body_max: int = 262_144
    demo: bool = False
    tokens: tuple[str, ...] = ()
    log_format: LogFormat = "auto"
    log_level: LogLevel = "info"
    access_log: bool = False
    metrics_port: int | None = None
    trusted_proxies: tuple[str, ...] = ()
    connections_max: int = 16_384
    patience_s: float = 10.0
    drain_s: float = 0.1
    pyth: PythSettings = field(default_factory=PythSettings)
    deribit_url: str = DERIBIT_URL
    domain: str | None = None
    withdrawal_hold_ms: int = DAY_MS
    simulations: Path | None = None
    simulation_limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        self._check_ranges()
        self._check_database()
        if not all(TOKEN_NAME.fullmatch(name) for name in self.tokens):
            raise SettingsError(f"--tokens {','.join(self.tokens)!r}: a name is like TSLA.M")
        if len(set(self.tokens)) < len(self.tokens):
            raise SettingsError("--tokens names one twice")
        if self.demo and not self.is_loopback:
            raise SettingsError(f"--demo prints its keys: not on --host {self.host}, only loopback")
        if self.domain is not None and not DOMAIN.fullmatch(self.domain):
            raise SettingsError(f"--domain {self.domain!r}: a host, as exchange.example or h:8080")
        self._check_feed()
        self._check_proxies()
        self._check_replay()

    def _check_database(self) -> None:
        if self.replica is None:
            return
        if self.database.server is None or self.replica.server is None:
            raise SettingsError("--replica: history is read elsewhere only of PostgreSQL")

    def _check_feed(self) -> None:
        check_feed(self.feed, self.pyth, self.deribit_url)
        if self.feed not in ("simulated", "replay") and self.speed != 1.0:
            raise SettingsError("--speed: prices from outside come at the pace of the wall clock")

    def _check_ranges(self) -> None:
        for option, given, least, most in (
            ("--port", self.port, 0, 65_535),
            ("--speed", self.speed, 1.0, SPEED_MAX),
            ("--seed", self.seed, 0, 2**32),
            ("--fill-delay", self.fill_delay_ms, 0, FILL_DELAY_MAX_MS - 1),
            ("--rate", self.rate_per_second, 0, RATE_MAX),
            ("--rate-burst", self.rate_burst, 0, RATE_MAX),
            ("--withdrawal-hold", self.withdrawal_hold_ms, 0, HOLD_MAX_MS),
            ("--body-max", self.body_max, BODY_MIN, BODY_MAX),
            ("--metrics-port", self.metrics_port or 0, 0, 65_535),
            ("--connections-max", self.connections_max, 1, CONNECTIONS_MAX),
            ("--patience", self.patience_s, PATIENCE_MIN_S, PATIENCE_MAX_S),
            ("--drain", self.drain_s, 0.0, DRAIN_MAX_S),
            ("--simulation-processes", self.simulation_limits.processes, 0, PROCESSES_MAX),
            ("--simulation-steps", self.simulation_limits.steps, 1, SIMULATION_STEPS_MAX),
            ("--simulation-jobs", self.simulation_limits.jobs, 1, SIMULATION_JOBS_MAX),
            ("--simulation-keep", self.simulation_limits.keep_days, 1, KEEP_MAX_DAYS),
            ("--simulation-nice", self.simulation_limits.nice, 0, NICE_MAX),
            ("--simulation-disk", self.simulation_limits.disk_mb, 1, SIMULATION_DISK_MAX_MB),
        ):
            if not least <= given <= most:
                raise SettingsError(f"{option} {given} is not between {least} and {most}")

    def _check_proxies(self) -> None:
        for given in self.trusted_proxies:
            try:
                ipaddress.ip_network(given)
            except ValueError:
                text = f"--trusted-proxies {given!r} is no address and no network"
                raise SettingsError(text) from None

    def _check_replay(self) -> None:
        if self.feed != "replay":
            if self.start_ms is not None or self.end_ms is not None:
                raise SettingsError("--from and --to need --feed replay")
            return
        if self.data is None:
            raise SettingsError("--feed replay needs --data, a folder of price history")
        if self.start_ms is None or self.end_ms is None or self.end_ms <= self.start_ms:
            raise SettingsError("--feed replay needs --from and --to, in this order")

    @property
    def sources(self) -> tuple[str, ...]:
        """Which sources the feed is the median of; empty where it is none."""
        return () if self.feed in ALONE else tuple(self.feed.split(","))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return _is_loopback(self.host)

    @property
    def site(self) -> tuple[str, str]:
        """The host that wallets log in to, and its address."""
        if self.domain is not None:
            return self.domain, f"https://{self.domain}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}", f"http://{host}:{self.port}"

    @property
    def is_rate_limited(self) -> bool:
        """Whether a key's requests are limited."""
        return self.rate_per_second > 0 and self.rate_burst > 0


def check_feed(feed: str, pyth: PythSettings, deribit_url: str) -> None:
    """Refuse feeds that there are not or that do not go together, and where they cannot be.

    Raises:
        SettingsError: They are such.
    """
    names = feed.split(",")
    if feed not in ALONE and not set(names) <= set(SOURCES):
        raise SettingsError(
            f"--feed {feed!r} is not simulated, replay, push, pyth, deribit or pyth,deribit:"
            " the first three stay alone"
        )
    if len(set(names)) < len(names):
        raise SettingsError(f"--feed {feed!r} names one twice")
    _check_url("--pyth-url", pyth.url, ("http", "https"))
    _check_url("--deribit-url", deribit_url, ("ws", "wss"))
    if pyth.key is not None and not _keeps_secrets(pyth.url):
        raise SettingsError("--pyth-url: with a key it begins with https")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_url(option: str, url: str, schemes: tuple[str, str]) -> None:
    """Refuse what is no plain address; a key in it would be shown wherever the address is."""
    try:
        given = urlsplit(url)
        is_plain = given.scheme in schemes and given.hostname and given.port != 0
    except ValueError:
        given, is_plain = urlsplit(""), None
    if not is_plain or given.username or given.password or given.query or given.fragment:
        raise SettingsError(f"{option}: an address is like {schemes[1]}://host/path, no more")


def _keeps_secrets(url: str) -> bool:
    given = urlsplit(url)
    return given.scheme == "https" or _is_loopback(given.hostname or "")


def usual_master_key(database: DatabaseUrl, *, demo: bool = False) -> Path:
    """Return where the master key of a database is when nobody says: beside it, or at home."""
    if database.path is not None:
        beside = database.path.with_suffix(".key")
        if demo or beside.exists():
            return beside
    return Path.home() / ".evergamma" / "master.key"


def usual_simulations(database: DatabaseUrl) -> Path | None:
    """Return where simulations are kept when nobody says: beside a file, else nowhere."""
    return None if database.path is None else database.path.with_suffix(".simulations")


def read_master_key(path: Path) -> bytes:
    """Return the master key; the file is made where there is none.

    Raises:
        SettingsError: The file cannot be read or made, others may read it, or it is damaged.
    """
    try:
        if not path.exists():
            _make_master_key(path)
        fault = mode_fault(path)
        if fault is not None:
            raise SettingsError(f"--master-key {path} {fault}")
        key = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"--master-key {path}: {error.strerror}") from None
    if len(key) != MASTER_KEY_BYTES:
        raise SettingsError(f"--master-key {path} has {len(key)} bytes, not {MASTER_KEY_BYTES}")
    return key


def _make_master_key(path: Path) -> None:
    """Make the file, whole from its beginning; one that another process was faster with stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    number, scratch = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)  # of mode 0600
    try:
        with open(number, "wb") as file:  # noqa: PTH123
            file.write(secrets.token_bytes(MASTER_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            path.hardlink_to(scratch)
    finally:
        Path(scratch).unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # what is made with it must not outlive it
    finally:
        os.close(folder)
