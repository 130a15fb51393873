"""The commands about vol surfaces: `evergamma surface fit`, `evergamma surface defaults`."""

import json
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from amm.arbitrage import Arbitrage
from amm.calibration import ChainFit, calibrate
from amm.chain import CalibrationError
from amm.ssvi import Ssvi
from api.pictures import PictureError, writable_picture
from sims.default_shape import DefaultShape, default_shapes
from sims.markets.chains import ChainError, Snapshot, read_chains
from sims.markets.table import iso_second

BAD_INPUT = 2
OUTLIERS_SHOWN = 12
TIMES_SHOWN = 4
TABLE_WIDTH = 110
PLOT_DEFAULT = Path("run/smiles.png")

app = typer.Typer(no_args_is_help=True, help="Fit vol surfaces to option chains.")

Fitted = tuple[Snapshot, ChainFit]


class SurfaceCommandError(ValueError):
    """What a command was given cannot be used."""


def _fail(message: object) -> typer.Exit:
    typer.echo(f"evergamma: {message}", err=True)
    return typer.Exit(BAD_INPUT)


def _name(snapshot: Snapshot) -> str:
    return f"{snapshot.currency} {iso_second(snapshot.time_ms)}"


def _choose(file: Path, at: str) -> list[Snapshot]:
    """Return the snapshots of the file whose time begins with `at`."""
    snapshots = read_chains(file)
    chosen = [each for each in snapshots if iso_second(each.time_ms).startswith(at)]
    if not chosen:
        times = [iso_second(each.time_ms) for each in snapshots]
        more = f" and {len(times) - TIMES_SHOWN} more" if len(times) > TIMES_SHOWN else ""
        listed = f"{', '.join(times[:TIMES_SHOWN])}{more}"
        raise SurfaceCommandError(f"{file}: no chain at {at!r}, only {listed}")
    return chosen


def _fit(file: Path, snapshots: list[Snapshot]) -> list[Fitted]:
    """Fit what can be fitted, telling what cannot; fail if that is all there is."""
    fitted: list[Fitted] = []
    for snapshot in snapshots:
        try:
            fitted.append((snapshot, calibrate(snapshot.chain)))
        except CalibrationError as error:
            message = f"{file}, {_name(snapshot)}: {error}"
            if len(snapshots) == 1:
                raise SurfaceCommandError(message) from None
            typer.echo(f"evergamma: {message}", err=True)
    if not fitted:
        raise SurfaceCommandError(f"{file}: no chain can be fitted")
    return fitted


def _console() -> Console:
    """Return a terminal no narrower than the tables, which must not lose their digits."""
    return Console(soft_wrap=True, highlight=False, width=max(Console().width, TABLE_WIDTH))


def _expiries(snapshot: Snapshot, fit: ChainFit) -> Table:
    table = Table(title=f"{_name(snapshot)}: {fit.quotes} of {snapshot.rows} options count")
    columns = ("expiry", "days", "quotes", "ATM vol", "fitted", "error", "live vol", "live error")
    for name in columns:
        table.add_column(name, justify="left" if name == "expiry" else "right", no_wrap=True)
    for expiry_ms, each in zip(snapshot.expiries_ms, fit.expiries, strict=True):
        table.add_row(
            iso_second(expiry_ms)[:10],
            f"{365.0 * each.years:.1f}",
            str(each.quotes),
            f"{each.market_vol:.1%}",
            f"{each.vol:.1%}",
            f"{each.error:.2f}",
            f"{each.surface_vol:.1%}",
            f"{each.surface_error:.2f}",
        )
    return table


def _parameters(surface: Ssvi) -> str:
    return (
        f"short vol {surface.short_vol:.4f}, long vol {surface.long_vol:.4f}, reversion"
        f" {surface.reversion:.3f}, skew {surface.skew:.4f}, curvature {surface.curvature:.4f}"
    )


def _verdict(found: Arbitrage) -> str:
    butterfly = "none" if found.no_butterfly else "FOUND"
    calendar = "none" if found.no_calendar else "FOUND"
    return (
        f"butterflies {butterfly} (least density {found.density:.3f} {_place(found.density_at)}),"
        f" calendar spreads {calendar} (least slope {found.calendar:.3f}"
        f" {_place(found.calendar_at)})"
    )


def _place(at: tuple[float, float]) -> str:
    return f"at {365.0 * at[0]:.0f} d, log strike {at[1]:+.2f}"


def _print_one(console: Console, snapshot: Snapshot, fit: ChainFit) -> None:
    shape = fit.shape
    console.print(_expiries(snapshot, fit))
    console.print(
        f"fit by expiry: error {fit.error:.3f} vol points; skew {shape.skew:.4f},"
        f" curvature {shape.curvature:.4f}, power {shape.power:.4f};"
        f" 30-day level {fit.level:.4f}"
    )
    console.print(f"  {_verdict(fit.arbitrage)}")
    console.print(
        f"live surface: error {fit.surface_error:.3f} vol points; {_parameters(fit.surface)};"
        f" 30-day level {fit.surface_level:.4f}"
    )
    console.print(f"  {_verdict(fit.surface_arbitrage)}")
    for each in fit.outliers[:OUTLIERS_SHOWN]:
        console.print(
            f"outlier {each.name}: {each.vol:.1%}, fitted {each.model_vol:.1%},"
            f" weighted misfit {each.misfit:+.2f}"
        )
    if len(fit.outliers) > OUTLIERS_SHOWN:
        console.print(f"and {len(fit.outliers) - OUTLIERS_SHOWN} outliers more")
    if not fit.outliers:
        console.print("no outliers")


