"""Recorded months through the real exchange, once for each order of the loss layers."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from amm.units import ONE
from api.exchange import Exchange
from api.journal import read_outcome
from api.replay import Plan, Replay
from api.results import profit_and_loss, read_samples
from api.storage.store import open_store
from sims.chapters.waterfall_histories import History
from sims.chapters.waterfall_years import DESIGNS, Design
from sims.flows import FlowRules
from sims.markets.history import read_path
from sims.markets.vols import read_vols
from vaults.moves import Flow

SYMBOLS = ("BTC", "ETH")
TOKEN = "TSLA.M"
FLOW = FlowRules(
    buyer_tokens=1_500, size_tokens=240.0, insurance_tokens=3_000, provider_moves_per_day=0.0
)
"""Four times the usual size, so that most of the capacity is used; LPs neither come nor go."""
SEED = 7


class Stretch(NamedTuple):
    """Recorded days; it begins more than a cover period before what it is named after."""

    name: str
    start_ms: int
    end_ms: int


def _at(day: str) -> int:
    return int(np.datetime64(day, "ms").astype(np.int64))


STRETCHES = (
    Stretch("March 2020", _at("2020-03-01"), _at("2020-04-01")),
    Stretch("October 2025", _at("2025-10-01"), _at("2025-11-01")),
    Stretch("May 2021", _at("2021-05-08"), _at("2021-06-08")),
    Stretch("June 2022", _at("2022-06-01"), _at("2022-07-02")),
)
SHOWN = ("main first", "insurance first", "ours")


def replay_design(folder: Path, stretch: Stretch, name: str, design: Design) -> History:
    """Run one stretch under one design; every invariant is checked after every command.

    Raises:
        sims.markets.history.HistoryError: For a folder that does not cover the stretch.
        sims.markets.surfaces.SurfaceError: For vols that cannot be read.
    """
    start_ms, end_ms = stretch.start_ms, stretch.end_ms
    path = read_path(folder, SYMBOLS, start_ms, end_ms)
    vols = read_vols(folder, SYMBOLS, start_ms, end_ms)
    plan = Plan(
        "history", start_ms, end_ms, (TOKEN,), SEED, flow=FLOW, parameters=design.parameters()
    )
    with tempfile.TemporaryDirectory(prefix="evergamma-") as scratch:
        store = open_store(Path(scratch) / "study.sqlite")
        try:
            replay = Replay(Exchange(store, SYMBOLS), plan, path, vols)
            replay.run()
            return _told(replay, stretch.name, name)
        finally:
            store.close()


def replay_designs(
    folder: Path,
    stretches: tuple[Stretch, ...],
    progress: Callable[[str], None] = lambda _name: None,
) -> list[History]:
    """Run every stretch under the designs shown, telling which comes next; raises likewise."""
    found = []
    for stretch in stretches:
        for name in SHOWN:
            progress(f"{stretch.name}, {name}")
            found.append(replay_design(folder, stretch, name, DESIGNS[name]))
    return found


def _flush_times(replay: Replay) -> list[int]:
    """Return when a flush was done and not postponed: always on the hour, as readings are."""
    return [
        record.now_ms
        for record in replay.exchange.store.orders()
        if record.kind == "Flush" and read_outcome(record.outcome).done
    ]


def _told(replay: Replay, stretch: str, design: str) -> History:
    samples = read_samples(replay, TOKEN)
    state = replay.exchange.memory.tokens[TOKEN].state
    at_flush = samples[np.isin(samples.now_ms, _flush_times(replay))]
    price = (at_flush.nav + 1) / (at_flush.main_shares + 1)
    pnl, flows = profit_and_loss(replay, TOKEN), state.flows
    owed = int(state.pool[0].advances)  # taken off main there, as for one who leaves
    return History(
        name=stretch,
        design=design,
        times=at_flush.now_ms.astype("datetime64[ms]"),
        main=price / price[0],
        insurance=at_flush.insurance / ONE,
        main_pnl=(pnl.main + owed) / ONE,
        insurance_pnl=(pnl.insurance - owed) / ONE,
        claims=int(flows[Flow.CLAIM]) / ONE,
        repaid=int(flows[Flow.REPAYMENT]) / ONE,
        written_off=int(flows[Flow.ADVANCE_WRITTEN_OFF]) / ONE,
        premium=int(flows[Flow.PREMIUM_ACCRUED] + flows[Flow.RENT_ACCRUED]) / ONE,
        utilisation=float(np.max(samples.locked / np.maximum(samples.backing, 1))),
    )
