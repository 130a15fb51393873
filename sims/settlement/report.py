"""A settlement study as tables, a page and figures."""

import base64
import html
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from sims.settlement.names import gap_name, settled_in
from sims.settlement.picture import picture
from sims.settlement.settling import COIN
from sims.settlement.study import Study, Through
from sims.settlement.weekends import Weekends
from sims.statistics import Estimate

_PAGE = """\
<!doctype html><html lang="en"><meta charset="utf-8"><title>Coin or dollar settlement</title>
<style>body{{font:15px/1.5 sans-serif;max-width:80rem;margin:2rem auto;padding:0 1rem}}
table{{border-collapse:collapse;margin:1rem 0}}td,th{{padding:.15rem .6rem;text-align:right}}
td:first-child,th:first-child{{text-align:left}}tr.coin{{background:#e8f1f8}}img{{width:100%}}
</style><h1>Coin or dollar settlement</h1><p>{about}</p><p>{verdict}</p>
<img alt="cover, payers and uncovered weekends" src="data:image/png;base64,{picture}">
{tables}<p>{legend}</p></html>
"""

LEGEND = (
    "In % of what both pools have, in tokens, unless a column says otherwise. Cover is what they "
    "have over the most they can be asked; it is uncovered below 1. Who pays is counted as if "
    "every promise were called in full. Bought back is the part of each position a dollar venue "
    "has to close at the opening for locks to be backed again. ± is a standard error; 0 was not "
    "seen on any path."
)


class Sheet(NamedTuple):
    """A table: its title, its head, and rows with whether each is of coin settlement."""

    title: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]
    is_coin: list[bool]


def percent(found: Estimate, digits: int = 1) -> str:
    """Return a share in % with its standard error."""
    if found.value == 0.0:
        return "0"
    return f"{100.0 * found.value:.{digits}f} ± {100.0 * found.error:.{digits}f}"


def ratio(found: Estimate) -> str:
    """Return a ratio with its standard error."""
    return f"{found.value:.3f} ± {found.error:.3f}"


def _through_row(row: Through) -> tuple[str, ...]:
    return (
        gap_name(row.gap),
        settled_in(row.settlement, row.idle),
        ratio(row.cover),
        ratio(row.cover_low),
        percent(row.uncovered),
        percent(row.by_main),
        percent(row.by_insurance),
        percent(row.missing),
        percent(row.missing_dollars),
        ratio(row.holder_dollars),
        percent(row.extra),
        percent(row.forced),
        percent(row.broken),
    )


_THROUGH_HEAD = (
    "gap",
    "settled in",
    "cover",
    "cover, 5 %",
    "P(uncovered)",
    "main pays",
    "insurance pays",
    "missing",
    "missing, USD",
    "USD got per USD promised",
    "main pays more at marks",
    "bought back",
    "P(marks unpaid), indices ±30 %",
)
_WEEKENDS_HEAD = (
    "settled in",
    "left idle",
    "book kept",
    "P(uncovered) a weekend",
    "in a year",
    "missing of promises",
    "missing, worst of 1,000",
    "bought back",
)


def weekends_row(row: Weekends) -> tuple[str, ...]:
    """Return the cells of one row about drawn weekends."""
    return (
        row.settlement,
        f"{100.0 * row.idle:.0f} %",
        percent(row.kept),
        percent(row.uncovered, 3),
        percent(row.in_a_year),
        percent(row.missing, 4),
        percent(row.worst),
        percent(row.forced, 3),
    )


def through_sheet(study: Study) -> Sheet:
    """Return the table of both settlements through each gap."""
    return Sheet(
        "The same pools through a gap",
        _THROUGH_HEAD,
        [_through_row(row) for row in study.through],
        [row.settlement == COIN for row in study.through],
    )


def weekends_sheet(study: Study) -> Sheet:
    """Return the table of drawn weekends."""
    return Sheet(
        f"Weekends of {study.stock} by the calibrated law",
        _WEEKENDS_HEAD,
        [weekends_row(row) for row in study.weekends],
        [row.settlement == COIN for row in study.weekends],
    )


def about(study: Study) -> str:
    """Return what was run, in a sentence."""
    return (
        f"{study.mornings.main.size} histories of BTC and ETH with the book of a busy pool, run by "
        f"the exchange's own kernels until a Monday's opening (seed {study.seed}). Until then both "
        "settlements hold and owe the same tokens."
    )


def verdict(study: Study) -> str:
    """Return what the gap singled out does, in a sentence or two."""
    rows = (row for row in study.through if row.gap == study.gap and row.idle == 0.0)
    coin, dollar = rows
    return (
        f"A gap of {gap_name(study.gap)}: settled in the token the pools have "
        f"{ratio(coin.cover)} of what they can be asked, settled in dollars "
        f"{ratio(dollar.cover)}. Promises are uncovered on {percent(coin.uncovered)} % and "
        f"{percent(dollar.uncovered)} % of paths. Called in full, tokens worth "
        f"{percent(coin.missing)} % and {percent(dollar.missing)} % of what the pools have are "
        "missing."
    )


def to_json(study: Study) -> str:
    """Return every figure with its standard error."""

    def plain(row: Through | Weekends) -> dict[str, Any]:
        return {
            name: each._asdict() if isinstance(each, Estimate) else each
            for name, each in row._asdict().items()
        }

    found: dict[str, Any] = {
        "stock": study.stock,
        "gap": study.gap,
        "seed": study.seed,
        "paths": study.mornings.main.size,
        "through": [plain(row) for row in study.through],
        "weekends": [plain(row) for row in study.weekends],
    }
    return json.dumps(found, indent=1) + "\n"


def page(study: Study) -> str:
    """Return a page of HTML that needs no other file."""
    sheets = (through_sheet(study), weekends_sheet(study))
    return _PAGE.format(
        about=html.escape(about(study)),
        verdict=html.escape(verdict(study)),
        legend=html.escape(LEGEND),
        picture=base64.b64encode(picture(study)).decode(),
        tables="".join(map(_html_table, sheets)),
    )


def _html_table(sheet: Sheet) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        return "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells)

    body = "".join(
        f"<tr{' class=coin' if is_coin else ''}>{row(cells, 'td')}</tr>"
        for cells, is_coin in zip(sheet.rows, sheet.is_coin, strict=True)
    )
    head = row(sheet.head, "th")
    return f"<h2>{html.escape(sheet.title)}</h2><table><tr>{head}</tr>{body}</table>"
