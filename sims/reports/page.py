"""The report as one page of HTML: no script, and nothing that is not in it."""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sims.markets.table import iso_minute
from sims.reports.replays import Moment, Replay
from sims.reports.step_check import StepCheck
from sims.reports.summary import Summary
from sims.reports.tables import SHARE, Table, shown
from sims.reports.verdict import cautions

TEMPLATE = "report.html.jinja"
COLUMNS_BESIDE = 4
"""With more columns errors stand below their figures, so that a page is wide enough."""


class Picture(NamedTuple):
    """A chart: its name as a file, what it shows, and the PNG."""

    name: str
    caption: str
    png: bytes

    @property
    def alt(self) -> str:
        """What stands for it where it is not seen."""
        return self.caption.partition(".")[0]

    @property
    def base64(self) -> str:
        """The PNG as text."""
        return base64.b64encode(self.png).decode()


class ReplayPart(NamedTuple):
    """A path run again, and its chart."""

    replay: Replay
    picture: Picture


class PoolPart(NamedTuple):
    """What the page has of one pool beside its tables."""

    verdict: list[str]
    pictures: list[Picture]
    replays: list[ReplayPart]

    def all_pictures(self) -> list[Picture]:
        """Return every chart of the pool."""
        return [*self.pictures, *(each.picture for each in self.replays)]


def paths_told(summary: Summary) -> str:
    """Return how many paths were run, and what they are worth, in words."""
    told = f"{summary.paths:,} paths"
    if summary.paths < summary.wanted:
        told = f"partial: {summary.paths:,} of {summary.wanted:,} paths"
    if summary.is_weighted:
        told += f", weighted: as good as {summary.effective:,.0f}"
    return told


def render(summary: Summary, parts: Sequence[PoolPart], tornados: Sequence[Picture]) -> str:
    """Return the page.

    Args:
        summary: Figures of all pools.
        parts: Of each pool.
        tornados: Pictures of what moves a figure.
    """
    import jinja2  # noqa: PLC0415 - slow to load

    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    page = jinja2.Environment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pools = [
        {
            "token": pool.token,
            "verdict": part.verdict,
            "pictures": part.pictures,
            "tables": [_grid(pool.token, each) for each in pool.tables.values()],
            "replays": [_replay(each) for each in part.replays],
        }
        for pool, part in zip(summary.pools, parts, strict=True)
    ]
    return page.get_template(TEMPLATE).render(
        run=summary.run,
        paths=paths_told(summary),
        cautions=cautions(summary),
        pools=pools,
        tornados=tornados,
        step=None if summary.step is None else step_grid(summary.step, summary),
    )


def _grid(token: str, table: Table) -> dict[str, Any]:
    return {
        "id": f"{token}-{table.name}",
        "title": table.title,
        "note": table.note,
        "heads": [each.head for each in table.columns.values()],
        "lines": table.lines(),
        "is_wide": len(table.columns) > COLUMNS_BESIDE,
    }


def step_grid(step: StepCheck, summary: Summary) -> dict[str, Any]:
    """Return the table of what shorter steps change."""
    labels = {"drawdown": "largest drawdown, mean", "main_pnl": "main LPs' profit, mean"}
    coarse = summary.run["step_minutes"]
    return {
        "id": "step-check",
        "title": "Discretisation error",
        "note": f"{step.paths:,} other paths of the same market with steps of {step.minutes} "
        "minutes; the error of the change is that of two independent means.",
        "is_wide": False,
        "heads": [f"{coarse} minutes", f"{step.minutes} minutes", "change"],
        "lines": [
            [f"{each.token}: {labels[each.name]}"]
            + [shown(figure, SHARE) for figure in (each.coarse, each.fine, each.change)]
            for each in step.means
        ],
    }


def _replay(part: ReplayPart) -> dict[str, Any]:
    replay = part.replay
    title = f"Path {replay.number}: largest drawdown {100.0 * replay.drawdown:.2f} %"
    if abs(replay.weight - 1.0) > 1e-9:
        title += f", weight {replay.weight:.3g} of the mean"
    return {
        "title": title,
        "picture": part.picture,
        "moments": [_moment(replay, each) for each in replay.moments],
    }


def _moment(replay: Replay, moment: Moment) -> list[str]:
    trace, row = replay.trace, moment.row
    changes = (trace.prices[row, 0] / trace.prices[0, 0] - 1.0, trace.share_price[row] - 1.0)
    levels = (trace.utilisation[row], trace.insurance[row])
    return [
        iso_minute(int(trace.times_ms[row])),
        moment.what,
        *(f"{100.0 * each:+.2f} %" for each in changes),
        *(f"{100.0 * each:.1f} %" for each in levels),
    ]
