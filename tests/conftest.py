"""Hypothesis profiles and the folder of real market data."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]

# A kernel's first call compiles it, so no profile has a deadline.
# `quick` always tries the same examples: a change is judged by itself. `deep` looks for new ones.
settings.register_profile(
    "quick", deadline=None, derandomize=True, max_examples=30, suppress_health_check=_SLOW
)
settings.register_profile("deep", deadline=None, max_examples=5_000, suppress_health_check=_SLOW)
settings.register_profile(
    "interpreted", deadline=None, derandomize=True, max_examples=8, suppress_health_check=_SLOW
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture(scope="session")
def market_data() -> Path:
    """The folder of real market data; tests that need it are skipped where there is none."""
    folder = Path(os.environ.get("EVERGAMMA_DATA", "../shared/data"))
    if not folder.is_dir():
        pytest.skip("no market data: set EVERGAMMA_DATA")
    return folder
