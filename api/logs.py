"""The log: one line for each event, JSON or text, written by a thread of its own.

Whoever logs hands its line over and goes on. Where the destination blocks or is full, lines wait
up to a bound, then they are dropped and counted; the exchange never waits for its log. What goes in
is chosen by the exchange alone: no header, body, query or path that a caller has made up.
"""

import logging
import os
import threading
from collections import deque
from time import time_ns
from types import TracebackType
from typing import Any, NamedTuple, Self

import msgspec

from api.clock import iso_millisecond
from api.settings import LogFormat, LogLevel

WAITING_MAX = 10_000
"""Lines that may wait for the destination."""
LINES_A_WRITE = 512
END_MAX_S = 2.0
"""Seconds the last lines may take at the end."""
_LEVELS = {10: "debug", 20: "info", 30: "warning", 40: "error", 50: "critical"}
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


class Access(NamedTuple):
    """An answered request, as the access log has it; none of it is its caller's words."""

    method: str
    route: str
    status: int
    ms: float
    key: str
    account: str
    request_id: str


def _now() -> str:
    return iso_millisecond(time_ns() // 1_000_000)


def _fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return what was given beside the message."""
    return {name: value for name, value in vars(record).items() if name not in _STANDARD and value}


def _traceback_of(record: logging.LogRecord) -> str:
    """Return the exception of a record with its traceback, without values of a database."""
    if not record.exc_info or record.exc_info[1] is None:
        return ""
    error: BaseException | None = record.exc_info[1]
    while error is not None:
        if hasattr(error, "hide_parameters"):  # of SQLAlchemy: else its text has the rows
            error.hide_parameters = True
        error = error.__cause__ or error.__context__
    return logging.Formatter().formatException(record.exc_info)


def as_json(event: dict[str, Any]) -> bytes:
    """Return an event as a line of JSON."""
    return msgspec.json.encode(event, enc_hook=str) + b"\n"


def as_text(event: dict[str, Any]) -> bytes:
    """Return an event as a line for people; an exception follows on lines of its own."""
    event = dict(event)
    time, level, logger = event.pop("time"), event.pop("level"), event.pop("logger", "")
    text, exception = event.pop("event"), event.pop("exception", "")
    named = "".join(f" {name}={value}" for name, value in event.items() if value)
    source = "" if logger in {"", "evergamma"} else f"{logger}: "
    after = f"\n{exception}" if exception else ""
    return f"{time} {level:7} {source}{text}{named}{after}\n".encode("utf-8", "backslashreplace")


class Log(logging.Handler):
    """Writes what is logged to a file, by a thread; as a context, it serves all loggers.

    Attributes:
        dropped: Lines that were not written so far.
    """

    def __init__(self, log_format: LogFormat, log_level: LogLevel, number: int = 2) -> None:
        super().__init__(log_level.upper())
        is_text = log_format == "text" or (log_format == "auto" and os.isatty(number))
        self._write_event = as_text if is_text else as_json
        self._number = number
        self._lines: deque[bytes] = deque()
        self._has_lines = threading.Event()
        self._is_over = False
        self._told = 0
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)

    # -- callers

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record of the standard library."""
        try:
            event = {
                "time": iso_millisecond(int(record.created * 1e3)),
                "level": _LEVELS.get(record.levelno, record.levelname.lower()),
                "logger": record.name,
                "event": record.getMessage(),
                **_fields_of(record),
            }
            if trace := _traceback_of(record):
                event["exception"] = trace
            self.put(self._write_event(event))
        except Exception:  # noqa: BLE001 - whoever logs has other things to do
            self.dropped += 1

    def access(self, access: Access) -> None:
        """Take an answered request."""
        event = {"time": _now(), "level": "info", "event": "request"}
        self.put(self._write_event(event | access._asdict()))

    def put(self, line: bytes) -> None:
        """Take a line; it is dropped where too many wait."""
        if len(self._lines) >= WAITING_MAX:
            self.dropped += 1
            return
        self._lines.append(line)
        if not self._has_lines.is_set():
            self._has_lines.set()

    # -- the thread

    def _run(self) -> None:
        while True:
            self._has_lines.wait()
            self._has_lines.clear()
            while self._lines:
                self._write_some()
            if self._is_over:
                return

    def _write_some(self) -> None:
        taken = min(len(self._lines), LINES_A_WRITE)
        lines = [self._lines.popleft() for _ in range(taken)]
        if self.dropped > self._told:
            lines.append(self._dropped_line())
        left = b"".join(lines)
        try:
            while left:
                left = left[os.write(self._number, left) :]
        except OSError:  # full, or nobody reads: there is nowhere to say so but the metrics
            self.dropped += taken

    def _dropped_line(self) -> bytes:
        missing, self._told = self.dropped - self._told, self.dropped
        event = {"time": _now(), "level": "warning", "logger": "evergamma"}
        return self._write_event(event | {"event": "lines were dropped", "lines": missing})

    # -- life

    def __enter__(self) -> Self:
        self._thread.start()
        root = logging.getLogger()
        self._before = (root.handlers, root.level, threading.excepthook)
        root.handlers = [self]
        root.setLevel(self.level)
        threading.excepthook = _log_thread
        logging.captureWarnings(True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        logging.captureWarnings(False)
        root = logging.getLogger()
        root.handlers, level, threading.excepthook = self._before
        root.setLevel(level)
        self.end()

    def end(self) -> None:
        """Write what waits, where that does not take long."""
        self._is_over = True
        self._has_lines.set()
        self._thread.join(END_MAX_S)


def _log_thread(failed: threading.ExceptHookArgs) -> None:
    error = failed.exc_value or failed.exc_type()
    logging.getLogger("evergamma").error("a thread has failed", exc_info=error)
