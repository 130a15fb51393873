"""Callers who are slow, or many: each is ended after a while, and nobody else is kept waiting."""

import socket
import time
from contextlib import ExitStack, closing

import pytest

from tests.api.http.harness import Server, until
from tests.api.http.test_protocol import POST, TIME, connect, converse, one_problem, rest_of

ROOM = 40
"""Connections the server has room for."""


def ended(server: Server) -> dict[str, float]:
    """Return how many connections the server has ended, by reason."""
    text = server.metrics()
    lines = [line for line in text.splitlines() if line.startswith("evergamma_connections_ended")]
    return {line.split('"')[1]: float(line.split()[-1]) for line in lines}


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"GET /v1/time",
        TIME,
        POST + b"Content-Length: 10\r\n\r\n",
        POST + b"Content-Length: 10\r\n\r\n{}",
        POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{",
    ],
)
def test_what_does_not_go_on_is_given_up(watched_server: Server, start: bytes) -> None:
    before = ended(watched_server)["slow"]
    with closing(connect(watched_server)) as slow:
        slow.sendall(start)
        one_problem(rest_of(slow), "TOO_SLOW")
    assert ended(watched_server)["slow"] > before


@pytest.mark.parametrize(
    ("start", "drop"),
    [(TIME + b"A: ", b"x"), (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n")],
)
def test_drops_do_not_buy_time(watched_server: Server, start: bytes, drop: bytes) -> None:
    """A byte now and then is no progress."""
    with closing(connect(watched_server)) as slow:
        slow.sendall(start)
        slow.settimeout(0.05)
        answer = b""
        for _ in range(400):
            try:
                slow.sendall(drop)
                answer = slow.recv(65_536)
                break
            except TimeoutError:
                continue
        one_problem(answer, "TOO_SLOW")


def test_a_second_request_is_waited_for_as_the_first(watched_server: Server) -> None:
    """Between two, a connection may rest; what is answered stays answered."""
    with closing(connect(watched_server)) as caller:
        caller.sendall(TIME + b"\r\n")
        assert b"200 OK" in caller.recv(65_536)
        time.sleep(1.5)  # longer than the server's patience, which is not asked for
        caller.sendall(TIME + b"\r\n")
        assert b"200 OK" in caller.recv(65_536)
        caller.sendall(TIME[:10])
        caller.sendall(TIME[10:20])
        one_problem(rest_of(caller), "TOO_SLOW")


def test_many_silent_connections_keep_others_out_for_a_moment_only(watched_server: Server) -> None:
    before = ended(watched_server)["limit"]
    with ExitStack() as stack:
        for _ in range(ROOM):
            stack.enter_context(closing(connect(watched_server)))
        with closing(connect(watched_server)) as one_more:
            one_problem(rest_of(one_more), "UNAVAILABLE")

        def is_let_in() -> bool:
            try:
                return b"200 OK" in converse(watched_server, TIME + b"Connection: close\r\n\r\n")
            except OSError:
                return False

        assert until(is_let_in)
    assert ended(watched_server)["limit"] > before


def test_who_does_not_take_the_answer_is_let_go(watched_server: Server) -> None:
    """The page of the documentation's script is larger than what sockets hold."""
    before = ended(watched_server)["slow"]
    request = b"GET /openapi.json HTTP/1.1\r\nHost: here\r\n\r\n"
    with closing(socket.socket()) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        place = watched_server.url.rpartition("/")[2].split(":")
        deaf.connect((place[0], int(place[1])))
        deaf.sendall(request * 60)
        until(lambda: ended(watched_server)["slow"] > before)
