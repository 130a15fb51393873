"""Simulations over HTTP: asked for, followed, cancelled, refused; killed and taken up again."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from api.client import AsyncClient, Client
from api.simulations.admission import AdmissionError
from api.simulations.desk import Desk
from api.simulations.limits import Limits
from api.wire import Simulation
from sims.scenarios.file import ScenarioFile
from sims.scenarios.reading import find_scenario
from tests.api.http.harness import Server, Wire, assert_problem, fresh, until

pytestmark = pytest.mark.compiled

PLACE = "/v1/risk/simulations"
MARKET = {"model": "brownian", "stocks": {"TSLA": {}}}
PATHS, PATHS_LONG = 300, 20_000
"""Of a day each, by the hour: 256 are a block."""
PATIENCE_S = 240.0
"""A process may have to compile first, and others want the processor too."""


def scenario(paths: int = PATHS, **changes: object) -> dict[str, Any]:
    """Return a small study."""
    pools = [{"stock": "TSLA"}, {"token": "NVDA.M"}]
    given = {"name": "small", "days": 1, "paths": paths, "market": MARKET, "pools": pools}
    return given | changes


def place_of(server: Server, simulation: Simulation) -> Path:
    return server.folder / "simulations" / simulation.id


def process_of(simulation: Simulation) -> int | None:
    """Return the number of a simulation's process."""
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = each.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"api.simulations.process" in words and simulation.id.encode() in words[3]:
            return int(each.parent.name)
    return None


def has_begun(client: Client, simulation: Simulation) -> bool:
    return client.simulation(simulation.id).done > 0


@pytest.fixture
def client(server: Server) -> Client:
    """Somebody of a risk team, with an account of one's own."""
    return server.client(fresh("risk"), "risk")


@pytest.fixture(scope="module")
def done(server: Server) -> tuple[Client, Simulation]:
    """A simulation that is done, and who asked for it."""
    client = server.client("rhea", "risk")
    asked = client.simulate(scenario())
    assert (asked.state, asked.done, asked.paths) == ("queued", 0, PATHS)
    return client, client.await_simulation(asked.id, PATIENCE_S)


def test_what_it_comes_to(done: tuple[Client, Simulation]) -> None:
    client, found = done
    assert (found.state, found.done, found.reason) == ("done", PATHS, None)
    assert found.tokens == ["TSLA.M", "NVDA.M"]
    assert found.ended is not None
    assert found.ended > found.created
    assert found.pools is not None
    assert [pool.token for pool in found.pools] == found.tokens
    for pool in found.pools:
        figures = {each.name: each for each in pool.figures}
        worst, mean = figures["main_pnl_es95"], figures["main_pnl"]
        assert -float(worst.value) < float(mean.value)
        assert mean.error is not None
        assert 0 < float(mean.error) < 1
        assert 0 < float(figures["drawdown"].value) < 1
    statistics = client.simulation_statistics(found.id)
    assert (statistics["version"], statistics["paths"]) == (1, PATHS)
    assert set(statistics["pools"]) == set(found.tokens)
    assert list(client.simulations()) == [found]


def test_its_report_is_a_page_that_can_do_nothing(
    server: Server, done: tuple[Client, Simulation]
) -> None:
    _, found = done
    answer = server.wire("rhea", "read").send("GET", f"{PLACE}/{found.id}/report")
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.text.startswith("<!doctype html>")
    for part in ("TSLA.M", "NVDA.M"):
        assert part in answer.text
    assert "http://" not in answer.text
    assert "https://" not in answer.text


def test_what_is_done_keeps_little(server: Server, done: tuple[Client, Simulation]) -> None:
    """And is as it was after it is cancelled."""
    client, found = done
    assert not (place_of(server, found) / "run").exists()
    client.cancel_simulation(found.id)
    assert client.simulation(found.id) == found


def test_asyncio_waits_as_well(server: Server, done: tuple[Client, Simulation]) -> None:
    _, found = done
    key = server.key_of("rhea", "risk")

    async def ask() -> Simulation:
        async with AsyncClient(server.url, key.id, key.secret) as client:
            return await client.await_simulation(found.id)

    assert asyncio.run(ask()) == found


