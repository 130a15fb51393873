"""Commands about the market model: `evergamma simulate calibrate`, `... check-market`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from api.commands.inputs import data_folder, fail
from sims.markets.calibrated_file import DRAWS, SPLIT, read_recorded, to_toml
from sims.markets.calibrated_file import (
    calibrate as run_calibration,
)
from sims.markets.history import HistoryError
from sims.markets.model_checks import PATHS, Checks
from sims.markets.model_checks import check_market as run_check
from sims.markets.regime_law import SHIPPED
from sims.markets.regimes import Regimes
from sims.markets.stock_checks import check_stocks
from sims.markets.stock_model import calibrated_stocks
from sims.markets.surfaces import SurfaceError
from sims.markets.table import read_day

PATHS_MIN = 200
"""With fewer no p-value can be below 0.01."""

Folder = Annotated[Path | None, typer.Argument(help="Price history; see docs/data.md.")]


def _folder(given: Path | None) -> Path:
    found = data_folder(given)
    if found is None:
        raise fail("no price history: give a folder or set EVERGAMMA_DATA")
    return found


def _tell(line: str) -> None:
    typer.echo(line, err=True)


def calibrate(
    folder: Folder = None,
    split: Annotated[str, typer.Option(help="Only what was recorded before this day.")] = SPLIT,
    draws: Annotated[int, typer.Option(min=2, help="Bootstrap samples; 0.5 s each.")] = DRAWS,
    output: Annotated[Path, typer.Option(help="The file to write.")] = SHIPPED,
) -> None:
    """Fit the default market to recorded hours and days; write its parameters with errors."""
    try:
        found = run_calibration(_folder(folder), split, draws, _tell)
    except (HistoryError, SurfaceError, ValueError) as error:
        raise fail(error) from None
    output.write_text(to_toml(found), "utf-8")
    typer.echo(f"wrote {output}")


def check_market(
    folder: Folder = None,
    split: Annotated[str, typer.Option(help="Only what was recorded since this day.")] = SPLIT,
    paths: Annotated[int, typer.Option(min=PATHS_MIN, help="Drawn histories.")] = PATHS,
    seed: Annotated[int, typer.Option(min=0, help="Of the drawn histories.")] = 1,
    level: Annotated[
        float, typer.Option(min=0.0, help="BTC's vol level on the day; 0: any.")
    ] = 0.0,
    output: Annotated[Path, typer.Option(help="Folder for page, picture and figures.")] = Path(
        "market-check"
    ),
) -> None:
    """Compare the default market with what it was not calibrated on: recorded hours and gaps."""
    from sims.markets import check_report  # noqa: PLC0415 - slow to load

    place = _folder(folder)
    try:
        hours, _ = read_recorded(place)
        first = read_day("split", split)
        recorded = hours.between(first, int(hours.times_ms[-1]) + 1)
        found = run_check(Regimes(level=level), recorded, paths, seed)
        market = Regimes(level=level, stocks=calibrated_stocks())
        gaps = check_stocks(market, place, hours, first, paths, seed)
    except (HistoryError, SurfaceError, ValueError) as error:
        raise fail(error) from None
    found = found._replace(rows=found.rows + gaps)
    output.mkdir(parents=True, exist_ok=True)
    (output / "market-check.html").write_text(check_report.page(found), "utf-8")
    (output / "market-check.json").write_text(check_report.to_json(found), "utf-8")
    (output / "market-check.png").write_bytes(check_report.picture(found))
    _show(found)
    typer.echo(f"wrote {output}/market-check.html, .json and .png")


def _show(checks: Checks) -> None:
    from sims.markets.check_report import about, tables, verdict  # noqa: PLC0415 - slow to load

    console = Console(soft_wrap=True, highlight=False, width=max(Console().width, 120))
    console.print(about(checks))
    for compared in tables(checks):
        shown = Table(*compared.head)
        for line in compared.lines:
            shown.add_row(*line.cells, style="red" if line.fails else None)
        console.print(shown)
    console.print(verdict(checks))
