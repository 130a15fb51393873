"""Outcomes as tables of Arrow: what a block leaves on disk, and what results are read from.

A row is one path of one pool: its number, token and weight, every total, and of each daily figure
the whole list.
"""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sims.drawdown.outcome import DAILY, TOTALS, BlockOutcome

SUFFIX = ".parquet"
BEGUN = ".begun"
"""Of what is being written; what is left of it after a crash says nothing."""


def daily_name(name: str) -> str:
    """Return the column of a daily figure."""
    return f"daily_{name}"


def table_of(outcome: BlockOutcome, tokens: tuple[str, ...], first: int) -> pa.Table:
    """Return a block as a table.

    Args:
        outcome: Of the block.
        tokens: Names of the pools.
        first: Number of its first path.
    """
    pools, paths, _ = outcome.totals.shape
    totals = outcome.totals.reshape(pools * paths, -1)
    daily = outcome.daily.reshape(pools * paths, -1, len(DAILY))
    names = pa.array(np.repeat(np.arange(pools, dtype=np.int16), paths))
    columns = {
        "path": np.tile(np.arange(first, first + paths), pools),
        "token": pa.DictionaryArray.from_arrays(names, list(tokens)),
        "weight": np.tile(outcome.weights, pools),
    }
    columns |= {name: totals[:, column] for column, name in enumerate(TOTALS)}
    for column, name in enumerate(DAILY):
        values = np.ascontiguousarray(daily[:, :, column]).ravel()
        lists = pa.FixedSizeListArray.from_arrays(pa.array(values), daily.shape[1])
        columns[daily_name(name)] = lists
    return pa.table(columns)


def part_path(folder: Path, number: int) -> Path:
    """Return where the part of a block is; names sort as numbers do."""
    return folder / f"part-{number:08d}{SUFFIX}"


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    begun = path.with_name(f".{path.name}{BEGUN}")
    with begun.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    begun.replace(path)


def write_part(folder: Path, number: int, table: pa.Table) -> None:
    """Write the part of a block, whole or not at all."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_whole(part_path(folder, number), sink.getvalue().to_pybytes())


def is_part(path: Path) -> bool:
    """Whether a part can be read."""
    try:
        pq.read_table(path)
    except (pa.ArrowInvalid, OSError):
        return False
    return True


def parts_there(folder: Path) -> set[int]:
    """Return the numbers of the blocks whose parts are there."""
    return {int(each.stem.removeprefix("part-")) for each in folder.glob(f"part-*{SUFFIX}")}
