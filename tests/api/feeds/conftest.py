"""Sources whose kernels are compiled: a price would be too old by the time they are."""

import pytest

from api.feeds.deribit import DeribitSource
from api.feeds.median import MedianFeed


@pytest.fixture(scope="session", autouse=True)
def compiled() -> MedianFeed:
    """A feed that nobody listens to."""
    return MedianFeed([DeribitSource()])
