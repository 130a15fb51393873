"""What a run comes to, of each pool; `statistics.json` is this under names that stay."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from sims.reports.attribution import Part, attribution
from sims.reports.figures import Figure
from sims.reports.pool_tables import PoolTables
from sims.reports.step_check import StepCheck
from sims.reports.tables import Table
from sims.reports.tornado import Tornado
from sims.runs.results import Results
from sims.statistics import effective_count

VERSION = 1
"""Of the names in `statistics.json`; a change of meaning, or a name that goes, raises it."""


class PoolSummary(NamedTuple):
    """What both pools of a token come to.

    Attributes:
        token: Its name.
        start: Tokens main began with, its seed included.
        has_insurers: Whether insurance began with more than its seed.
        tables: By name.
        parts: Of main's mean profit.
        profit: That mean, in tokens.
    """

    token: str
    start: float
    has_insurers: bool
    tables: dict[str, Table]
    parts: tuple[Part, ...]
    profit: Figure


class Summary(NamedTuple):
    """What a run comes to.

    Attributes:
        run: What tells it from others: scenario, seed, digest, version, and how far it came.
        paths: How many were run.
        wanted: How many the scenario asks for.
        effective: As how many paths of equal weight they tell.
        pools: In the scenario's order.
        step: What shorter steps would change; none where that was not measured.
    """

    run: dict[str, Any]
    paths: int
    wanted: int
    effective: float
    pools: tuple[PoolSummary, ...]
    step: StepCheck | None

    @property
    def is_weighted(self) -> bool:
        """Whether some paths count for more than others."""
        return self.effective < self.paths * (1.0 - 1e-9)


def _pool(results: Results, pool: int) -> PoolSummary:
    tables = PoolTables(results, pool)
    parts, profit = attribution(tables.total, tables.start, tables.weights)
    found = {each.name: each for each in tables.all()}
    has_insurers = results.file.pools[pool].insurance > 0.0
    return PoolSummary(results.tokens[pool], tables.start, has_insurers, found, parts, profit)


def summarise(results: Results, version: str, step: StepCheck | None = None) -> Summary:
    """Return what a run comes to.

    Args:
        results: Of the run.
        version: Of the program that ran it.
        step: What shorter steps would change.
    """
    file = results.file
    run = {
        "scenario": file.name,
        "description": " ".join(file.description.split()),
        "digest": file.digest(),
        "seed": file.seed,
        "days": file.days,
        "step_minutes": file.step_minutes,
        "market": type(file.market).__struct_config__.tag,
        "evergamma": version,
    }
    return Summary(
        run,
        results.paths,
        file.paths,
        effective_count(results.weights),
        tuple(_pool(results, pool) for pool in range(len(file.pools))),
        step,
    )


def to_json(summary: Summary, tornados: Sequence[Tornado] = ()) -> str:
    """Return the figures with their errors and units; an error that is not known is null."""
    content = {
        "version": VERSION,
        "run": summary.run,
        "paths": summary.paths,
        "paths_wanted": summary.wanted,
        "paths_effective": summary.effective,
        "pools": {each.token: _plain(each) for each in summary.pools},
        "step_check": None if summary.step is None else summary.step.plain(),
        "tornados": [each.plain() for each in tornados],
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def _plain(pool: PoolSummary) -> dict[str, Any]:
    profit = {part.name: part.amount._asdict() for part in pool.parts}
    return {"start": pool.start, "profit": profit | {"sum": pool.profit._asdict()}} | {
        name: table.plain() for name, table in pool.tables.items()
    }
