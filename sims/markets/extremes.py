"""How far a Brownian motion goes beyond the two ends of a step.

Given the ends a and b of a step of variance v, the maximum M of a Brownian bridge between them has
P(M > m) = exp(-2 (m - a) (m - b) / v) for m >= max(a, b), whatever the drift; the minimum has the
same law downwards. Both are drawn from it exactly.

Given the ends, the low is drawn independently of the high, which is not exact: a real path that
went far up had less time to go far down. And the extremes of two correlated motions are drawn
independently of each other, given both motions' ends. The mean range of a step is exact all the
same; its mean square is 2.6 % too large.
"""

import numpy as np

from sims.markets.block import Floats


def bridge_excess(
    moves: Floats, variances: Floats, random: np.random.Generator
) -> tuple[Floats, Floats]:
    """Draw how far the low lies below the lower end and the high above the upper one; both >= 0.

    Args:
        moves: End less begin of each step, in logarithms; any shape.
        variances: Of each step, in squared logarithms; broadcast to `moves`.
        random: What is drawn from.
    """
    below = _excess(moves, variances, random.standard_exponential(moves.shape))
    return below, _excess(moves, variances, random.standard_exponential(moves.shape))


def _excess(moves: Floats, variances: Floats, draws: Floats) -> Floats:
    """Solve 2 x (x + |move|) / variance = draw for x, the excess over the farther end."""
    draws *= 2.0 * variances
    draws += moves * moves
    np.sqrt(draws, out=draws)
    draws -= np.abs(moves)
    draws *= 0.5
    # Where the variance is 0 the root of the square is the move, but for rounding.
    return np.maximum(draws, 0.0, out=draws)
