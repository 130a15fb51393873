"""Regular readings of pools and series, for histories and pictures."""

POOLS_EVERY_MS = 10 * 60_000
SERIES_EVERY_MS = 60_000