def test_of_one_path_no_errors_are_told(client: Client) -> None:
    """The file's own struct is taken too, its text in the page as text."""
    alone = ScenarioFile(name="alone", days=1, paths=1, description="<b>& that is it</b>")
    asked = client.simulate(alone)
    found = client.await_simulation(asked.id, PATIENCE_S)
    assert found.pools is not None
    known = {each.name for each in found.pools[0].figures if each.error is not None}
    assert known <= {"claim"}  # what did not happen once may happen
    page = client.simulation_report(found.id).decode()
    assert "<b>" not in page
    assert "&lt;b&gt;&amp; that is it" in page


# -- stopping, by whom ever


def test_a_simulation_that_runs_is_cancelled(server: Server, client: Client) -> None:
    asked = client.simulate(scenario(PATHS_LONG))
    until(lambda: has_begun(client, asked), PATIENCE_S)
    process = process_of(asked)
    assert process is not None
    client.cancel_simulation(asked.id)
    found = client.simulation(asked.id)
    assert (found.state, found.pools) == ("cancelled", None)
    assert 0 < found.done < PATHS_LONG
    until(lambda: not Path(f"/proc/{process}").exists())
    until(lambda: not (place_of(server, asked) / "run").exists())
    answer = Wire(server, server.key_of("someone", "risk")).send("GET", f"{PLACE}/{asked.id}")
    assert_problem(answer, 404, "NOT_FOUND")
    assert client.simulation(asked.id).state == "cancelled"


def test_a_process_that_dies_has_failed(client: Client) -> None:
    asked = client.simulate(scenario(PATHS_LONG))
    until(lambda: has_begun(client, asked), PATIENCE_S)
    running = client.simulation(asked.id)
    assert running.state == "running"
    process = process_of(asked)
    assert process is not None
    os.kill(process, signal.SIGKILL)
    found = client.await_simulation(asked.id, PATIENCE_S)
    assert found.state == "failed"
    assert found.reason is not None
    assert "SIGKILL" in found.reason
    assert "memory" in found.reason


def test_a_server_that_is_killed_goes_on_with_it(server: Server, client: Client) -> None:
    """With the parts that were there."""
    asked = client.simulate(scenario(25 * 256, pools=[{}]))
    until(lambda: has_begun(client, asked), PATIENCE_S)
    process = process_of(asked)
    server.begin_again()
    assert process is not None
    until(lambda: not Path(f"/proc/{process}").exists())
    again = client.simulation(asked.id)
    assert again.state in {"queued", "running"}
    assert again.done > 0
    folder = place_of(server, asked) / "run" / "parts"
    written = {each: each.stat().st_mtime_ns for each in folder.glob("part-*")}
    assert written
    until(lambda: client.simulation(asked.id).done >= again.done + 256, PATIENCE_S)
    assert {each: each.stat().st_mtime_ns for each in written if each.exists()}.items() <= (
        written.items()
    )
    assert client.await_simulation(asked.id, PATIENCE_S).state == "done"


# -- what is refused


def test_the_same_key_is_one_simulation(server: Server, client: Client) -> None:
    wire, key = server.wire("rosa", "risk"), fresh("study")
    first = wire.send("POST", PLACE, scenario(), key)
    assert first.status_code == 202
    assert first.headers["location"] == f"{PLACE}/{first.json()['id']}"
    wire.change("DELETE", first.headers["location"])
    assert wire.send("POST", PLACE, scenario(), key).content == first.content
    answer = wire.send("POST", PLACE, scenario(seed=2), key)
    assert_problem(answer, 409, "IDEMPOTENCY_CONFLICT")
    other = client.simulate(scenario(), idempotency_key=key)
    client.cancel_simulation(other.id)
    assert other.id != first.json()["id"]


