"""A flush as anybody can check it: downloaded, computed again, and caught where it was changed."""

import json
from collections.abc import Iterator
from decimal import Decimal
from hashlib import sha256
from io import StringIO
from typing import Any

import msgspec
import pytest
from rich.console import Console

from api.client import Client
from api.commands.pool_tables import returns_table
from api.verification.public import Published, download, verify_published
from api.wire import Performance
from tests.api.conftest import Call
from tests.api.http.harness import CALL, Server, now_ms, until

TOKEN = "FLSH.M"
PERIOD_MS = 5_000


def early(server: Server) -> None:
    """Wait until there is time before the next cut-off."""
    until(lambda: now_ms() < server.operator.pool(TOKEN).cutoff - PERIOD_MS // 2)


@pytest.fixture(scope="module")
def number(server: Server) -> Iterator[int]:
    """A flush in which LPs come and go, with positions open; another has filled the pools."""
    server.list_token(
        TOKEN,
        seed=10**8,
        flush_period_ms=PERIOD_MS,
        flush_offset_ms=0,
        cutoff_ms=500,
        cooldown_ms=0,
        window_marks_min=0,
    )
    server.credit("florence", TOKEN, "3000")
    server.credit("finlay", TOKEN, "1000")
    lp, trader = server.client("florence"), server.client("finlay")
    funded = lp.deposit(TOKEN, "main", "1000"), lp.deposit(TOKEN, "insurance", "300")
    until(lambda: all(lp.request(each.id).status == "filled" for each in funded))
    early(server)
    trader.open(CALL.format(TOKEN), "50", limit_total="10")
    asked = lp.redeem(TOKEN, "main", "300")
    lp.redeem(TOKEN, "insurance", "10")
    trader.deposit(TOKEN, "main", "100")
    trader.deposit(TOKEN, "main", "20", "30")
    until(lambda: lp.request(asked.id).status == "filled")
    yield asked.flush
    server.retire(TOKEN)


def published(server: Server, number: int) -> Published:
    """Return what the server says of a flush, to a caller without a key."""
    with Client(server.url) as client:
        return download(client, TOKEN, number)


def test_every_flush_of_a_server_can_be_computed_again(server: Server, number: int) -> None:
    """Also the first, and those nobody was in; figures are compared, not skipped."""
    for each in range(1, number + 1):
        checks = verify_published(TOKEN, each, published(server, each))
        assert checks.first is None, checks.first
        assert sum(group.compared for group in checks.groups) > 120
    bundle = server.operator.flush(TOKEN, number)
    assert Decimal(bundle.results.main.crossed) > 0
    assert {each.status for each in bundle.requests} == {"filled", "returned"}
    assert Decimal(bundle.main.lines["spread"]) > 0
    body = published(server, number).body
    assert not any(name in body for name in (b"florence", b"finlay"))


def test_who_waits_is_told_a_place(server: Server) -> None:
    """Two deposits for a flush that never comes; the second is ahead of nobody either."""
    name = server.list_token("WAIT.M")
    server.credit("wanda", name, "10")
    client = server.client("wanda")
    first, second = client.deposit(name, "main", "3"), client.deposit(name, "main", "4")
    assert first.ahead is None
    places = {each.id: (each.ahead, each.beside) for each in client.provider().requests}
    assert places == {first.id: ("0", "4"), second.id: ("0", "3")}
    told = client.request(first.id)
    assert (told.fill_flush, told.fill_expected) == (first.flush, first.expected)
    assert server.operator.pool(name).main_performance.realised_apr is None


def test_the_list_has_the_digest_of_what_is_downloaded(server: Server, number: int) -> None:
    """The very bytes: whoever fetches the route can hash its answer."""
    answer = server.http.get(f"{server.url}/v1/pools/{TOKEN}/flushes/{number}")
    record = published(server, number).record
    assert record is not None
    assert sha256(answer.content).hexdigest() == record.bundle
    assert answer.headers["ETag"] == f'"{record.bundle}"'


def test_the_command_says_so(server: Server, number: int, call: Call) -> None:
    """Tables for people, JSON for machines; a flush that was not is bad input."""
    status, output, _ = call("verify-flush", TOKEN, str(number), "--url", server.url)
    assert status == 0
    assert "all agree" in output
    assert "attribution" in output
    status, output, _ = call("verify-flush", TOKEN, "1", "--url", server.url, "--json")
    assert status == 0
    assert json.loads(output)["agrees"] is True
    status, _, errors = call("verify-flush", TOKEN, "999999", "--url", server.url)
    assert status == 2
    assert errors.startswith("evergamma: 404 NOT_FOUND")


def test_the_pools_are_shown(server: Server, number: int, call: Call) -> None:
    """Everything an LP asks for stands on one page."""
    assert number > 1
    status, output, _ = call("pool", TOKEN, "--url", server.url)
    assert status == 0
    for words in (
        "realised, ± standard error",
        "below its highest now",
        "utilisation",
        "redemptions waiting",
        "main bears first",
        "Main's NAV, up to flush",
        "Last flushes",
        "Loss of main",
    ):
        assert words in output, words
    status, output, _ = call("pool", TOKEN, "--url", server.url, "--json")
    assert status == 0
    shown = json.loads(output)
    lines = shown["attribution"]["main"]
    total = sum(Decimal(each) for each in lines["lines"].values())
    assert total == Decimal(lines["closed"]) - Decimal(lines["opened"])
    assert shown["pool"]["main_performance"]["flushes"] >= number - 1
    assert call("pool", "NONE.M", "--url", server.url)[0] == 2


def test_labels_stay_whole_beside_long_figures() -> None:
    """Yields of minutes, reckoned for a year, are long; on 80 columns they wrap, not their name."""
    long = Performance(
        since=0,
        premium_apr="123456789.12345678",
        realised_apr="-123456789.12345678",
        realised_error="123456789.12345678",
        flushes=3,
        drawdown="0",
        drawdown_max="0",
    )
    printed = StringIO()
    Console(width=80, file=printed).print(returns_table(long, long))
    assert "realised, ± standard error" in printed.getvalue()


# -- whatever is changed is caught


def leaves(node: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the place of every value that is no list and no object."""
    inside = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in inside:
        if isinstance(value, dict | list):
            yield from leaves(value, (*place, key))
        elif value is not None:
            yield (*place, key)


def changed(value: Any) -> Any:
    """Return another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + max(1, value // 1_000)
    try:
        number = Decimal(value)
        return format(number + Decimal("0.0001") * max(1, int(abs(number) / 100)), "f")
    except ArithmeticError:
        others = {"call": "put", "main": "insurance", "deposit": "redemption", "open": "filled"}
        return others.get(value, "open")


def tampered(found: Published, place: tuple[str | int, ...], *, is_hidden: bool) -> Published:
    """Change one value of a bundle; hidden, the list has the digest of what came of it."""
    document = json.loads(found.body)
    node = document
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = changed(node[place[-1]])
    body = json.dumps(document).encode()
    if is_hidden:
        assert found.record is not None
        record = found.record.__copy__()
        record.bundle = sha256(body).hexdigest()
        found = found._replace(record=record)
    return found._replace(body=body)


def is_caught(found: Published, number: int, place: tuple[str | int, ...], *, hidden: bool) -> bool:
    """Whether a change is found out."""
    forged = tampered(found, place, is_hidden=hidden)
    try:
        return verify_published(TOKEN, number, forged).first is not None
    except msgspec.DecodeError:
        return True


def test_a_change_of_any_field_does_not_have_its_digest(server: Server, number: int) -> None:
    """One field of each name and place that nothing else would give away, and a few others."""
    found = published(server, number)
    places = list(leaves(json.loads(found.body)))
    kinds = {
        tuple(0 if isinstance(key, int) else key for key in place): place
        for place in [*places[::20], *filter(needs_the_digest, places)]
    }
    missed = [
        place for place in kinds.values() if not is_caught(found, number, place, hidden=False)
    ]
    assert len(kinds) > 50
    assert missed == []


def needs_the_digest(place: tuple[str | int, ...]) -> bool:
    """Whether a figure has no other to be held against: then the digest alone commits to it.

    A time before which nothing would have been different, a limit that was not reached, totals of
    traders' flows that no pool has a part in, and marks and terms of nothing in the book.
    """
    name = str(place[-1])
    if place[0] == "closed":
        return name not in LINES
    return place[0] in ("underlyings", "parameters_version") or name in FREE


FREE = {"next_flush", "cutoff", "created", "min_out", "flush"}
LINES = {
    "nav", "insurance", "accrued", "refundable", "premium_main", "premium_insurance", "spread",
    "impact_paid", "impact_refunded", "delta", "gamma", "vega", "claim", "repayment", "deposit",
    "redemption", "exit_fee", "exit_fee_insurance", "paid_by_insurance", "split_dust",
    "dissolution", "deposit_asked", "deposit_returned",
}  # fmt: skip


def test_figures_are_caught_though_the_digest_was_changed_too(server: Server, number: int) -> None:
    """By computing: every result, every amount, every share and line of the attribution."""
    found = published(server, number)
    places = [each for each in leaves(json.loads(found.body)) if not needs_the_digest(each)]
    missed = [each for each in places if not is_caught(found, number, each, hidden=True)]
    assert len(places) > 250
    assert missed == []


@pytest.mark.parametrize(
    "place",
    [
        ("exchange_time",),
        ("underlyings", 0, "median"),
        ("underlyings", 0, "vol"),
        ("underlyings", 0, "minutes", -1, "last"),
        ("series", 0, "strike"),
        ("series", 0, "value_high"),
        ("before", "main"),
        ("requests", 0, "amount"),
        ("events", 0, "amount"),
        ("results", "nav", "low"),
        ("results", "main", "free"),
        ("after", "main_shares"),
        ("after", "insurance_share"),
        ("closed", "flows", "delta"),
        ("main", "lines", "other"),
    ],
)
def test_the_first_difference_is_named(
    server: Server, number: int, place: tuple[str | int, ...]
) -> None:
    """With what is said and what was computed."""
    forged = tampered(published(server, number), place, is_hidden=True)
    first = verify_published(TOKEN, number, forged).first
    assert first is not None
    assert first.where
    assert first.said != first.computed
