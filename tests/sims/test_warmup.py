"""The estimator before a study begins."""

import numpy as np

from amm.oracle import START_VOL, OracleRules
from sims.markets.simulated import simulate_path
from sims.markets.warmup import warmed_oracle

START_MS = 1_760_011_200_000


def test_history_before_the_start_sets_the_averages() -> None:
    """Forty days at a vol of 30 %: the one-day average has forgotten the prior, 45 days not yet."""
    path = simulate_path(("BTC",), START_MS, 40, (100_000.0,), (0.3,), 0.0, 1)
    oracle = warmed_oracle(path._replace(start=len(path.times_ms)), 0, OracleRules())
    vols = [
        np.sqrt(each / 1e12)
        for each in (oracle.variance_1d_e12, oracle.variance_10d_e12, oracle.variance_45d_e12)
    ]
    assert abs(vols[0] - 0.3) < 4 * 0.3 / np.sqrt(2 * 288)
    assert vols[0] < vols[2] < START_VOL
    assert abs(vols[1] - 0.3) < 0.03


def test_without_history_the_prior_stands() -> None:
    """A path that starts at its first row tells nothing."""
    path = simulate_path(("BTC",), START_MS, 1, (100_000.0,), (0.3,), 0.0, 1)
    oracle = warmed_oracle(path._replace(start=0), 0, OracleRules())
    assert oracle.variance_1d_e12 == round(START_VOL**2 * 1e12)
    assert oracle.index_e8 == 0
