"""A server on a socket that does what a test tells it, however bad, and remembers what it got."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from api.client import AsyncClient, Client
from api.signing import IDEMPOTENCY_KEY, KEY, SIGNATURE, TIMESTAMP, WINDOW_MS, signature

KEY_ID = "k-1"
SECRET = "ab" * 32
ORDER = {
    "id": "17",
    "status": "filled",
    "instrument": "BTC-TSLA.M-100000-C",
    "side": "open",
    "notional": "2",
    "limit_total": "1",
    "self_funding": False,
    "client_id": None,
    "expires_at": None,
    "exchange_time": 1_760_011_200_000,
    "filled": "2",
    "total": "0.05",
    "fee": "0.0006",
    "index": "100000",
    "position_id": "3",
    "one_more_field": "of a newer server",
}


@dataclass(frozen=True)
class Got:
    """A request as it came in."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def idempotency_key(self) -> str:
        """What it was sent under."""
        return self.headers.get(IDEMPOTENCY_KEY, "")

    @property
    def is_signed_well(self) -> bool:
        """Whether the signature is that of what came in."""
        expected = signature(
            SECRET,
            self.headers[TIMESTAMP],
            self.method,
            self.target,
            self.idempotency_key,
            self.body,
        )
        return self.headers[KEY] == KEY_ID and self.headers[SIGNATURE] == expected


class Answering(BaseHTTPRequestHandler):
    """One connection of the server."""

    protocol_version = "HTTP/1.1"
    server: "Listener"

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def answer(self) -> None:
        """Remember the request and do what is next in the script."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        script = self.server.script
        got = Got(self.command, self.path, dict(self.headers), body)
        script.got.append(got)
        if self.path == "/v1/time":
            now = script.now_ms()
            give({"time": now, "exchange_time": now})(self)
        elif script.checks_time and abs(int(got.headers[TIMESTAMP]) - script.now_ms()) > WINDOW_MS:
            give_problem(401, "TIMESTAMP_OUT_OF_WINDOW")(self)
        else:
            script.acts.pop(0)(self)

    do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 - names http.server looks for


Act = Callable[[Answering], None]


@dataclass
class Script:
    """What the server will do, what it got, and how far its clock is ahead."""

    url: str = ""
    acts: list[Act] = field(default_factory=list)
    got: list[Got] = field(default_factory=list)
    ahead_ms: int = 0
    checks_time: bool = False

    def now_ms(self) -> int:
        """Return the server's time."""
        return time.time_ns() // 1_000_000 + self.ahead_ms


class Listener(ThreadingHTTPServer):
    """The server."""

    daemon_threads = True
    script: Script

    def handle_error(self, *args: object) -> None:
        """Say nothing: that callers go away is what some tests are about."""


def give(answer: object, status: int = 200, **headers: str) -> Act:
    """Answer JSON."""
    return give_bytes(json.dumps(answer).encode(), "application/json", status, **headers)


def give_bytes(body: bytes, kind: str, status: int = 200, **headers: str) -> Act:
    """Answer anything."""

    def act(connection: Answering) -> None:
        connection.send_response(status)
        connection.send_header("Content-Type", kind)
        connection.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            connection.send_header(name.replace("_", "-"), value)
        connection.end_headers()
        connection.wfile.write(body)

    return act


def give_problem(status: int, code: str, retry_after: str = "", **more: str) -> Act:
    """Answer a problem document."""
    problem = {
        "type": f"/problems/{code}",
        "title": code.lower(),
        "status": status,
        "code": code,
        "detail": f"because of {code}",
        "request_id": "r-9",
        **more,
    }
    return give(problem, status, **({"Retry_After": retry_after} if retry_after else {}))


def hang_up(connection: Answering) -> None:
    """Close the connection without a word."""
    connection.close_connection = True


def hang_up_in_the_middle(connection: Answering) -> None:
    """Promise a whole order and send a part of it."""
    whole = json.dumps(ORDER).encode()
    connection.send_response(200)
    connection.send_header("Content-Length", str(len(whole)))
    connection.end_headers()
    connection.wfile.write(whole[: len(whole) // 2])
    connection.close_connection = True


@pytest.fixture
def server() -> Iterator[Script]:
    """A server that listens; tests fill `acts`."""
    listener = Listener(("127.0.0.1", 0), Answering)
    listener.script = Script(url=f"http://127.0.0.1:{listener.server_port}")
    thread = threading.Thread(target=listener.serve_forever, args=(0.01,))
    thread.start()
    yield listener.script
    listener.shutdown()
    thread.join()
    listener.server_close()


Ask = Callable[..., Any]


@pytest.fixture(params=["blocking", "asyncio"])
def ask(request: pytest.FixtureRequest, server: Script) -> Ask:
    """Call a method of either client against the server, by its name; `with_` sets the client."""

    def blocking(method: str, *args: Any, with_: dict[str, Any], **kwargs: Any) -> Any:
        with Client(server.url, KEY_ID, SECRET, **with_) as client:
            answer = getattr(client, method)(*args, **kwargs)
            return list(answer) if hasattr(answer, "pages") else answer

    async def waiting(method: str, *args: Any, with_: dict[str, Any], **kwargs: Any) -> Any:
        async with AsyncClient(server.url, KEY_ID, SECRET, **with_) as client:
            answer = getattr(client, method)(*args, **kwargs)
            return [item async for item in answer] if hasattr(answer, "pages") else await answer

    def call(method: str, *args: Any, with_: dict[str, Any] | None = None, **kwargs: Any) -> Any:
        if request.param == "blocking":
            return blocking(method, *args, with_=with_ or {}, **kwargs)
        return asyncio.run(waiting(method, *args, with_=with_ or {}, **kwargs))

    return call
