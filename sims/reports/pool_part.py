"""What a report shows of one pool beside its tables: sentences, charts, the worst paths."""

import numpy as np

from sims.reports.page import Picture, PoolPart, ReplayPart
from sims.reports.replays import Replay, Traces, middle_path, replay, worst_paths
from sims.reports.summary import Summary
from sims.reports.verdict import verdict
from sims.runs.results import Results


def pool_part(
    results: Results, summary: Summary, pool: int, worst: int, traces: Traces | None
) -> PoolPart:
    """Draw the charts of a pool, and run its worst paths again.

    Args:
        results: Of the run.
        summary: Of the results.
        pool: Which one.
        worst: How many paths are run again.
        traces: What runs them; none: no single path is shown.
    """
    replays: list[Replay] = []
    losses: list[Picture] = []
    if traces is not None:
        rows = worst_paths(results, pool, worst)
        replays = [replay(results, pool, row, traces) for row in rows]
        middle = replay(results, pool, middle_path(results, pool), traces)
        losses = [_losses(summary, pool, middle)]
    pictures = [
        _fan(results, pool, replays), _drawdowns(results, pool), _waterfall(summary, pool), *losses,
    ]  # fmt: skip
    parts = [_replay_part(summary, pool, place, each) for place, each in enumerate(replays, 1)]
    return PoolPart(verdict(results, summary, pool), pictures, parts)


def _fan(results: Results, pool: int, replays: list[Replay]) -> Picture:
    from sims.reports.charts import WORST_SHOWN, draw_fan  # noqa: PLC0415 - slow to load

    prices = results.daily("share_price", pool).astype(np.float64)
    caption = (
        f"Share price of main by day. Bands hold so many of {len(prices):,} paths at the end of "
        "each day; no path need stay in one."
    )
    if replays:
        caption += " Red: paths with the deepest drawdowns, step by step."
    weights = results.weights[: len(prices)]
    png = draw_fan(prices, weights, replays[:WORST_SHOWN])
    return Picture(f"{results.tokens[pool]}-share-price", caption, png)


def _drawdowns(results: Results, pool: int) -> Picture:
    from sims.reports.charts import draw_drawdowns  # noqa: PLC0415 - slow to load

    caption = (
        "Largest drawdown of each path. Left: how many paths have one so deep; right: how many "
        "have a deeper one."
    )
    png = draw_drawdowns(results.total("drawdown", pool), results.weights)
    return Picture(f"{results.tokens[pool]}-drawdown", caption, png)


def _waterfall(summary: Summary, pool: int) -> Picture:
    from sims.reports.bars import draw_waterfall  # noqa: PLC0415 - slow to load

    found = summary.pools[pool]
    caption = (
        "What main's mean profit is made of. Options: what they were worth when bought, less what "
        "was paid for them when sold or at the cap, less what open ones are worth at the end, less "
        "impact that may still have to be refunded then. Whiskers are one standard error of each "
        "bar."
    )
    png = draw_waterfall(found.parts, found.profit, found.start)
    return Picture(f"{found.token}-profit", caption, png)


def _losses(summary: Summary, pool: int, middle: Replay) -> Picture:
    from sims.reports.charts import draw_losses  # noqa: PLC0415 - slow to load

    trace, found = middle.trace, summary.pools[pool]
    row = trace.losses_step
    caption = (
        "Loss of main by a sudden move, % of its start. The book is that of path "
        f"{middle.number}, whose drawdown is the median, at the moment it was largest: "
        f"{100.0 * trace.utilisation[row]:.1f} % used, {trace.open_series[row]} series open. "
        "Negative numbers are gains."
    )
    return Picture(f"{found.token}-losses", caption, draw_losses(trace, found.start))


def _replay_part(summary: Summary, pool: int, place: int, found: Replay) -> ReplayPart:
    from sims.reports.replay_chart import draw_replay  # noqa: PLC0415 - slow to load

    caption = f"Path {found.number} step by step. Triangles: largest losses of main in a step."
    name = f"{summary.pools[pool].token}-worst-{place}"
    return ReplayPart(found, Picture(name, caption, draw_replay(found)))
