"""Findings of sweeps, tornados, frontiers and searches, as reports."""

from collections.abc import Sequence
from typing import Any

from sims.scenarios.file import ScenarioFile
from sims.statistics import Estimate
from sims.sweeps.figures import FIGURES
from sims.sweeps.frontier import DEVIATIONS, Standing, places_of
from sims.sweeps.pictures import draw_effects, draw_frontier, draw_search, draw_tornado
from sims.sweeps.report import Report, Table, about, heads, legend, origin, plain
from sims.sweeps.suggest import Found, Limit, Suggestion
from sims.sweeps.sweep import Row, Sweep, rows_of
from sims.sweeps.tornado import Swing, swings_of
from sims.sweeps.wording import number, percent, percent_more, settings_told

_SHORT = ("pnl", "shortfall", "deep", "phi", "refused")
"""Figures that fit on a terminal."""
_COST = ("pnl", "shortfall", "phi", "refused")
"""Figures that tell what keeping a limit costs."""
TORNADO = ("pnl", "shortfall")


def _row_content(row: Row) -> dict[str, Any]:
    return {
        "settings": row.settings,
        "figures": {name: plain(each.estimate) for name, each in row.measured.items()},
        "more_than_first": {name: plain(each) for name, each in row.more.items()},
    }


def _missing(sweep: Sweep) -> list[str]:
    """Return a sentence where a sweep was not ended."""
    missing = len(sweep.settings) - len(sweep.done)
    said = f"{missing} of {len(sweep.settings)} points have not been run whole."
    return [said] if missing else []


def sweep_report(sweep: Sweep, pool: int = 0) -> Report:
    """Return every point with its figures."""
    rows, base = rows_of(sweep, pool), sweep.base
    sentences = [about(base, pool), *_missing(sweep)]

    def table(title: str, names: Sequence[str], *, is_more: bool = False) -> Table:
        lines = [
            [settings_told(row.settings)]
            + [percent_more(row.more[name]) for name in names if is_more]
            + [percent(row.measured[name].estimate) for name in names if not is_more]
            for row in rows[is_more:]
        ]
        return Table(title, ["point", *heads(names)], lines)

    sentences.append(legend(list(FIGURES)))
    tables = [
        table("Points", _SHORT),
        table("More than the scenario as it is, points of %", _SHORT, is_more=True),
        table("All figures", list(FIGURES)),
    ]
    content = {**origin(base, pool), "points": [_row_content(row) for row in rows]}
    picture = draw_effects(rows, sweep.names)
    return Report("sweep", f"Sweep of {base.name}", sentences, tables, picture, content)


def tornado_report(sweep: Sweep, figures: Sequence[str] = TORNADO, pool: int = 0) -> Report:
    """Return what both ends of each setting do to some figures."""
    rows, base = rows_of(sweep, pool), sweep.base
    swings = {name: swings_of(rows, name) for name in figures}
    sentences = [about(base, pool)]
    for name, found in swings.items():
        widest = found[0]
        sentences.append(
            f"{FIGURES[name].title}: {percent(widest.base)} % as it is. {widest.setting} moves it "
            f"most: {percent_more(widest.less)} points at {number(widest.low)}, "
            f"{percent_more(widest.more)} at {number(widest.high)}."
        )
    tables = [_tornado_table(name, found) for name, found in swings.items()]
    content = {
        **origin(base, pool),
        "tornado": {
            name: [_swing_content(each) for each in found] for name, found in swings.items()
        },
    }
    picture = draw_tornado(swings)
    return Report("tornado", f"What moves {base.name}", sentences, tables, picture, content)


def _tornado_table(figure: str, swings: Sequence[Swing]) -> Table:
    lines = [
        [
            each.setting, number(each.low), number(each.high), percent(each.at_low),
            percent(each.at_high), percent_more(each.less), percent_more(each.more),
        ]
        for each in swings
    ]  # fmt: skip
    head = ["setting", "low", "high", "at low", "at high", "low less base", "high less base"]
    return Table(f"{FIGURES[figure].title}, %", head, lines)


def _swing_content(swing: Swing) -> dict[str, Any]:
    fields = swing._asdict()
    return {
        name: plain(each) if isinstance(each, Estimate) else each for name, each in fields.items()
    }


