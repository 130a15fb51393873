"""What weights save: plain paths that tell as much as a chosen or tilted one, by figure of a pool.

    python -m tests.benchmarks.tails --paths 2048 --market chosen

Not part of `make bench`: it takes minutes. `docs/market-model.md` has what it found.
"""

import argparse
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from sims.drawdown.blocks import block_count, run_block
from sims.drawdown.outcome import total
from sims.drawdown.scenario import Scenario
from sims.markets.block import Floats, MarketModel
from sims.markets.chosen import Chosen
from sims.markets.regimes import Regimes
from sims.markets.tilt import Tilt
from sims.statistics import (
    Estimate,
    effective_count,
    probability,
    variance_ratio,
    weighted_mean,
    weighted_tail_mean,
)

TILT = Tilt(share=0.5, days=4, push=2.0, rising=0.8)
"""For a pool that sold more calls than puts: it loses where the index runs up within days."""
MARKETS: dict[str, MarketModel] = {
    "chosen": Chosen(Regimes()),
    "tilted": Regimes(tilt=TILT),
}
DRAWS = 200


class Outcomes(NamedTuple):
    """Figures of the paths of one pool, shape (paths,) each."""

    weights: Floats
    drawdown: Floats
    claims: Floats
    pnl: Floats


Figure = Callable[[Outcomes], Estimate]
FIGURES: dict[str, Figure] = {
    "P(drawdown > 5 %)": lambda seen: probability(seen.drawdown > 0.05, seen.weights),
    "P(drawdown > 7.5 %)": lambda seen: probability(seen.drawdown > 0.075, seen.weights),
    "P(drawdown > 10 %)": lambda seen: probability(seen.drawdown > 0.10, seen.weights),
    "P(insurance claim)": lambda seen: probability(seen.claims > 0.0, seen.weights),
    "ES 1 % of profit": lambda seen: weighted_tail_mean(seen.pnl, 0.01, seen.weights),
    "ES 5 % of profit": lambda seen: weighted_tail_mean(seen.pnl, 0.05, seen.weights),
    "mean profit": lambda seen: weighted_mean(seen.pnl, seen.weights),
    "mean drawdown": lambda seen: weighted_mean(seen.drawdown, seen.weights),
}


def run(market: MarketModel, paths: int, seed: int) -> Outcomes:
    """Run the default pool for 30 days of hours."""
    scenario = Scenario("tails", market, paths=paths, seed=seed)
    blocks = [run_block(scenario, number) for number in range(block_count(scenario))]
    names = ("drawdown", "claims", "main_pnl")
    figures = [np.concatenate([total(each, name)[0] for each in blocks]) for name in names]
    return Outcomes(np.concatenate([each.weights for each in blocks]), *figures)


def factor(plain: Outcomes, better: Outcomes, figure: Figure) -> float:
    """Return how many plain paths tell as much as one of the others."""
    ratio = variance_ratio(figure(plain), figure(better))
    return ratio * plain.weights.size / better.weights.size


def factor_error(plain: Outcomes, better: Outcomes, figure: Figure) -> float:
    """Return the standard error of the logarithm of a factor: paths are drawn again."""
    random = np.random.default_rng(1)

    def again(seen: Outcomes) -> Outcomes:
        rows = random.integers(seen.weights.size, size=seen.weights.size)
        return Outcomes._make(each[rows] for each in seen)

    found = [factor(again(plain), again(better), figure) for _ in range(DRAWS)]
    return float(np.log(found).std(ddof=1))


def lines(plain: Outcomes, better: Outcomes) -> Iterator[str]:
    """Yield the table."""
    share = effective_count(better.weights) / better.weights.size
    yield f"weights worth {share:.0%} equal ones, at most {better.weights.max():.1f}"
    yield "| figure | plain | weighted | factor |"
    yield "| --- | ---: | ---: | ---: |"
    for name, figure in FIGURES.items():
        one, other = figure(plain), figure(better)
        ratio, error = factor(plain, better, figure), factor_error(plain, better, figure)
        cells = (f"{each.value:.5f} ± {each.error:.5f}" for each in (one, other))
        yield f"| {name} | {' | '.join(cells)} | {ratio:.2f}, times or over {np.exp(error):.2f} |"


def main() -> None:
    """Measure and print."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--paths", type=int, default=4_096)
    reader.add_argument("--seed", type=int, default=1)
    reader.add_argument("--market", choices=tuple(MARKETS), default="chosen")
    given = reader.parse_args()
    better = run(MARKETS[given.market], given.paths, given.seed + 1)
    for line in lines(run(Regimes(), given.paths, given.seed), better):
        print(line)  # noqa: T201


if __name__ == "__main__":
    main()
