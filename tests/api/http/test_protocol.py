"""What comes over a socket and is no request, or has no end."""

import json
import socket
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pytest

from api.http.problems import CODES
from api.http.protocol import HEAD_MAX
from tests.api.http.harness import PROBLEM_FIELDS, Server

TIME = b"GET /v1/time HTTP/1.1\r\nHost: here\r\n"
POST = b"POST /v1/quotes HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"


def connect(server: Server) -> socket.socket:
    """Return a connection to a server."""
    place = urlsplit(server.url)
    return socket.create_connection((place.hostname, place.port), timeout=30)


def rest_of(connection: socket.socket) -> bytes:
    """Return all that still comes before the server ends the connection."""
    parts = []
    while part := connection.recv(65_536):
        parts.append(part)
    return b"".join(parts)


def converse(server: Server, *parts: bytes) -> bytes:
    """Send bytes, and return all of what comes back before the server ends the connection."""
    with closing(connect(server)) as connection:
        for part in parts:
            connection.sendall(part)
        return rest_of(connection)


def one_problem(answer: bytes, code: str) -> dict[str, Any]:
    """Check that an answer is one problem document, the connection's last; return it."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    document: dict[str, Any] = json.loads(body)
    assert status.split()[:2] == ["HTTP/1.1", str(CODES[code].status)]
    assert headers["content-type"] == "application/problem+json"
    assert headers["connection"] == "close"
    assert int(headers["content-length"]) == len(body)
    assert headers["eg-request"] == document["request_id"]
    assert set(document) == PROBLEM_FIELDS
    assert (document["status"], document["code"]) == (CODES[code].status, code)
    return document


def assert_alive(server: Server) -> None:
    """Check that it answers others."""
    assert b"HTTP/1.1 200 OK" in converse(server, TIME + b"Connection: close\r\n\r\n")


LARGE = {
    "one field at once": [TIME + b"A: " + b"x" * 200_000 + b"\r\n\r\n"],
    "one field without end": [TIME + b"A: ", *[b"x" * 8_192] * 25],
    "many fields": [TIME + b"Field: of some length\r\n" * 2_000 + b"\r\n"],
    "fields without end": [TIME, *[b"Field: of some length\r\n" * 100] * 20],
    "a name": [TIME + b"x" * 200_000],
    "a target": [b"GET /v1/time?" + b"x" * 200_000 + b" HTTP/1.1\r\n\r\n"],
    "a trailer": [
        POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nA: ",
        *[b"x" * 8_192] * 25,
    ],
    "trailers": [
        POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n",
        *[b"Field: of some length\r\n" * 100] * 20,
    ],
    "an extension of a chunk": [
        POST + b"Transfer-Encoding: chunked\r\n\r\n2;",
        *[b"x" * 8_192] * 25,
    ],
}


@pytest.mark.parametrize("parts", LARGE.values(), ids=LARGE.keys())
def test_a_head_has_a_largest_size(server: Server, parts: list[bytes]) -> None:
    """It is refused while it still comes, and the answer arrives though not all was read."""
    one_problem(converse(server, *parts), "HEADERS_TOO_LARGE")
    assert_alive(server)


def test_a_head_just_small_enough_is_read(server: Server) -> None:
    """To the byte, where it comes at once: names, values and target count."""
    used = len(b"/v1/time" + b"Host" + b"here" + b"Connection" + b"close" + b"A")
    head = TIME + b"Connection: close\r\nA: %b\r\n\r\n"
    assert b"HTTP/1.1 200 OK" in converse(server, head % (b"x" * (HEAD_MAX - used)))
    beyond = converse(server, head % (b"x" * (HEAD_MAX - used + 1)))
    one_problem(beyond, "HEADERS_TOO_LARGE")


def test_many_small_heads_are_no_large_one(server: Server) -> None:
    """On one connection, each is counted by itself."""
    small = TIME + b"A: " + b"x" * 20_000 + b"\r\n\r\n"
    last = TIME + b"Connection: close\r\n\r\n"
    assert converse(server, small * 5, last).count(b"HTTP/1.1 200 OK") == 6


def test_an_answer_arrives_before_the_end_of_its_request(server: Server) -> None:
    """Also at callers who send on: a proxy would otherwise see a connection that was reset."""
    head = POST + b"Content-Length: 300000\r\n\r\n"
    with closing(connect(server)) as connection:
        connection.sendall(head)
        connection.recv(65_536, socket.MSG_PEEK | socket.MSG_WAITALL)  # the whole answer, its end
        for _ in range(3):
            connection.sendall(b"x" * 100_000)
        one_problem(rest_of(connection), "BODY_TOO_LARGE")
    assert_alive(server)


def test_a_head_may_come_byte_by_byte(server: Server) -> None:
    request = TIME + b"Connection: close\r\n\r\n"
    pieces = [request[place : place + 1] for place in range(len(request))]
    assert b"HTTP/1.1 200 OK" in converse(server, *pieces)


GARBAGE = {
    "zeros": [b"\x00" * 1_000],
    "all bytes": [bytes(range(256)) * 100],
    "a TLS greeting": [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x07" * 500],
    "another protocol": [b"SSH-2.0-OpenSSH_9.6\r\n"],
    "HTTP/2": [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    "no target": [b"GET  HTTP/1.1\r\n\r\n"],
    "a method nobody knows": [b"FROBNICATE /v1/time HTTP/1.1\r\n\r\n"],
    "a tunnel": [b"CONNECT elsewhere:443 HTTP/1.1\r\n\r\n"],
    "a name with a space": [TIME + b"A B: c\r\n\r\n"],
    "a name with a zero": [TIME + b"A\x00: c\r\n\r\n"],
    "a length that is none": [POST + b"Content-Length: ten\r\n\r\n"],
    "a negative length": [POST + b"Content-Length: -1\r\n\r\n"],
    "a length beyond counting": [POST + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n"],
    "two lengths": [POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}"],
    "a length and chunks": [
        POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ],
    "a chunk of no size": [POST + b"Transfer-Encoding: chunked\r\n\r\n", b"zz\r\n{}\r\n"],
}


@pytest.mark.parametrize("parts", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_is_no_request(server: Server, parts: list[bytes]) -> None:
    """Nobody else notices."""
    with closing(connect(server)) as patient:
        patient.sendall(TIME[:30])
        one_problem(converse(server, *parts), "MALFORMED")
        patient.sendall(TIME[30:] + b"Connection: close\r\n\r\n")
        assert b"HTTP/1.1 200 OK" in rest_of(patient)
    assert_alive(server)


def test_garbage_after_a_request_takes_no_answer_away(server: Server) -> None:
    """The request is answered, and nothing that could pass for another answer follows."""
    answer = converse(server, TIME + b"\r\n" + b"\x00" * 1_000)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert answer.startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    "part", [b"", TIME[:10], TIME, TIME + b"A: ", POST + b"Content-Length: 10\r\n\r\n{"]
)
def test_a_connection_may_end_anywhere(server: Server, part: bytes) -> None:
    """In the middle of whatever it says."""
    with closing(connect(server)) as connection:
        connection.sendall(part)
    assert_alive(server)