def _print_list(console: Console, fitted: list[Fitted]) -> None:
    table = Table(title="Chains of the file; --at TIME shows one")
    columns = (
        "chain",
        "quotes",
        "expiries",
        "level",
        "error",
        "live error",
        "arbitrage",
        "outliers",
    )
    for name in columns:
        table.add_column(name, justify="left" if name == "chain" else "right", no_wrap=True)
    for snapshot, fit in fitted:
        table.add_row(
            _name(snapshot),
            str(fit.quotes),
            str(len(fit.expiries)),
            f"{fit.level:.1%}",
            f"{fit.error:.2f}",
            f"{fit.surface_error:.2f}",
            "none" if fit.no_arbitrage else "FOUND",
            str(len(fit.outliers)),
        )
    console.print(table)


def _as_values(snapshot: Snapshot, fit: ChainFit) -> dict[str, Any]:
    expiries = [
        {"expiry": iso_second(expiry_ms), **each._asdict(), "vol": each.vol}
        for expiry_ms, each in zip(snapshot.expiries_ms, fit.expiries, strict=True)
    ]
    values = fit._asdict() | {
        "expiries": expiries,
        "shape": fit.shape._asdict(),
        "arbitrage": fit.arbitrage._asdict(),
        "surface": fit.surface._asdict(),
        "surface_level": fit.surface_level,
        "surface_arbitrage": fit.surface_arbitrage._asdict(),
        "no_arbitrage": fit.no_arbitrage,
        "outliers": [each._asdict() for each in fit.outliers],
    }
    return {"currency": snapshot.currency, "ts": iso_second(snapshot.time_ms), **values}


def _draw(picture: Path, fitted: list[Fitted]) -> None:
    from sims.smile_chart import draw_smiles  # noqa: PLC0415 - slow to load

    snapshot, fit = fitted[0]
    title = (
        f"{_name(snapshot)}: error in vol points by expiry / of the live surface,"
        f" {fit.error:.2f} / {fit.surface_error:.2f} in all"
    )
    labels = [iso_second(expiry_ms)[:10] for expiry_ms in snapshot.expiries_ms]
    draw_smiles(picture, title, labels, snapshot.chain, fit)


def _place_of(plot: Path, chains: int) -> Path:
    if chains > 1:
        raise SurfaceCommandError(f"--plot draws one chain, not {chains}: choose with --at")
    return writable_picture("--plot", plot)


def with_plot_place(arguments: list[str]) -> list[str]:
    """Return a command line in which every --plot is followed by a picture.

    The parser knows no option whose value may be left out.
    """
    placed: list[str] = []
    for argument, after in zip_longest(arguments, arguments[1:], fillvalue=""):
        placed.append(argument)
        if argument == "--plot" and (after[:1] in {"", "-"} or after.endswith((".csv", ".gz"))):
            placed.append(str(PLOT_DEFAULT))
    return placed


@app.command()
def fit(
    file: Annotated[Path, typer.Argument(help="Option chains; see docs/surface.md.")],
    plot: Annotated[
        Path | None,
        typer.Option(help=f"Draw one chain, into {PLOT_DEFAULT} where nothing follows."),
    ] = None,
    at: Annotated[str, typer.Option(help="Only the chains whose time begins so.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Results as JSON, a list.")] = False,
) -> None:
    """Fit SSVI to option chains: expiry by expiry, then the live surface.

    A file of several chains is listed; --at 2021-06-08 shows one of them in full.
    """
    try:
        chosen = _choose(file, at)
        plot = plot and _place_of(plot, len(chosen))
        fitted = _fit(file, chosen)
    except (ChainError, PictureError, SurfaceCommandError) as error:
        raise _fail(error) from None
    if plot is not None:
        _draw(plot, fitted)
    if as_json:
        typer.echo(json.dumps([_as_values(*each) for each in fitted], indent=2))
        return
    console = _console()
    if len(fitted) == 1:
        _print_one(console, *fitted[0])
    else:
        _print_list(console, fitted)
    if plot is not None:
        console.print(f"picture {plot}")


def _read_folder(folder: Path) -> list[Snapshot]:
    place = folder / "options" if (folder / "options").is_dir() else folder
    files = [path for end in (".csv", ".csv.gz") for path in place.glob(f"*{end}")]
    if not files:
        raise SurfaceCommandError(f"{place}: has no .csv or .csv.gz")
    return [snapshot for file in sorted(files) for snapshot in read_chains(file)]


def _months(shape: DefaultShape) -> Table:
    table = Table(title=f"{shape.currency}: mean errors by month, in vol points")
    for name in ("month", "chains", "level", "live surface", "default shape at the level"):
        table.add_column(name, justify="left" if name == "month" else "right")
    for each in shape.months:
        table.add_row(
            each.month,
            str(each.chains),
            f"{each.level:.1%}",
            f"{each.own_error:.2f}",
            f"{each.default_error:.2f}",
        )
    return table


@app.command()
def defaults(
    folder: Annotated[Path, typer.Argument(help="Files of option chains, or a folder options.")],
) -> None:
    """Fit the shape that serves best where only the 30-day level is known."""
    try:
        shapes = default_shapes(_read_folder(folder))
    except (ChainError, CalibrationError, SurfaceCommandError) as error:
        raise _fail(error) from None
    console = _console()
    for shape in shapes:
        console.print(_months(shape))
        console.print(f"{shape.currency}: {_parameters(shape.surface)}")
