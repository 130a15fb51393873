"""What a run left: figures of every path, read where they are wanted."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.dataset as ds

from sims.drawdown.outcome import Floats
from sims.runs.parts import SUFFIX, daily_name, is_part
from sims.scenarios.file import ScenarioError, ScenarioFile, scenario_of

RECORD = "run.json"
PARTS = "parts"
DAILY_PATHS = 20_000
"""Of so many paths daily figures are read: enough for pictures, whatever the run is like."""


class Results:
    """What is known of the paths that have been run; columns are read when asked for.

    Attributes:
        file: The scenario.
        tokens: Of its pools, by number.
        paths: How many were run.
        is_whole: Whether those are all.
    """

    def __init__(self, file: ScenarioFile, source: ds.Dataset) -> None:
        """Stand on a table or a folder of parts."""
        self.file = file
        self.tokens = tuple(pool.token for pool in file.pools)
        self._source = source
        self._numbers = self._read("path", 0).astype(np.int64)
        self.paths = int(self._numbers.size)
        self.is_whole = self.paths == file.paths

    def _table(self, name: str, pool: int) -> pa.ChunkedArray:
        chosen = ds.field("token") == self.tokens[pool]
        return self._source.to_table(columns=[name], filter=chosen).column(0)

    def _read(self, name: str, pool: int) -> npt.NDArray[Any]:
        found: npt.NDArray[Any] = self._table(name, pool).to_numpy()
        return found

    @property
    def numbers(self) -> npt.NDArray[np.int64]:
        """Number of each path, as `sims.drawdown.trace.trace_path` takes it, shape (paths,)."""
        return self._numbers

    @property
    def weights(self) -> Floats:
        """Likelihood of each path over the one it was drawn with, shape (paths,)."""
        return self._read("weight", 0)

    def total(self, name: str, pool: int = 0) -> Floats:
        """Return one of `sims.drawdown.outcome.TOTALS` of every path, shape (paths,)."""
        return self._read(name, pool)

    def daily(self, name: str, pool: int = 0) -> npt.NDArray[np.float32]:
        """Return one of `sims.drawdown.outcome.DAILY` of the first paths.

        Returns:
            Shape (min(paths, DAILY_PATHS), days + 1).
        """
        chosen = ds.field("token") == self.tokens[pool]
        scanner = self._source.scanner(columns=[daily_name(name)], filter=chosen)
        lists = scanner.head(DAILY_PATHS).column(0).combine_chunks()
        flat: npt.NDArray[np.float32] = lists.flatten().to_numpy()
        return flat.reshape(-1, self.file.days + 1)


def results_of(file: ScenarioFile, tables: list[pa.Table]) -> Results:
    """Return the results some blocks come to, in the order given."""
    return Results(file, ds.dataset(pa.concat_tables(tables)))


def read_record(folder: Path) -> dict[str, Any]:
    """Return what a run has written down of itself.

    Raises:
        ScenarioError: There is no run.
    """
    try:
        content: dict[str, Any] = json.loads((folder / RECORD).read_bytes())
    except (OSError, ValueError):
        raise ScenarioError(f"{folder}: no run is there") from None
    return content


def read_results(folder: Path) -> Results:
    """Return what a run left in a folder, all of it or some.

    Raises:
        ScenarioError: There is no run, or not one block of it.
    """
    file = scenario_of(read_record(folder)["scenario"])
    parts = sorted((folder / PARTS).glob(f"part-*{SUFFIX}"))
    if not parts:
        raise ScenarioError(f"{folder}: not one block of this run is there yet")
    try:
        return Results(file, ds.dataset([str(each) for each in parts], format="parquet"))
    except (pa.ArrowInvalid, OSError) as error:
        for each in parts:
            if not is_part(each):
                raise ScenarioError(f"{each}: is damaged; remove it, and resume the run") from None
        raise ScenarioError(f"{folder}: {error}") from None
