"""What a sweep is told by: sentences, tables and a picture for people, JSON for programs."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2

from sims.runs.parts import write_whole
from sims.scenarios.file import ScenarioFile
from sims.statistics import Estimate
from sims.sweeps.figures import FIGURES

VERSION = 1
"""Of the JSON: names in it stay as they are while it does."""
_TEMPLATE = Path(__file__).with_name("page.html.jinja")


class Table(NamedTuple):
    """Cells as they are shown, the first of each row to the left."""

    title: str
    head: list[str]
    rows: list[list[str]]


class Report(NamedTuple):
    """What is written and shown.

    Attributes:
        name: Of its files.
        title: Of the page.
        sentences: What was done and found.
        tables: The first is what a terminal shows.
        picture: PNG.
        content: For programs.
    """

    name: str
    title: str
    sentences: list[str]
    tables: list[Table]
    picture: bytes
    content: dict[str, Any]


def write_report(report: Report, folder: Path) -> list[Path]:
    """Write page, picture and figures; returns where they are."""
    page = jinja2.Environment(autoescape=True, trim_blocks=True).from_string(
        _TEMPLATE.read_text("utf-8")
    )
    picture = base64.b64encode(report.picture).decode()
    files = {
        ".html": page.render(report=report, picture=picture).encode(),
        ".png": report.picture,
        ".json": json.dumps({"version": VERSION, **report.content}, indent=1).encode() + b"\n",
    }
    for ending, content in files.items():
        write_whole(folder / f"{report.name}{ending}", content)
    return [folder / f"{report.name}{ending}" for ending in files]


def about(base: ScenarioFile, pool: int) -> str:
    """Return what was run, and what its errors are."""
    token = base.pools[pool].token
    return (
        f"Scenario {base.name}, {token}: {base.paths:,} paths of {base.days} days, "
        f"seed {base.seed}, the same at every point. ± is one standard error; that of a "
        "difference is of the differences path by path. P&L is of the whole horizon, over what "
        "LPs brought."
    )


def origin(base: ScenarioFile, pool: int) -> dict[str, Any]:
    """Return what figures in JSON are of."""
    return {
        "scenario": base.name,
        "digest": base.digest(),
        "token": base.pools[pool].token,
        "paths": base.paths,
        "days": base.days,
        "seed": base.seed,
    }


def plain(found: Estimate) -> dict[str, float]:
    """Return an estimate as JSON has it."""
    return found._asdict()


def heads(names: Sequence[str]) -> list[str]:
    """Return what columns of figures are headed with."""
    return [f"{FIGURES[name].short}, %" for name in names]


def legend(names: Sequence[str]) -> str:
    """Return what the heads stand for."""
    parts = (f"{FIGURES[name].short}: {FIGURES[name].title}" for name in names)
    return "; ".join(parts) + "."
