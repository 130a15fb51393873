"""`evergamma simulate settlement` and `evergamma study settlement`: tokens or dollars."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from api.commands.inputs import fail
from sims.chapters.waterfall import DOCS

if TYPE_CHECKING:
    from sims.settlement.study import Study

STOCK, GAP, ORDERS = "TSLA", -0.4, 60.0

Paths = Annotated[int, typer.Option(help="Histories of the indices; 0.1 s each.")]
Seed = Annotated[int, typer.Option(min=0, help="Of everything that is drawn.")]


@contextmanager
def _progress(paths: int) -> Iterator[Callable[[int], None]]:
    """Show on standard error how many paths are done."""
    columns = (TextColumn("paths"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("paths", total=paths)

        def tell(done: int) -> None:
            progress.update(task, completed=done)

        yield tell


def _run(paths: int, seed: int, stock: str, gap: float, orders: float) -> "Study":
    """Run a study, or end the command with what is wrong."""
    from sims.settlement.study import run_study  # noqa: PLC0415 - slow to load

    try:
        with _progress(paths) as tell:
            return run_study(paths, seed, stock, gap, orders, tell)
    except (ValueError, MemoryError) as error:
        raise fail(error) from None


def settlement(
    paths: Paths = 200,
    seed: Seed = 1,
    stock: Annotated[str, typer.Option(help="Calibrated stock whose weekends are drawn.")] = STOCK,
    gap: Annotated[float, typer.Option(help="Of the stock, to single out: -0.4 is -40 %.")] = GAP,
    orders: Annotated[float, typer.Option(help="Of buyers, a day; 60 fill the pool.")] = ORDERS,
    output: Annotated[Path, typer.Option(help="Folder for page, picture and figures.")] = Path(
        "settlement"
    ),
) -> None:
    """Settle the same pools in the stock token and in dollars, through gaps of the stock."""
    from sims.settlement.study import check_inputs  # noqa: PLC0415 - slow to load

    try:
        check_inputs(paths, stock, gap, orders)
        output.mkdir(parents=True, exist_ok=True)
    except (ValueError, OSError) as error:
        raise fail(error) from None
    found = _run(paths, seed, stock, gap, orders)
    from sims.runs.parts import write_whole  # noqa: PLC0415 - slow to load
    from sims.settlement import report  # noqa: PLC0415 - slow to load
    from sims.settlement.picture import picture  # noqa: PLC0415 - slow to load

    write_whole(output / "settlement.html", report.page(found).encode())
    write_whole(output / "settlement.json", report.to_json(found).encode())
    write_whole(output / "settlement.png", picture(found))
    _show(found)
    typer.echo(f"wrote {output}/settlement.html, .json and .png")


def _show(found: "Study") -> None:
    from sims.settlement.report import (  # noqa: PLC0415 - slow to load
        LEGEND,
        about,
        through_sheet,
        verdict,
        weekends_sheet,
    )

    console = Console(soft_wrap=True, highlight=False, width=max(Console().width, 200))
    console.print(about(found))
    for sheet in (through_sheet(found), weekends_sheet(found)):
        shown = Table(*sheet.head, title=sheet.title, title_justify="left")
        for cells, is_coin in zip(sheet.rows, sheet.is_coin, strict=True):
            shown.add_row(*cells, style="cyan" if is_coin else None)
        console.print(shown)
    console.print(LEGEND)
    console.print(verdict(found))


def study(
    paths: Paths = 400,
    seed: Seed = 1,
    docs: Annotated[Path, typer.Option(help="Where settlement.md and pictures/ are.")] = DOCS,
) -> None:
    """Write the tables and the picture of docs/settlement.md."""
    if not (docs / "settlement.md").is_file():
        raise fail(f"{docs / 'settlement.md'} is not there")
    found = _run(paths, seed, STOCK, GAP, ORDERS)
    from sims.settlement.chapter import write_chapter  # noqa: PLC0415 - slow to load

    with _progress(paths) as tell:
        write_chapter(docs, found, tell)
    typer.echo(f"wrote {docs / 'settlement.md'}")
