"""`evergamma study`: figures of a chapter of docs/ that need the exchange itself."""

import functools
from pathlib import Path
from typing import Annotated

import typer

from api.commands import settlement
from api.commands.inputs import data_folder, fail
from api.histories import STRETCHES, replay_designs
from sims.chapters.waterfall import (
    DOCS,
    QUICK_YEARS,
    SEED,
    YEARS,
    draw_pictures,
    run_study,
    tell,
    write_page,
)
from sims.chapters.waterfall_histories import History, histories_table
from sims.markets.history import HistoryError
from sims.markets.surfaces import SurfaceError

app = typer.Typer(no_args_is_help=True, help="Write the figures of a chapter of the documentation.")
app.command("settlement")(settlement.study)
PICTURED = STRETCHES[0].name


@app.callback()
def study() -> None:
    """Write the figures of a chapter of the documentation."""


def _replayed(folder: Path) -> list[History]:
    try:
        return replay_designs(folder, STRETCHES, tell)
    except (HistoryError, SurfaceError) as error:
        raise fail(error) from None


@app.command()
def waterfall(
    folder: Annotated[Path | None, typer.Argument(help="Price history; see docs/data.md.")] = None,
    years: Annotated[
        int, typer.Option(min=2, help="Simulated years of each row; 0.01 s each.")
    ] = YEARS,
    quick: Annotated[
        bool, typer.Option(help=f"At most {QUICK_YEARS} years, nothing replayed.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, max=2**32, help="Of the simulated years.")] = SEED,
    docs: Annotated[Path, typer.Option(help="Where waterfall.md and pictures/ are.")] = DOCS,
) -> None:
    """Compare orders of the loss layers between main and insurance LPs.

    Writes tables and pictures of docs/waterfall.md. Recorded months are replayed where there is
    price history (given, EVERGAMMA_DATA or ../shared/data), else their table stays as it is.
    """
    from sims.chapters.waterfall_pictures import draw_histories  # noqa: PLC0415 - slow to load

    page, pictures = docs / "waterfall.md", docs / "pictures"
    if not page.is_file():
        raise fail(f"{page} is not there")
    found = None if quick else data_folder(folder)
    histories = [] if found is None else _replayed(found)
    ran = run_study(min(years, QUICK_YEARS) if quick else years, seed, tell)
    pictures.mkdir(exist_ok=True)
    draw_pictures(ran, pictures)
    more = {}
    if histories:
        shown = [each for each in histories if each.name == PICTURED]
        draw_histories(pictures / "waterfall-history.png", PICTURED, shown)
        more["histories"] = functools.partial(histories_table, histories)
    write_page(page, ran, more)
