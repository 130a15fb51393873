"""The command line: `evergamma serve`, `keys`, `pool`, `verify-flush`, `replay`, `study` ...

Results go to standard output, progress to standard error. Exit status: 0 fine, 1 something that
should hold does not, 2 bad input, with one line that says what is wrong.
"""

import dataclasses
import json
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from amm.units import DAY_MS, MINUTE_MS
from api.commands import (
    audit,
    database,
    feed,
    keys,
    pool,
    serve,
    simulate,
    study,
    verify,
)
from api.commands.database import SYMBOLS
from api.commands.inputs import (
    BAD_INPUT,
    BROKEN,
    BadInputError,
    data_folder,
    day,
    fail,
    token_names,
)
from api.dispatch import FED_VOL_MIN_E9
from api.exchange import BatchLostError, Exchange, QuarantinedError
from api.pictures import PictureError, writable_picture
from api.printing import print_result
from api.replay import InvariantError, Plan, PlanError, Replay
from api.results import Result, collect, price_series, token_series
from api.storage.errors import StoreError
from api.storage.store import open_store
from api.surface import app as surface
from api.surface import with_plot_place
from sims.markets.history import HistoryError, read_path
from sims.markets.path import PricePath
from sims.markets.simulated import simulate_path
from sims.markets.surfaces import SurfaceError
from sims.markets.vols import VolHistory, no_vols, read_vols

SIMULATED_PRICES = (100_000.0, 4_000.0)
SIMULATED_VOLS = (0.50, 0.65)
CORRELATION = 0.8
SIMULATED_DAYS_MAX = 3_660
VOL_MIN = FED_VOL_MIN_E9 / 1e9

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(database.app, name="db")
app.add_typer(surface, name="surface")
app.add_typer(keys.app, name="keys")
app.add_typer(study.app, name="study")
app.add_typer(feed.app, name="feed")
app.add_typer(simulate.app, name="simulate")
app.command()(serve.serve)
app.command()(audit.audit)
app.command()(pool.pool)
app.command("verify-flush")(verify.verify_flush)
errors = Console(stderr=True)


@app.callback()
def evergamma() -> None:
    """Perpetual options on BTC and ETH, paid and settled in tokenized stocks."""


_UNUSABLE = (HistoryError, SurfaceError, BadInputError, PictureError, StoreError, PlanError)


def _read_prices(
    folder: Path | None, start_ms: int, end_ms: int, vol: float, seed: int
) -> tuple[str, PricePath]:
    """Return the prices to run through, and where they are from."""
    if end_ms <= start_ms:
        raise BadInputError("--to must be after --from")
    if 0.0 < vol < VOL_MIN:
        raise BadInputError(f"--vol {vol} is below {VOL_MIN}, the least a feed may say")
    if folder is not None:
        return "history", read_path(folder, SYMBOLS, start_ms, end_ms)
    days = (end_ms - start_ms) // DAY_MS
    if days > SIMULATED_DAYS_MAX:
        raise BadInputError(
            f"--from and --to are {days} days apart; at most {SIMULATED_DAYS_MAX} are simulated"
        )
    vols = (vol, vol) if vol else SIMULATED_VOLS
    path = simulate_path(SYMBOLS, start_ms, days, SIMULATED_PRICES, vols, CORRELATION, seed)
    return "simulated", path


def _read_vols(folder: Path | None, start_ms: int, end_ms: int) -> VolHistory:
    """Return what a history knows of vol."""
    return no_vols(SYMBOLS) if folder is None else read_vols(folder, SYMBOLS, start_ms, end_ms)


