"""Results of a replay as tables on a terminal."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from amm.units import ONE
from api.results import Result
from vaults.risk import SPOT_MOVES, VOL_MOVES


def _tokens(amount: int) -> str:
    return f"{amount / ONE:,.4f}"


def _profits(result: Result) -> Table:
    table = Table(title="Profit and loss at the final mark, in tokens (each row sums to 0)")
    for name in ("token", "buyers", "main LPs", "insurance LPs", "protocol", "sum"):
        table.add_column(name, justify="left" if name == "token" else "right")
    for token, each in result.tokens.items():
        parts = each.profit_and_loss
        table.add_row(token, *(_tokens(part) for part in parts), str(sum(parts)))
    return table


def _activity(result: Result) -> Table:
    table = Table(title="Trading and pools")
    columns = (
        "token",
        "opened",
        "closed",
        "notional",
        "open now",
        "share price",
        "lowest",
        "most used",
    )
    for name in columns:
        table.add_column(name, justify="left" if name == "token" else "right")
    for token, each in result.tokens.items():
        table.add_row(
            token,
            str(each.opened),
            str(each.closed),
            f"{each.notional / ONE:,.0f}",
            str(each.open_positions),
            f"{each.share_price:.5f}",
            f"{each.share_price_low:.5f}",
            f"{each.utilisation_high:.1%}",
        )
    return table


def _premium(result: Result) -> Table:
    table = Table(title="Premium by source, in tokens")
    table.add_column("source")
    for token in result.tokens:
        table.add_column(token, justify="right")
    for source in next(iter(result.tokens.values())).premium:
        amounts = (_tokens(each.premium[source]) for each in result.tokens.values())
        table.add_row(source.replace("_", " "), *amounts)
    return table


def _losses(result: Result) -> Table:
    table = Table(title="What a move of all indices would cost main LPs now, in tokens")
    table.add_column("index, vol")
    for token in result.tokens:
        table.add_column(token, justify="right")
    for vol, every in ((2, 1), (4, 5)):
        for spot in range(0, len(SPOT_MOVES), every):
            losses = (f"{each.loss_table[spot][vol]:,.1f}" for each in result.tokens.values())
            table.add_row(f"{SPOT_MOVES[spot]:+.0%}, {VOL_MOVES[vol]:+.0%}", *losses)
    return table


def print_result(result: Result, picture: Path) -> None:
    """Print everything a replay has shown."""
    console = Console(soft_wrap=True)
    console.print(f"{result.source} prices, {result.days} days, seed {result.seed}\n")
    for table in (_profits(result), _activity(result), _premium(result), _losses(result)):
        console.print(table)
    refusals = ", ".join(f"{name} {count}" for name, count in result.refusals.items())
    fair = result.fairness
    console.print(f"trades {result.trades}, commands {result.commands}")
    console.print(f"refusals {refusals or 'none'}")
    console.print(
        f"buyers at mid, without spread, impact and fees: {fair.profit:+.2f} tokens,"
        f" standard error {fair.standard_error:.2f}"
    )
    console.print(f"invariants {result.checks} checks, all hold")
    console.print(f"state {result.state}")
    console.print(f"picture {picture}")
