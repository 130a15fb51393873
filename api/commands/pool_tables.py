"""A token's pools as tables on a terminal."""

from collections.abc import Sequence
from decimal import ROUND_CEILING, Decimal

from rich.columns import Columns
from rich.console import Console
from rich.table import Table

from api.bundles import FlushBundle
from api.wire import Attribution, Cover, FlushRecord, Performance, PoolDetail, PoolSide, Scenarios
from sims.markets.table import iso_second

BARS = "▁▂▃▄▅▆▇█"
FLUSHES_LISTED = 10
LESS = "-"


def _amount(text: str) -> str:
    return f"{Decimal(text):,.4f}"


def _percent(text: str | None, places: int = 2) -> str:
    return LESS if text is None else f"{100 * Decimal(text):+,.{places}f} %"


def _share(text: str) -> str:
    return f"{100 * Decimal(text):,.2f} %"


def _table(title: str, *columns: str) -> Table:
    """Return a table without rows; on a narrow terminal figures wrap and labels stay whole."""
    table = Table(title=title, title_justify="left", show_header=any(columns))
    for number, name in enumerate(columns):
        table.add_column(name, justify="right" if number else "left", no_wrap=not number)
    return table


def _flushes_needed(side: PoolSide) -> str:
    """Return how many flushes the redemptions that wait would take at what is free now."""
    waiting, free = Decimal(side.redemptions_waiting), Decimal(side.free)
    if waiting == 0:
        return "0"
    if free == 0:
        return "none in sight"
    worth = waiting * Decimal(side.nav_low) / Decimal(side.shares)
    return str((worth / free).to_integral_value(ROUND_CEILING))


def _sides(pool: PoolDetail) -> Table:
    table = _table("Now, in tokens", "", "main", "insurance")
    sides = pool.main, pool.insurance
    for title, name in (
        ("cash", "cash"),
        ("NAV, mid", "nav_mid"),
        ("NAV to enter at", "nav_high"),
        ("NAV to leave at", "nav_low"),
        ("shares", "shares"),
    ):
        table.add_row(title, *(_amount(getattr(side, name)) for side in sides))
    table.add_row("share price", *(f"{Decimal(side.share_price):.8f}" for side in sides))
    table.add_section()
    table.add_row("deposits waiting", *(_amount(side.deposits_waiting) for side in sides))
    table.add_row("redemptions waiting", *(_amount(side.redemptions_waiting) for side in sides))
    table.add_row("free for redemptions", *(_amount(side.free) for side in sides))
    table.add_row("flushes to fill these", *(_flushes_needed(side) for side in sides))
    return table


def _rate(found: Performance) -> str:
    if found.realised_apr is None:
        return f"{LESS} (too few flushes)"
    error = LESS if found.realised_error is None else f"{100 * Decimal(found.realised_error):,.2f}"
    return f"{_percent(found.realised_apr)} ± {error}"


def returns_table(*sides: Performance) -> Table:
    """Return what the shares of a token's main and insurance pool earn, side by side."""
    table = _table("Returns a year", "", "main", "insurance")
    table.add_row("realised, ± standard error", *(_rate(each) for each in sides))
    table.add_row("  from flush to flush", *(str(each.flushes) for each in sides))
    table.add_row("premium streaming now", *(_percent(each.premium_apr) for each in sides))
    table.add_section()
    table.add_row("below its highest now", *(_share(each.drawdown) for each in sides))
    table.add_row("  at most so far", *(_share(each.drawdown_max) for each in sides))
    return table


def _risk(pool: PoolDetail) -> Table:
    table = _table("Use", "", "")
    table.add_row("locked", _amount(pool.locked))
    table.add_row("may be locked", _amount(pool.backing))
    table.add_row("utilisation", _share(pool.utilisation))
    table.add_row("rent of a locked token, a year", _share(pool.rent))
    table.add_row("premium streaming, a year", _amount(pool.premium))
    table.add_row("  to insurance", _share(pool.insurance_share))
    table.add_row("base stress", _amount(pool.stress))
    table.add_row("live series", str(pool.live_series))
    return table


