"""`docs/vault-properties.md` has every property of the suites once, with tests that exist."""

import ast
import re
from functools import cache
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import pytest

TESTS = Path(__file__).resolve().parents[1]
PAGE = (TESTS.parent / "docs" / "vault-properties.md").read_text(encoding="utf-8")
SUITES = {"A": 26, "T": 39, "C": 19, "R": 7, "M": 11, "U": 3, "D": 5}
"""How many properties the suites have; T38 and T39 are those without a number."""
REFERENCE = re.compile(r"`([\w/]+\.py)::(test_\w+)`")


class Row(NamedTuple):
    """A line of a table of properties."""

    number: str
    wording: str
    verdict: str
    tests: str


ROWS = [
    Row(*(cell.strip() for cell in line.strip("|").split("|")))
    for line in PAGE.splitlines()
    if re.match(r"\| [A-Z]\d+ \|", line)
]


@cache
def functions(path: str) -> frozenset[str]:
    """Return the names of the tests in a file below `tests/`."""
    tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
    defined = (each.name for each in tree.body if isinstance(each, ast.FunctionDef))
    return frozenset(name for name in defined if name.startswith("test_"))


def test_every_property_is_there_once() -> None:
    """In the order of the suites."""
    wanted = [f"{suite}{number}" for suite in SUITES for number in range(1, SUITES[suite] + 1)]
    assert [row.number for row in ROWS] == wanted


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.number)
def test_what_applies_is_tested_by_tests_that_exist(row: Row) -> None:
    """And what does not, says why."""
    named = REFERENCE.findall(row.tests)
    assert len(named) == row.tests.count("`") // 2
    assert all(name in functions(path) for path, name in named)
    assert len(set(named)) == len(named)
    assert row.wording
    if row.verdict.startswith("does not apply: "):
        assert len(row.verdict) > len("does not apply: ")
        assert named or row.tests == "none"
    else:
        assert row.verdict.startswith("applies")
        assert named


def test_every_property_test_is_on_the_page() -> None:
    """None is written that no property asks for; this file is about the page itself."""
    named = set(REFERENCE.findall(PAGE))
    files = sorted((TESTS / "properties").glob("test_*.py"))
    paths = [str(each.relative_to(TESTS)) for each in files if each.name != "test_page.py"]
    written = chain.from_iterable(((path, name) for name in functions(path)) for path in paths)
    assert {each for each in written if each not in named} == set()
