"""What a server is told at its start, checked as a whole; and its master key.

Every setting has one meaning, given by its option on the command line or, where that is missing,
by its variable in the environment.
"""

import ipaddress
import os
import re
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from amm.units import SECOND_MS

FeedName = Literal["simulated", "replay", "push"]

DEFAULT_DATABASE = Path("run/exchange.sqlite")
DEMO_DATABASE = Path("run/demo.sqlite")
MASTER_KEY_BYTES = 32
SPEED_MAX = 600.0
"""Faster, and what a feed says would be too old before it is heard."""
FILL_DELAY_MAX_MS = 5 * SECOND_MS
"""Orders are refused when they have waited this long for an index."""
BODY_MIN, BODY_MAX = 1_024, 16 * 1_048_576
RATE_MAX = 1_000_000
TOKEN_NAME = re.compile(r"[A-Z][A-Z0-9.]{0,15}")


class SettingsError(ValueError):
    """A setting that cannot be used; the message is one line naming its option."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one server.

    Attributes:
        database: The SQLite file of the exchange.
        master_key: The file that the secrets of all API keys are derived from.
        host: Address to listen on; other machines reach only what is not loopback.
        port: 0 takes any that is free.
        feed: Where prices come from; with push, from the operator.
        data: Folder of price history, for replay.
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

    Raises:
        SettingsError: One of them is out of range, or two do not go together.
    """

    database: Path
    master_key: Path
    host: str = "127.0.0.1"
    port: int = 8080
    feed: FeedName = "simulated"
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

    def __post_init__(self) -> None:
        self._check_ranges()
        if not all(TOKEN_NAME.fullmatch(name) for name in self.tokens):
            raise SettingsError(f"--tokens {','.join(self.tokens)!r}: a name is like TSLA.M")
        if len(set(self.tokens)) < len(self.tokens):
            raise SettingsError("--tokens names one twice")
        if self.demo and not self.is_loopback:
            raise SettingsError(f"--demo prints its keys: not on --host {self.host}, only loopback")
        self._check_replay()

    def _check_ranges(self) -> None:
        for option, given, least, most in (
            ("--port", self.port, 0, 65_535),
            ("--speed", self.speed, 1.0, SPEED_MAX),
            ("--seed", self.seed, 0, 2**32),
            ("--fill-delay", self.fill_delay_ms, 0, FILL_DELAY_MAX_MS - 1),
            ("--rate", self.rate_per_second, 0, RATE_MAX),
            ("--rate-burst", self.rate_burst, 0, RATE_MAX),
            ("--body-max", self.body_max, BODY_MIN, BODY_MAX),
        ):
            if not least <= given <= most:
                raise SettingsError(f"{option} {given} is not between {least} and {most}")

    def _check_replay(self) -> None:
        if self.feed == "push" and self.speed != 1.0:
            raise SettingsError("--speed: pushed prices come at the pace of the wall clock")
        if self.feed != "replay":
            if self.start_ms is not None or self.end_ms is not None:
                raise SettingsError("--from and --to need --feed replay")
            return
        if self.data is None:
            raise SettingsError("--feed replay needs --data, a folder of price history")
        if self.start_ms is None or self.end_ms is None or self.end_ms <= self.start_ms:
            raise SettingsError("--feed replay needs --from and --to, in this order")

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def is_rate_limited(self) -> bool:
        """Whether a key's requests are limited."""
        return self.rate_per_second > 0 and self.rate_burst > 0


def usual_master_key(database: Path, *, demo: bool = False) -> Path:
    """Return where the master key of a database is when nobody says: beside it, or at home."""
    beside = database.with_suffix(".key")
    if demo or beside.exists():
        return beside
    return Path.home() / ".evergamma" / "master.key"


def read_master_key(path: Path) -> bytes:
    """Return the master key; the file is made where there is none.

    Raises:
        SettingsError: The file cannot be read or made, others may read it, or it is damaged.
    """
    try:
        if not path.exists():
            _make_master_key(path)
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & ~0o600:
            raise SettingsError(f"--master-key {path} has mode {mode:04o}: others must not; 0600")
        key = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"--master-key {path}: {error.strerror}") from None
    if len(key) != MASTER_KEY_BYTES:
        raise SettingsError(f"--master-key {path} has {len(key)} bytes, not {MASTER_KEY_BYTES}")
    return key


def _make_master_key(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(number, "wb") as file:  # noqa: PTH123
        file.write(secrets.token_bytes(MASTER_KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
