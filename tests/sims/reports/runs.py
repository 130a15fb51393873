"""Results of runs whose outcomes are made up, so that what they come to is known."""

import numpy as np
import numpy.typing as npt

from sims.drawdown.outcome import DAILY, TOTALS, BlockOutcome
from sims.runs.parts import table_of
from sims.runs.results import Results, results_of
from sims.scenarios.file import ScenarioFile
from sims.scenarios.reading import find_scenario

Floats = npt.NDArray[np.float64]


def file_of(**settings: object) -> ScenarioFile:
    """Return the default scenario with some fields changed."""
    return find_scenario("default").with_settings(settings)


def results(
    file: ScenarioFile,
    totals: dict[str, Floats],
    prices: Floats,
    weights: Floats | None = None,
) -> Results:
    """Return results with some totals and the daily share prices given; all else is 0.

    Args:
        file: The scenario; all its pools come to the same.
        totals: By name, shape (paths,).
        prices: Shape (paths, days + 1).
        weights: Shape (paths,); 1 each where there are none.
    """
    pools, paths = len(file.pools), len(prices)
    found = np.zeros((pools, paths, len(TOTALS)))
    for name, values in totals.items():
        found[:, :, TOTALS.index(name)] = values
    daily = np.zeros((pools, paths, file.days + 1, len(DAILY)), dtype=np.float32)
    daily[..., DAILY.index("share_price")] = prices
    outcome = BlockOutcome(0, np.ones(paths) if weights is None else weights, found, daily)
    return results_of(file, [table_of(outcome, tuple(pool.token for pool in file.pools), 0)])


def drawn(file: ScenarioFile, paths: int, weights: Floats | None = None) -> Results:
    """Return results of random walks of the share price, some with claims and trouble."""
    random = np.random.default_rng(5)
    moves = 0.01 * random.standard_normal((paths, file.days + 1))
    moves[:, 0] = 0.0
    prices = np.exp(np.cumsum(moves, axis=1))
    peaks = np.maximum.accumulate(prices, axis=1)
    amounts = dict(
        zip(
            ("premium", "rent", "spread", "claims", "repaid"),
            random.random((5, paths)),
            strict=True,
        )
    )
    totals = amounts | {
        "share_price": prices[:, -1],
        "main_pnl": prices[:, -1] - 1.0,
        "insurance_pnl": 0.02 * random.standard_normal(paths),
        "drawdown": (1.0 - prices / peaks).max(axis=1),
        "under_water": (prices < peaks).mean(axis=1),
        "worst_week": (prices[:, 7:] / prices[:, :-7] - 1.0).min(axis=1),
        "stressed": np.where(random.random(paths) < 0.1, 0.25, 0.0),
        "opened": 100.0 * random.random(paths),
        "refused": random.random(paths),
    }  # fmt: skip
    return results(file, totals, prices, weights)
