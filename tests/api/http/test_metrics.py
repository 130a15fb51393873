"""Metrics: those the documentation lists, with the numbers of the exchange."""

import re
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.api.http.harness import CALL, Server, Wire, assert_problem, order, until

DOCS = Path(__file__).resolve().parents[3] / "docs"
ROW = re.compile(
    r"^\| `([a-z_]+)` \| (counter|gauge|histogram) \| ([a-z, ]*) \| .+ \|$", re.MULTILINE
)


def samples(server: Server) -> dict[str, float]:
    """Return every sample, by its name with its labels."""
    lines = [line for line in server.metrics().splitlines() if not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def documented() -> dict[str, tuple[str, set[str]]]:
    """Return type and labels of each metric in the documentation."""
    found = ROW.findall((DOCS / "operations.md").read_text())
    return {name: (kind, set(filter(None, labels.split(", ")))) for name, kind, labels in found}


def test_the_table_of_metrics_is_the_server_s(watched_server: Server) -> None:
    watched_server.list_token("METER.M")
    Wire(watched_server).send("GET", "/v1/time")
    found, unseen = {}, set()
    for family in text_string_to_metric_families(watched_server.metrics()):
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        found[name] = (family.type, labels)
        unseen |= set() if family.samples else {name}
    listed = documented()
    assert set(found) == set(listed)
    # Of what is broken, and of sources, there is nothing here: no labels were seen.
    assert len(unseen) == 6
    assert {name: found[name][0] for name in unseen} == {name: listed[name][0] for name in unseen}
    seen = listed.keys() - unseen
    assert {name: found[name] for name in seen} == {name: listed[name] for name in seen}


def test_alerts_are_about_metrics_there_are() -> None:
    rules = yaml.safe_load((DOCS / "operations" / "alerts.yml").read_text())
    (group,) = rules["groups"]
    known = set(documented())
    known |= {f"{name}_{part}" for name in known for part in ("bucket", "count", "sum")}
    assert len(group["rules"]) >= 10
    for rule in group["rules"]:
        assert set(rule) >= {"alert", "expr", "labels", "annotations"}, rule
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["labels"]["severity"] in {"page", "ticket"}
        named = set(re.findall(r"\b(?:evergamma|process)_[a-z_]+", rule["expr"]))
        assert named <= known, rule["alert"]
        assert named or "up" in rule["expr"]


def test_they_are_on_a_listener_of_their_own(watched_server: Server) -> None:
    """With health, and nothing else."""
    public = Wire(watched_server)
    assert_problem(public.send("GET", "/metrics"), 404, "NOT_FOUND")
    assert public.send("GET", "/readyz").status_code == 200
    found = re.search(
        r"^metrics on (\S+)/metrics$", (watched_server.folder / "log").read_text(), re.MULTILINE
    )
    assert found is not None
    assert found[1].startswith("http://127.0.0.1:")
    http = watched_server.http
    assert http.get(f"{found[1]}/healthz").json() == {"status": "ok"}
    for path in ("/v1/time", "/docs", "/openapi.json", "/tokens/METER.M/v1/time"):
        assert http.get(found[1] + path).status_code == 404


def test_orders_and_refusals_are_counted(watched_server: Server) -> None:
    token = watched_server.list_token("COUNT.M")
    watched_server.credit("counted", token, "100")
    wire = watched_server.wire("counted", "trade")
    opened = 'evergamma_commands_total{kind="Open",outcome="done"}'
    refused = 'evergamma_commands_total{kind="Open",outcome="PRICE_LIMIT"}'
    answered = 'evergamma_http_requests_total{route="/v1/orders",status="201"}'
    before = samples(watched_server)
    for _ in range(3):
        assert wire.change("POST", "/v1/orders", order(token)).status_code == 201
    assert_problem(
        wire.change("POST", "/v1/orders", order(token, limit_total="0.00000001")),
        422,
        "PRICE_LIMIT",
    )
    after = samples(watched_server)
    grown = {name: after[name] - before.get(name, 0.0) for name in (opened, refused, answered)}
    assert grown == {opened: 3, refused: 1, answered: 3}
    for name in ("evergamma_batch_commands_count", "evergamma_commit_seconds_count"):
        assert after[name] >= before[name] + 4
    assert (
        after['evergamma_batch_commands_bucket{le="+Inf"}']
        == after["evergamma_batch_commands_count"]
    )
    assert after["evergamma_journal_records"] >= before["evergamma_journal_records"] + 4


def test_pools_are_worth_what_the_api_says(watched_server: Server) -> None:
    token = watched_server.list_token("WORTH.M")
    watched_server.credit("holder", token, "100")
    assert watched_server.client("holder").open(CALL.format(token), "10", limit_total="1")
    locked = f'evergamma_pool_locked{{token="{token}"}}'
    until(lambda: samples(watched_server).get(locked))  # books are valued once a second
    with watched_server.pusher.held():
        pool = watched_server.operator.pool(token)
        found = samples(watched_server)
    for name, side in (("main", pool.main), ("insurance", pool.insurance)):
        labels = f'pool="{name}",token="{token}"'
        assert found[f"evergamma_pool_cash{{{labels}}}"] == pytest.approx(
            float(side.cash), rel=1e-6
        )
        for bound, value in (("low", side.nav_low), ("mid", side.nav_mid), ("high", side.nav_high)):
            nav = found[f'evergamma_pool_nav{{bound="{bound}",{labels}}}']
            assert nav == pytest.approx(float(value), rel=1e-6)
        price = found[f"evergamma_pool_share_price{{{labels}}}"]
        assert price == pytest.approx(float(side.share_price), rel=1e-6)
    assert found[locked] == float(pool.locked) == 5.0
    used = found[f'evergamma_pool_utilisation{{token="{token}"}}']
    assert used == pytest.approx(float(pool.utilisation), rel=1e-6)


def test_the_writer_is_seen_to_be_well(watched_server: Server) -> None:
    found = samples(watched_server)
    assert found["evergamma_ready"] == found["evergamma_invariants_hold"] == 1
    assert 0 <= found["evergamma_invariants_age_seconds"] < 60
    assert 0 <= found['evergamma_index_age_seconds{symbol="BTC"}'] < 60
    assert found['evergamma_index_price{symbol="BTC"}'] == 100_000
    assert found["evergamma_loop_lag_seconds_count"] > 0
    assert found["evergamma_lost_batches_total"] == 0
    assert found["process_open_fds"] > 5