def test_an_account_has_so_many_at_a_time(server: Server) -> None:
    wire = server.wire("rita", "risk")
    asked = [wire.change("POST", PLACE, scenario(PATHS_LONG)) for _ in range(4)]
    document = assert_problem(wire.change("POST", PLACE, scenario()), 409, "SIMULATION_LIMIT")
    assert (document["limit"], document["actual"]) == ("4", "4")
    for each in asked:
        assert wire.change("DELETE", each.headers["location"]).status_code == 204
    last = wire.change("POST", PLACE, scenario())
    assert last.status_code == 202
    wire.change("DELETE", last.headers["location"])
    listed = wire.send("GET", f"{PLACE}?limit=2").json()
    assert [each["state"] for each in listed["items"]] == ["cancelled"] * 2
    assert listed["items"][0]["id"] == last.json()["id"]
    rest = wire.send("GET", f"{PLACE}?limit=500&cursor={listed['next']}").json()
    assert [each["id"] for each in rest["items"]] == [each.json()["id"] for each in asked[2::-1]]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"paths": 0}, "paths"),
        ({"paths": "many"}, "paths"),
        ({"pools": [{"main": -1}]}, "pools[0].main"),
        ({"market": {"model": "none"}}, "market.model"),
        ({"buyers": {"calls": 2}}, "buyers.calls"),
        ({"buyers": {"take_profit": 0.9, "stop_loss": 0.9}}, "buyers"),
        ({"start": "yesterday"}, "start"),
        ({"pools": [{"stock": "../x"}]}, "pools[0].stock"),
        ({"market": {"model": "replayed", "rows": "/../../secret_1h"}}, "market.rows"),
    ],
)
def test_what_is_no_scenario_is_refused_by_field(
    server: Server, changes: dict[str, object], field: str
) -> None:
    answer = server.wire("rudi", "risk").change("POST", PLACE, scenario(**changes))
    assert assert_problem(answer, 400, "MALFORMED")["field"] == field


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"pools": [{"stock": "NONE"}]}, "SCENARIO_REFUSED", "pools"),
        ({"pools": [{"parameters": {"no_such": 1}}]}, "SCENARIO_REFUSED", "pools"),
        (
            {"market": {"model": "replayed", "folder": "/etc"}},
            "SCENARIO_REFUSED",
            "market.folder",
        ),
        ({"paths": 10_000_000, "pools": [{}]}, "SIMULATION_TOO_LARGE", None),
    ],
)
def test_what_is_not_run_here_is_refused(
    server: Server, changes: dict[str, object], code: str, field: str | None
) -> None:
    before = set((server.folder / "simulations").glob("*"))
    answer = server.wire("rudi", "risk").change("POST", PLACE, scenario(**changes))
    assert assert_problem(answer, 422, code).get("field") == field
    assert set((server.folder / "simulations").glob("*")) == before


def test_a_server_may_have_no_simulations(watched_server: Server) -> None:
    wire = watched_server.wire("rolf", "risk")
    for method, target in (("GET", PLACE), ("GET", f"{PLACE}/sim_1"), ("DELETE", f"{PLACE}/sim_1")):
        key = None if method == "GET" else fresh("key")
        assert_problem(wire.send(method, target, None, key), 404, "SIMULATIONS_OFF")
    assert_problem(wire.change("POST", PLACE, scenario()), 404, "SIMULATIONS_OFF")


def test_history_is_what_a_server_has_or_has_not(tmp_path: Path) -> None:
    study = find_scenario("default").with_settings({"market": {"model": "bootstrap"}})
    without = Desk(tmp_path / "s", Limits())
    with pytest.raises(AdmissionError) as refused:
        without.submit("ann/1", "ann", study)
    assert (refused.value.code, refused.value.more) == ("NO_HISTORY", {"field": "market.model"})
    job = Desk(tmp_path / "s", Limits(), tmp_path).submit("ann/1", "ann", study)
    assert without.find("ann", job.id) == job
    assert without.find("bob", job.id) is None


def test_there_is_so_much_room_for_all(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "s", Limits(disk_mb=20))
    study = ScenarioFile(name="large", paths=10_000)
    desk.submit("ann/1", "ann", study)
    with pytest.raises(AdmissionError) as refused:
        desk.submit("bob/1", "bob", study)
    assert refused.value.code == "SIMULATIONS_FULL"
    with pytest.raises(AdmissionError) as refused:
        desk.submit("bob/1", "bob", ScenarioFile(name="larger", paths=100_000))
    assert refused.value.code == "SIMULATION_TOO_LARGE"