def _cover(cover: Cover) -> Table:
    table = _table("Cover of main by insurance", "", "")
    table.add_row("main's result in this period", _amount(cover.pnl))
    table.add_row("main bears first", _amount(cover.deductible))
    table.add_row("  left of it", _amount(cover.deductible_left))
    table.add_row("insurance pays next, at most", _amount(cover.layer))
    table.add_row("  it has paid", _amount(cover.claimed))
    table.add_row("  it can pay now", _amount(cover.available))
    table.add_row("  it would pay now", _amount(cover.claim))
    table.add_row("period ends", iso_second(cover.period_end))
    table.add_section()
    table.add_row("main owes insurance", _amount(cover.owed))
    if Decimal(cover.owed):
        for each in cover.write_off:
            table.add_row(f"  {iso_second(each.exchange_time)[:10]}", _amount(each.amount))
    return table


def _attribution(title: str, found: Attribution) -> Table:
    table = _table(title, "", "tokens")
    for name, amount in found.lines.items():
        if Decimal(amount):
            table.add_row(name.replace("_", " "), f"{Decimal(amount):+,.8f}")
    table.add_section()
    table.add_row("sum", f"{Decimal(found.closed) - Decimal(found.opened):+,.8f}")
    return table


def _losses(scenarios: Scenarios) -> Table:
    vols = [f"vol {100 * Decimal(each):+.0f} %" for each in scenarios.vol_moves]
    table = _table("Loss of main by moves of all indices", "index", *vols)
    for move, losses in zip(scenarios.spot_moves, scenarios.losses, strict=True):
        cells = (f"{Decimal(each):+,.2f}" for each in losses)
        table.add_row(f"{100 * Decimal(move):+.0f} %", *cells)
    return table


def chart(numbers: Sequence[Decimal]) -> str:
    """Return numbers as bars, the least the shortest."""
    least, most = min(numbers), max(numbers)
    if least == most:
        return BARS[len(BARS) // 2] * len(numbers)
    steps = (len(BARS) - 1) / (most - least)
    return "".join(BARS[round((each - least) * steps)] for each in numbers)


def _history(flushes: Sequence[FlushRecord]) -> str:
    """Return the value of a share, 1 before the first of the flushes, as a chart."""
    value, values = Decimal(1), []
    for each in reversed(flushes):
        value *= Decimal(each.share_growth)
        values.append(value)
    ends = f"{min(values):.6f} to {max(values):.6f}"
    return f"A main share over {len(values)} flushes, {ends}, now {values[-1]:.6f}\n{chart(values)}"


def _last_flushes(flushes: Sequence[FlushRecord]) -> Table:
    columns = ("flush", "time", "NAV mid", "after", "main share", "change", "insurance share")
    table = _table("Last flushes", *columns)
    for each in flushes[:FLUSHES_LISTED]:
        table.add_row(
            str(each.flush),
            iso_second(each.exchange_time),
            _amount(each.nav_mid),
            _amount(each.nav_mid_after),
            f"{Decimal(each.share_price_after):.8f}",
            _percent(str(Decimal(each.share_growth) - 1), 3),
            f"{Decimal(each.insurance_share_price):.8f}",
        )
    return table


def print_pool(
    pool: PoolDetail,
    scenarios: Scenarios,
    flushes: Sequence[FlushRecord],
    last: FlushBundle | None,
) -> None:
    """Print everything LPs are shown of a token's pools; `flushes` are the newest first."""
    console = Console(highlight=False)
    console.print(
        f"{pool.token}  {pool.state}, {pool.condition}  flushes {pool.flushes}, "
        f"next {iso_second(pool.next_flush)}, requests until {iso_second(pool.cutoff)}\n"
    )
    returns = returns_table(pool.main_performance, pool.insurance_performance)
    console.print(Columns([_sides(pool), returns], padding=(0, 3)))
    console.print(Columns([_risk(pool), _cover(pool.cover)], padding=(0, 3)))
    if flushes and last is not None:
        console.print(_history(flushes), "\n")
        console.print(
            Columns(
                [
                    _attribution(f"Main's NAV, up to flush {last.flush}", last.main),
                    _attribution(f"Insurance, up to flush {last.flush}", last.insurance),
                    _attribution("Main's NAV since then", pool.main_attribution),
                    _attribution("Insurance since then", pool.insurance_attribution),
                ],
                padding=(0, 3),
            )
        )
        console.print(_last_flushes(flushes))
    console.print(_losses(scenarios))
