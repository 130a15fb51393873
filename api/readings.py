"""Regular readings of pools and series, for histories and pictures."""

from api.exchange import Exchange
from vaults.capacity import backing
from vaults.nav import net_asset_value

POOLS_EVERY_MS = 10 * 60_000
SERIES_EVERY_MS = 60_000
