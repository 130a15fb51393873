"""What tells whether two places run the same: the code of the rules, and the market they draw."""

import hashlib

from amm.kernel import HOUSE, digest_of
from sims.drawdown.blocks import draw_market
from sims.drawdown.scenario import Scenario


def code_digest() -> str:
    """Return what the rules, the engine and the market models are told by: their sources."""
    return digest_of(HOUSE)


def market_digest(scenario: Scenario) -> str:
    """Return what the first block's market is told by: history may differ where files do not.

    Raises:
        HistoryError: For a market that cannot be drawn; so do `SurfaceError` and `ValueError`.
    """
    block = draw_market(scenario, 0)
    digest = hashlib.sha256()
    for part in (block.prices, block.lows, block.highs, block.levels, block.stocks, block.weights):
        digest.update(part.tobytes())
    return digest.hexdigest()