def frontier_report(sweep: Sweep, pool: int = 0) -> Report:
    """Return which points are efficient: none earns more for less shortfall."""
    rows, base = rows_of(sweep, pool), sweep.base
    places = places_of(rows)
    count = sum(place.standing is Standing.EFFICIENT for place in places)
    sure = sum(place.standing is Standing.DOMINATED for place in places)
    sentences = [
        about(base, pool),
        *_missing(sweep),
        f"{count} of {len(places)} points are efficient: none earns more at less shortfall.",
        f"{sure} are dominated: another is better in both, by more than {DEVIATIONS} errors.",
    ]
    ranked = sorted(places, key=lambda place: place.shortfall.value)
    lines = [
        [
            settings_told(place.settings), percent(place.mean), percent(place.shortfall),
            place.standing if place.by is None
            else f"{place.standing} by {settings_told(places[place.by].settings)}",
        ]
        for place in ranked
    ]  # fmt: skip
    tables = [Table("By shortfall", ["point", *heads(("pnl", "shortfall")), "standing"], lines)]
    content = {
        **origin(base, pool),
        "points": [
            {
                "settings": place.settings,
                "mean": plain(place.mean),
                "shortfall": plain(place.shortfall),
                "covariance": place.covariance,
                "standing": str(place.standing),
                "dominated_by": place.by,
            }
            for place in places
        ],
    }
    title = f"Efficient frontier of {base.name}"
    return Report("frontier", title, sentences, tables, draw_frontier(places), content)


def verdict(found: Suggestion, setting: str, limit: Limit) -> str:
    """Return in a sentence how far a setting may go."""
    claim = (
        f"P(drawdown > {100 * limit.depth:g} %) <= {100 * limit.chance:g} % with "
        f"{100 * limit.confidence:g} % confidence"
    )
    low, high = number(found.probes[0].value), number(found.probes[-1].value)
    if found.found is Found.EVERY:
        return (
            f"{claim}: holds at both ends of {setting}, {low} and {high}, and between; "
            "widen the range."
        )
    if found.found is Found.TURNS:
        ends, middle = ("holds", "not") if found.probes[0].keeps else ("does not hold", "but")
        return (
            f"{claim}: {ends} at both ends of {setting}, {low} and {high}, {middle} at "
            f"{number(found.probes[1].value)}; no value is named: search one side of it."
        )
    if found.best is None or found.beyond is None:
        return (
            f"{claim}: holds at neither end of {setting}, {low} and {high}, nor between; no value "
            "is named."
        )
    return (
        f"{claim}: holds at {setting} = {number(found.best.value)}, the {found.found} value found; "
        f"not at {number(found.beyond.value)}."
    )


def suggestion_report(
    base: ScenarioFile, setting: str, limit: Limit, found: Suggestion, pool: int = 0
) -> Report:
    """Return how far a setting may go, and every value tried."""
    sentences = [verdict(found, setting, limit)]
    if not found.is_monotone:
        sentences.append(
            "Probabilities did not only rise or only fall with the setting: look at every value, "
            "and take more paths."
        )
    sentences += [about(base, pool), legend(_COST)]
    lines = [
        [
            number(probe.value), percent(probe.chance), f"{100 * probe.bound:.2f}",
            "yes" if probe.keeps else "no",
            *(percent(probe.figures[name]) for name in _COST),
        ]
        for probe in found.probes
    ]  # fmt: skip
    head = [setting, "P, %", "bound, %", "keeps"]
    title = f"P(drawdown > {100 * limit.depth:g} %), its upper bound, and what it costs"
    tables = [Table(title, [*head, *heads(_COST)], lines)]
    content = {
        **origin(base, pool),
        "setting": setting,
        "limit": limit._asdict(),
        "found": str(found.found),
        "value": None if found.best is None else found.best.value,
        "is_monotone": found.is_monotone,
        "probes": [
            probe._asdict()
            | {"chance": plain(probe.chance)}
            | {"figures": {name: plain(each) for name, each in probe.figures.items()}}
            for probe in found.probes
        ],
    }
    title = f"How far {setting} may go in {base.name}"
    return Report("suggest", title, sentences, tables, draw_search(found, setting, limit), content)
