"""What a risk manager reads first: a few plain sentences, each with its figure's error."""

import numpy as np

from sims.reports.figures import Figure
from sims.reports.summary import PoolSummary, Summary
from sims.reports.tables import SHARE, shown
from sims.runs.results import Results

EFFECTIVE_MIN = 200.0
"""With fewer effective paths tails are hardly known."""


def share(figure: Figure) -> str:
    """Return a part of 1 as it is read in a sentence."""
    return shown(figure, SHARE)


def verdict(results: Results, summary: Summary, pool: int) -> list[str]:
    """Return what can be said of one pool."""
    found, days = summary.pools[pool], results.file.days
    return [
        _expected(found, days),
        _tail(found, days),
        _drawdowns(results, found, pool),
        _insurance(found),
        _trouble(found),
    ]


def cautions(summary: Summary) -> list[str]:
    """Return what speaks against trusting the figures."""
    told = []
    if summary.paths < summary.wanted:
        told.append(
            f"Partial: {summary.paths:,} of {summary.wanted:,} paths were run. Figures are of "
            "those; their errors are larger than those of the whole run would be."
        )
    if summary.paths == 1:
        told.append("One path has no scatter: no figure has an error.")
    if summary.is_weighted:
        told.append(
            f"Paths are weighted (importance sampling): they tell as much as "
            f"{summary.effective:,.0f} of equal weight."
        )
    if summary.effective < EFFECTIVE_MIN:
        told.append(
            f"With fewer than {EFFECTIVE_MIN:.0f} (effective) paths the tails are hardly known."
        )
    if summary.run["market"] == "bootstrap":
        told.append(
            "Paths are blocks of one recorded history: errors are those of drawing from it, and "
            "say nothing of other histories."
        )
    if summary.run["market"] in {"replayed", "scripted"}:
        told.append(
            "Prices are given, not drawn: errors are those of chance in the flow of traders and "
            "LPs, and say nothing of other markets. Where replays begin on many days (every_days) "
            "they overlap, and errors are too small."
        )
    return told


def _expected(found: PoolSummary, days: int) -> str:
    table = found.tables["distribution"]
    main, insurance = table.figure("main_apr", "mean"), table.figure("insurance_apr", "mean")
    together = table.figure("main_pnl", "mean")
    insurers = f"insurers {share(insurance)}{_doubt(insurance)}"
    return (
        f"Who holds a main share all the time can expect {share(main)} a year{_doubt(main)}, "
        f"{insurers if found.has_insurers else 'and there are no insurers'}. All main LPs "
        f"together, who come and go, make {share(together)} of what they began with in {days} days"
        f"{_doubt(together)}."
    )


def _doubt(figure: Figure) -> str:
    if figure.error is None or abs(figure.value) >= 2.0 * figure.error:
        return ""
    return " (not told apart from 0)"


def _tail(found: PoolSummary, days: int) -> str:
    table = found.tables["tails"]
    loss, mean = table.figure("share_price", "var95"), table.figure("share_price", "es95")
    return (
        f"In 1 of 20 periods of {days} days the main share {_moved(loss)} or worse; "
        f"in the mean of those it {_moved(mean)}."
    )


def _moved(loss: Figure) -> str:
    return f"loses {share(loss)}" if loss.value > 0.0 else f"gains {share(loss.times(-1.0))}"


def _drawdowns(results: Results, found: PoolSummary, pool: int) -> str:
    table = found.tables["distribution"]
    drawdown = results.total("drawdown", pool)
    worst = int(np.argmax(drawdown))
    return (
        f"The largest drawdown of a path is {share(table.figure('drawdown', 'mean'))} in the mean "
        f"and exceeds {share(table.figure('drawdown', 'q95'))} in 1 of 20; the worst of "
        f"{drawdown.size:,} paths fell by {100.0 * drawdown[worst]:.2f} % "
        f"(path {results.numbers[worst]})."
    )


def _of_paths(found: PoolSummary, event: str) -> str:
    figure = found.tables["events"].figure(event, "paths")
    if figure.value in {0.0, 1.0}:
        return "every path" if figure.value else "no path"
    return f"{share(figure)} of paths"


def _insurance(found: PoolSummary) -> str:
    return (
        f"Insurance pays a claim in {_of_paths(found, 'claim')} and is below its reserve at some "
        f"flush in {_of_paths(found, 'below_reserve')}."
    )


def _trouble(found: PoolSummary) -> str:
    refused = found.tables["traders"].figure("refused_part", "mean")
    return (
        f"The pool is in another state than NORMAL at some flush in "
        f"{_of_paths(found, 'not_normal')}, redemptions from main wait in "
        f"{_of_paths(found, 'queued')}, and {share(refused)} of the volume asked for is refused."
    )