def _tell_outages(path: PricePath) -> None:
    """Say on standard error how much of the history is missing inside its stretches."""
    steps = np.diff(path.times_ms[path.start :])
    same = np.diff(path.segment[path.start :]) == 0
    missing = int((steps[same] // MINUTE_MS - 1).sum())
    if missing:
        print(f"evergamma: hours missing in the history: {missing / 60:.0f}", file=sys.stderr)


def _run(replay: Replay) -> None:
    rows = len(replay.path.times_ms)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=errors) as progress:
        task = progress.add_task("minutes", total=rows - replay.path.start)
        replay.run(lambda row: progress.update(task, completed=row - replay.path.start))


def _write_picture(replay: Replay, picture: Path) -> None:
    from sims.report import draw_run  # noqa: PLC0415 - slow to load

    first, last = replay.path.times_ms[[replay.path.start, -1]].astype("datetime64[ms]")
    title = f"{replay.plan.source}, {str(first)[:10]} to {str(last)[:10]}"
    tokens = [token_series(replay, token) for token in replay.plan.tokens]
    draw_run(picture, title, price_series(replay), tokens)


def _as_json(result: Result) -> str:
    values = dataclasses.asdict(result)
    for name, token in result.tokens.items():
        values["tokens"][name]["profit_and_loss"] = token.profit_and_loss._asdict()
        values["tokens"][name]["fairness"] = token.fairness._asdict()
    values |= {"trades": result.trades, "refusals": result.refusals}
    return json.dumps(values | {"fairness": result.fairness._asdict()}, indent=2)


@app.command()
def replay(
    folder: Annotated[Path | None, typer.Argument(help="Price history; see docs/data.md.")] = None,
    start: Annotated[str, typer.Option("--from", help="First day (UTC).")] = "2025-10-01",
    end: Annotated[str, typer.Option("--to", help="Day after the last.")] = "2025-11-01",
    tokens: Annotated[str, typer.Option(help="Stock tokens.")] = "TSLA.M,NVDA.M,CRCL.M",
    seed: Annotated[int, typer.Option(min=0, max=2**32, help="Seed of the flow.")] = 7,
    simulated: Annotated[bool, typer.Option(help="Simulate prices, even with data.")] = False,
    vol: Annotated[float, typer.Option(min=0.0, max=5.0, help="Fix the vol level.")] = 0.0,
    rent: Annotated[bool, typer.Option(help="Charge rent for locked capital.")] = True,
    smile: Annotated[
        bool | None, typer.Option(help="Price a smile; as a rule on history only.")
    ] = None,
    database: Annotated[str | None, typer.Option(help="Keep the run; continue it.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Where the chart goes.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Result as JSON.")] = False,
) -> None:
    """Run prices through the exchange with a seeded flow, and show who won and lost.

    Without a folder it takes EVERGAMMA_DATA, else ../shared/data, else a simulated month.

    With --vol the vol level is fixed, and a simulated path has that vol.

    Vol levels and surfaces are those of the history where it has them; see docs/data.md.

    With --database a run that was interrupted continues when the command is given again.
    """
    with ExitStack() as stack:
        try:
            history = None if simulated else data_folder(folder)
            source, path = _read_prices(history, day(start), day(end), vol, seed)
            vols = _read_vols(history, day(start), day(end))
            if database is None:
                scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="evergamma-"))
                database = str(Path(scratch) / "replay.sqlite")
            store = open_store(database)
            stack.callback(store.close)
            names = token_names(tokens)
            has_smile = smile if smile is not None else source == "history"
            plan = Plan(source, day(start), day(end), names, seed, vol, rent, has_smile)
            run = Replay(Exchange(store, SYMBOLS), plan, path, vols)
            picture = writable_picture("--picture", picture or Path("run") / "replay.png")
        except _UNUSABLE as error:
            raise fail(error) from None
        _tell_outages(path)
        try:
            _run(run)
        except PlanError as error:
            raise fail(error) from None
        except (InvariantError, BatchLostError, QuarantinedError) as error:
            raise fail(error, BROKEN) from None
        result = collect(run)
        if not result.is_zero_sum:
            raise fail("profit and loss does not sum to zero", BROKEN)
        _write_picture(run, picture)
        if as_json:
            print(_as_json(result))
        else:
            print_result(result, picture)


def main() -> None:
    """Run the command line; what cannot be parsed is told in one line too."""
    try:
        status = app(with_plot_place(sys.argv[1:]), standalone_mode=False)
    except typer.Abort:
        sys.exit(BROKEN)
    except Exception as error:
        # The base class of usage errors is not exported; this method is what they share.
        if not hasattr(error, "format_message"):
            raise
        message = " ".join(error.format_message().split())
        if message:
            print(f"evergamma: {message}", file=sys.stderr)
        sys.exit(BAD_INPUT)
    sys.exit(status if isinstance(status, int) else 0)


if __name__ == "__main__":
    main()
