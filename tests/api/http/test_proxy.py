"""A proxy as docs/operations/nginx.conf sets it up, before two servers with their own tokens."""

import os
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from api.client import Client
from api.listening import bind
from tests.api.http.harness import CALL, Server, assert_problem, fresh, order, signed, until
from tests.api.http.test_logging import logged

CONFIG = Path(__file__).resolve().parents[3] / "docs" / "operations" / "nginx.conf"
_CERTIFICATE = (
    "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    " -addext subjectAltName=DNS:localhost -keyout privkey.pem -out fullchain.pem"
)
ONE, OTHER = "TSLA.M", "CRCL.M"


class Proxy:
    """nginx with a certificate of its own, and callers that trust it."""

    def __init__(self, folder: Path, servers: tuple[Server, Server], nginx: str) -> None:
        self._make_certificate(folder)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        text = CONFIG.read_text().replace("/etc/ssl/evergamma", str(folder))
        text = text.replace("listen 443 ssl", f"listen 127.0.0.1:{self.port} ssl")
        for usual, server in zip(("127.0.0.1:8080", "127.0.0.1:8081"), servers, strict=True):
            assert usual in text
            text = text.replace(usual, urlsplit(server.url).netloc)
        self._standby = bind("127.0.0.1", 0)
        standby = "# server 127.0.0.1:8090"
        assert standby in text
        text = text.replace(standby, "server {}:{}".format(*self._standby.getsockname()))
        places = "".join(
            f"{kind}_temp_path {folder}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"daemon off;\nmaster_process off;\npid {folder}/nginx.pid;\n"
            f"error_log {folder}/error.log;\nevents {{}}\n"
            f"http {{\naccess_log off;\n{places}{text}\n}}\n"
        )
        self.context = ssl.create_default_context(cafile=folder / "fullchain.pem")
        self.url = f"https://localhost:{self.port}"
        self.http = httpx.Client(verify=self.context, timeout=30)
        self._process = subprocess.Popen(  # noqa: S603
            [nginx, "-p", str(folder), "-c", "nginx.conf", "-e", f"{folder}/error.log"]
        )
        until(self._is_there)

    @staticmethod
    def _make_certificate(folder: Path) -> None:
        openssl = shutil.which("openssl")
        assert openssl is not None
        subprocess.run(  # noqa: S603
            [openssl, *_CERTIFICATE.split()],
            cwd=folder,
            check=True,
            capture_output=True,
        )

    def _is_there(self) -> bool:
        assert self._process.poll() is None
        try:
            return self.http.get(f"{self.url}/healthz").status_code == 200
        except httpx.TransportError:
            return False

    def end(self) -> None:
        """Stop it."""
        self.http.close()
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(30) == 0
        self._standby.close()


@pytest.fixture(scope="module")
def proxy(
    watched_server: Server, waiting_server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    """Start nginx before a server with one token and a server with another."""
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert nginx is not None, "nginx is needed: apt-get install nginx-light"
    watched_server.list_token(ONE)
    waiting_server.list_token(OTHER)
    started = Proxy(tmp_path_factory.mktemp("nginx"), (watched_server, waiting_server), nginx)
    yield started
    started.end()


def test_a_path_of_a_token_goes_to_the_server_that_trades_it(
    proxy: Proxy, watched_server: Server, waiting_server: Server
) -> None:
    """With signed requests of the client as it is, told where to go by its address alone."""
    for token, server in ((ONE, watched_server), (OTHER, waiting_server)):
        server.credit("proxied", token, "100")
        key = server.key_of("proxied", "trade", "provide")
        place = f"{proxy.url}/tokens/{token}"
        with Client(place, key.id, key.secret, http=proxy.http, retries=0) as client:
            bought = client.open(CALL.format(token), "10", limit_total="1")
            assert bought.status == "filled"
            assert [each.id for each in client.positions()] == [bought.position_id]
            assert client.pool(token).locked == "5"
        assert [each.id for each in server.client("proxied").positions()] == [bought.position_id]


def test_what_the_table_does_not_know_is_told_so(proxy: Proxy) -> None:
    answer = proxy.http.get(f"{proxy.url}/tokens/ELSE.M/v1/time")
    assert_problem(answer, 421, "TOKEN_ELSEWHERE")


def test_a_path_is_signed_as_it_was_sent(proxy: Proxy, waiting_server: Server) -> None:
    """Neither can its token be changed on the way, nor what it says in percent."""
    key = waiting_server.key_of("signer", "trade")
    target = f"/tokens/{OTHER}/v1/account?account=sig%6eer"
    assert proxy.http.get(proxy.url + target, headers=signed(key, "GET", target)).json()
    other = "/v1/account?account=sig%6eer"
    answer = proxy.http.get(proxy.url + target, headers=signed(key, "GET", other))
    assert_problem(answer, 401, "SIGNATURE_WRONG")


def test_a_standby_is_passed_by(proxy: Proxy) -> None:
    """Whatever is sent reaches the server that answers."""
    asked = {"instrument": CALL.format(ONE), "side": "open", "notional": "1"}
    for _ in range(10):
        assert proxy.http.get(f"{proxy.url}/v1/time").status_code == 200
        assert proxy.http.post(f"{proxy.url}/v1/quotes", json=asked).status_code == 200


def test_metrics_stay_inside(proxy: Proxy) -> None:
    assert proxy.http.get(f"{proxy.url}/metrics").status_code == 404


def test_callers_are_told_apart_by_their_own_address(proxy: Proxy, watched_server: Server) -> None:
    """Not by one they make up: nginx puts the address it sees in its place."""
    made_up = {"X-Forwarded-For": "192.0.2.17"}
    refused = proxy.http.get(f"{proxy.url}/v1/account", headers=made_up)
    request_id = assert_problem(refused, 401, "SIGNATURE_MISSING")["request_id"]
    lines = logged(watched_server, request_id)
    assert lines[0]["client"] == "127.0.0.1"


def test_problems_pass_as_they_are(proxy: Proxy) -> None:
    body = b'{"x": "' + b"x" * 300_000 + b'"}'
    answer = proxy.http.post(
        f"{proxy.url}/v1/quotes", content=body, headers={"Content-Type": "application/json"}
    )
    assert_problem(answer, 413, "BODY_TOO_LARGE")
    refused = proxy.http.post(
        f"{proxy.url}/tokens/{OTHER}/v1/orders",
        json=order(OTHER),
        headers={"Idempotency-Key": fresh("nobody")},
    )
    assert_problem(refused, 401, "SIGNATURE_MISSING")


@pytest.mark.parametrize("path", ["/v1/ws", f"/tokens/{OTHER}/v1/ws"])
def test_an_upgrade_is_passed_on(proxy: Proxy, path: str) -> None:
    """The server agrees to the handshake of a WebSocket, also at a token's path."""
    head = (
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    direct = socket.create_connection(("127.0.0.1", proxy.port), 30)
    with proxy.context.wrap_socket(direct, server_hostname="localhost") as connection:
        connection.sendall(head.encode())
        answer = connection.recv(65_536).decode()
    assert answer.startswith("HTTP/1.1 101 "), answer
