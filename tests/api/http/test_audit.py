"""The audit trail: who did what, and who tried; durable, newest first, and without secrets."""

import json
from hashlib import sha256

import pytest

from api.wire import AuditLine
from tests.api.http.harness import Server, Wire, assert_problem, fresh, until


def newest(server: Server, account: str) -> AuditLine:
    return next(iter(server.operator.operator.audit(account)))


def test_what_an_operator_does_is_written_down(server: Server) -> None:
    server.list_token("AUDIT.M")
    boss = server.wire("boss", "operator")
    assert boss.key is not None
    body = {"token": "AUDIT.M"}
    key = fresh("pause")
    done = boss.send("POST", "/v1/operator/pause", body, key)
    line = until(lambda: next(iter(server.operator.operator.audit("boss")), None))
    assert line.action == "POST /v1/operator/pause"
    assert (line.account, line.key, line.address) == ("boss", boss.key.id, "127.0.0.1")
    assert (line.status, line.code) == (200, "")
    assert (line.shard, line.journal_id) == ("main", done.json()["id"])
    assert (line.request_id, line.idempotency_key) == (done.headers["EG-Request"], key)
    assert line.body_sha256 == sha256(json.dumps(body).encode()).hexdigest()
    # What the rules refuse is in the journal as well.
    body = {"token": "NONE.M"}
    assert_problem(boss.change("POST", "/v1/operator/pause", body), 422, "TOKEN_UNKNOWN")
    line = until(lambda: found if (found := newest(server, "boss")).status == 422 else None)
    assert line.code == "TOKEN_UNKNOWN"
    assert line.journal_id is not None


def test_whose_withdrawal_it_was_is_written_down(server: Server) -> None:
    """Each shard numbers its own; its name begins with the token."""
    server.list_token("PATH.M")
    boss = server.wire("pathfinder", "operator")
    target = "/tokens/PATH.M/v1/operator/withdrawals/ELSE%2eM-1/complete"
    assert_problem(boss.change("POST", target, {}), 404, "WITHDRAWAL_UNKNOWN")
    line = until(lambda: next(iter(server.operator.operator.audit("pathfinder")), None))
    assert (line.subject, line.shard, line.status) == ("ELSE.M-1", "main", 404)


def test_a_key_that_is_made_or_ended_is_written_down_before_the_answer(server: Server) -> None:
    boss = server.wire("clerk", "operator")
    made = boss.change("POST", "/v1/operator/keys", {"account": "ann", "roles": ["read"]}).json()
    line = newest(server, "clerk")
    assert (line.action, line.subject, line.status) == ("POST /v1/operator/keys", made["id"], 201)
    assert line.journal_id is None
    target = f"/v1/operator/keys/{made['id']}"
    successor = boss.change("POST", f"{target}/rotate", {"overlap": 60})
    assert successor.status_code == 201, successor.text
    line = newest(server, "clerk")
    assert line.action == "POST /v1/operator/keys/{key_id}/rotate"
    assert line.subject == f"{made['id']} {successor.json()['id']}"
    boss.change("DELETE", target)
    line = newest(server, "clerk")
    assert (line.action, line.subject) == ("DELETE /v1/operator/keys/{key_id}", made["id"])
    owner = server.wire("ann", "trade")
    made = owner.change("POST", "/v1/keys", {"roles": ["trade"]}).json()
    line = newest(server, "ann")
    assert (line.action, line.subject) == ("POST /v1/keys", made["id"])
    answer = owner.change("POST", "/v1/keys", {"roles": ["operator"]})
    assert_problem(answer, 403, "RIGHTS_EXCEEDED")
    assert (newest(server, "ann").status, newest(server, "ann").code) == (403, "RIGHTS_EXCEEDED")


def test_attempts_are_written_down(server: Server) -> None:
    trader = server.wire("mallory", "trade")
    assert_problem(trader.send("GET", "/v1/operator/keys"), 403, "ROLE_MISSING")
    line = until(lambda: next(iter(server.operator.operator.audit("mallory")), None))
    assert (line.action, line.status, line.code) == ("GET /v1/operator/keys", 403, "ROLE_MISSING")


def test_strangers_are_written_down_now_and_then(server: Server) -> None:
    """Of a key that was not signed with it is known that it was claimed; a secret is no key."""
    secret = server.key.secret or ""
    assert secret
    wire = Wire(server)

    def line_of(action: str, **headers: str) -> AuditLine:
        """Try until it is written down: too many at once are not."""

        def tried() -> AuditLine | None:
            wire.send("POST", f"/v1/operator/{action}", {}, **headers)
            line = newest(server, "")
            return line if line.action == f"POST /v1/operator/{action}" else None

        found: AuditLine = until(tried)
        return found

    claimed = {"EG_Key": server.key.id, "EG_Signature": "0" * 64, "EG_Timestamp": "1"}
    line = line_of("pause", **claimed)
    assert (line.key, line.code) == (server.key.id, "TIMESTAMP_OUT_OF_WINDOW")
    assert (line.status, line.address, line.account) == (401, "127.0.0.1", "")
    line = line_of("resume", EG_Key=secret)
    assert (line.key, line.code) == ("", "SIGNATURE_MISSING")
    assert secret not in str(line)


def test_the_trail_is_read_in_pages(server: Server) -> None:
    pages = server.operator.operator.audit("house").pages(limit=2)
    first, second = next(pages), next(pages)
    numbers = [int(each.id) for each in first.items + second.items]
    assert numbers == sorted(set(numbers), reverse=True)
    assert len(numbers) == 4


@pytest.mark.file
def test_the_trail_on_the_command_line(server: Server) -> None:
    """While the server runs; the first line is what the first key was made with."""
    place = ("audit", "--database", str(server.folder / "d.sqlite"), "--limit", "1000000")
    lines = json.loads(server._command_line(*place, "--json"))  # noqa: SLF001
    assert lines[-1]["action"] == "evergamma keys create"
    assert lines[-1]["subject"] == f"{server.key.id} of house"
    assert lines[-1]["address"].startswith("uid ")
