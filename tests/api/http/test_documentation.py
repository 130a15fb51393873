"""What `docs/api.md` says is so: its programs run, its tables are the server's."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.api.http.harness import Server, balance_of
from tests.api.http.test_privileges import ROLES, WHO

TEXT = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")


def program(language: str) -> str:
    """Return the page's program in a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    return str(found)


def table(*columns: str) -> list[list[str]]:
    """Return the rows of the page's table with these columns."""
    head = "| " + " | ".join(columns) + " |\n"
    (_, after) = TEXT.split(head)
    rows = after.split("\n\n")[0].splitlines()[1:]
    return [[cell.strip().strip("`") for cell in row.strip("|").split("|")] for row in rows]


@pytest.mark.parametrize("language", ["python", "bash"])
def test_a_program_that_signs_does_what_it_says(
    server: Server, example: str, language: str
) -> None:
    """Both are as they stand on the page; each withdraws a quarter of a token."""
    account = f"reader-{language}"
    server.credit(account, example, "1")
    key = server.key_of(account, "trade")
    environment = {
        **os.environ,
        "EG_URL": server.url,
        "EG_KEY": key.id,
        "EG_SECRET": key.secret or "",
    }
    command = {"python": [sys.executable, "-c"], "bash": ["bash", "-ec"]}[language]
    done = subprocess.run(  # noqa: S603
        [*command, program(language)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert f'"account":"{account}"' in done.stdout
    assert '"status":"pending"' in done.stdout
    client = server.client(account)
    assert balance_of(client.account(), example)["balance"] == "0.75"
    assert [each.amount for each in client.withdrawals()] == ["0.25"]


def test_the_table_of_problems_is_the_server_s(server: Server) -> None:
    listed = [[each.code, str(each.status), each.title] for each in server.operator.problems()]
    assert table("code", "status", "meaning") == listed


def test_the_table_of_resources_is_the_server_s(server: Server) -> None:
    rows = table("resource", "roles", "weight", "what")
    weights = server.operator.limits().weights
    for route, roles, weight, what in rows:
        needed = WHO[route]
        names = {"all": set(ROLES), "\u2013": set()}.get(roles, set(roles.split(", ")))
        assert names == set(needed), route
        expected = 0 if not route.partition(" ")[2].startswith("/v1/") else weights.get(route, 1)
        assert int(weight) == expected, route
        assert what
    assert len(rows) == len(WHO)
    assert {row[0] for row in rows} == set(WHO)


def test_the_limits_it_names_are_the_usual_ones(waiting_server: Server) -> None:
    limits = waiting_server.http.get(f"{waiting_server.url}/v1/limits").json()
    said = re.search(r"a bucket of (\d+) that is refilled at (\d+) a\s+second", TEXT)
    assert said is not None
    assert (limits["capacity"], limits["per_second"]) == tuple(map(int, said.groups()))
