"""What stresses came to, to be shown: cells of a table, figures as JSON, the page of docs/."""

import math
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from sims.chapters.page import table, with_blocks
from sims.runs.parts import write_whole
from sims.statistics import Estimate
from sims.stress.library import Stressed
from sims.stress.verdicts import Verdict

HEAD = ("stress", "market", "claim", "figure", "limit", "verdict")


class Row(NamedTuple):
    """The cells of one verdict, in the order of `HEAD`."""

    stress: str
    market: str
    claim: str
    figure: str
    limit: str
    verdict: str


def market_of(stressed: Stressed) -> str:
    """Return which model drew the paths: the tag of the file's market."""
    return str(msgspec.to_builtins(stressed.file.market)["model"])


def figure_text(figure: Estimate) -> str:
    """Return a figure with its standard error, where there is one."""
    value = f"{figure.value:.4g}"
    return value if math.isnan(figure.error) else f"{value} ± {figure.error:.2g}"


def rows_of(stressed: Stressed) -> list[Row]:
    """Return a row for each verdict; the pool is named where there are more than one."""
    has_pools = len(stressed.file.pools) > 1
    return [
        Row(
            stressed.file.name,
            market_of(stressed),
            f"{verdict.token}: {verdict.claim.says}" if has_pools else verdict.claim.says,
            f"{_what(verdict)} {figure_text(verdict.figure)}",
            verdict.claim.limit,
            "holds" if verdict.holds else "FAILS",
        )
        for verdict in stressed.verdicts
    ]


def _what(verdict: Verdict) -> str:
    """Return which figure a verdict is about, such as `worst_week, least`."""
    claim = verdict.claim
    share = "" if claim.share is None else f" {claim.share:g}"
    days = "" if claim.days is None else f", day {claim.days[0]} to {claim.days[1]}"
    return f"{claim.figure}, {claim.statistic}{share}{days}:"


def to_json(every: Sequence[Stressed]) -> bytes:
    """Return all figures; an unknown standard error is null."""
    content = {
        "version": version("evergamma"),
        "holds": all(stressed.holds for stressed in every),
        "stresses": [_content(stressed) for stressed in every],
    }
    return msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"


def _content(stressed: Stressed) -> dict[str, Any]:
    return {
        "name": stressed.file.name,
        "market": market_of(stressed),
        "paths": stressed.paths,
        "seed": stressed.file.seed,
        "digest": stressed.file.digest(),
        "holds": stressed.holds,
        "claims": [
            msgspec.to_builtins(verdict.claim)
            | {
                "pool": verdict.token,
                "value": verdict.figure.value,
                "error": verdict.figure.error,
                "holds": verdict.holds,
            }
            for verdict in stressed.verdicts
        ],
    }


def with_figures(page: str, every: Sequence[Stressed]) -> str:
    """Return the page of the library with its figures written anew.

    Raises:
        KeyError: For a page without a place for them.
    """
    asked = [(each.file.name, " ".join(each.file.description.split())) for each in every]
    rows = [row for each in every for row in rows_of(each)]
    return with_blocks(
        page,
        {
            "stresses": lambda: _words(("stress", "what it asks"), asked),
            "claims": lambda: _words(HEAD, rows),
        },
    )


def _words(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown, all to the left."""
    lines = table(head, rows).splitlines()
    lines[1] = f"| {' | '.join('---' for _ in head)} |"
    return "\n".join(lines) + "\n"


def write_json(path: Path, every: Sequence[Stressed]) -> None:
    """Write all figures, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, to_json(every))
