"""The tables of one pool: distributions, tails, survival, trouble, money, traders."""

import numpy as np
import numpy.typing as npt

from amm.units import ONE
from sims.reports.figures import Figure, Sample, Tailed, Weeks, probability, ratio
from sims.reports.tables import COUNT, DAYS, SHARE, TOKENS, Column, Row, Table
from sims.runs.results import Results
from sims.statistics import Floats
from vaults.condition import EXHAUSTED_PARTS

YEAR_DAYS = 365.0
WEEK_DAYS = 7
QUANTILES = (0.01, 0.05, 0.25, 0.50, 0.75, 0.95, 0.99)
LEVELS = (0.95, 0.99)
DEPTHS = (0.01, 0.02, 0.05, 0.10, 0.20, 0.30, 0.50)
"""Drawdowns of which it is told how often they are exceeded."""

Bools = npt.NDArray[np.bool_]
Amounts = dict[str, tuple[str, Floats]]


def quantile_name(share: float) -> str:
    """Return the name of a quantile's column, such as `q05`."""
    return f"q{round(100 * share):02d}"


def growth_a_year(change: Floats, days: int) -> Floats:
    """Return the logarithm of growth, a year of 365 days: the exchange's realised APR.

    A share below 1e-4 of its start, which the exchange calls worthless, counts as that.

    Args:
        change: Relative change over a path, shape (paths,).
        days: Length of a path.
    """
    grown = np.maximum(1.0 + change, 1.0 / EXHAUSTED_PARTS)
    return np.asarray(np.log(grown) * YEAR_DAYS / days)


def whole_weeks(prices: Floats, weights: Floats) -> Weeks | None:
    """Return changes of share price over successive weeks; none where paths are shorter.

    Args:
        prices: At the end of each day, shape (paths, days + 1).
        weights: Of these paths.
    """
    ends = np.maximum(prices[:, ::WEEK_DAYS], 1.0 / EXHAUSTED_PARTS)
    if ends.shape[1] < 2:
        return None
    return Weeks(ends[:, 1:] / ends[:, :-1] - 1.0, weights)


class PoolTables:
    """Tables of one pool of a run.

    Attributes:
        start: Tokens main began with, its seed included.
    """

    def __init__(self, results: Results, pool: int) -> None:
        """Stand on the results."""
        self._results = results
        self._pool = pool
        self._days = results.file.days
        self.weights = results.weights
        plan = results.file.pools[pool].plan(-1)
        self.start = plan.main + plan.parameters.seed / ONE

    def total(self, name: str) -> Floats:
        """Return one of `sims.drawdown.outcome.TOTALS`, shape (paths,)."""
        return self._results.total(name, self._pool)

    def distribution(self) -> Table:
        """Return means and quantiles."""
        days = self._days
        main, insurance = self.total("share_price") - 1.0, self.total("insurance_pnl")
        amounts: Amounts = {
            "share_price": ("main share price, change", main),
            "main_pnl": ("main LPs' profit over their start", self.total("main_pnl")),
            "main_apr": ("main share, a year", growth_a_year(main, days)),
            "insurance_pnl": ("insurers' profit over their start", insurance),
            "insurance_apr": ("insurance, a year", growth_a_year(insurance, days)),
            "drawdown": ("largest drawdown of main", self.total("drawdown")),
            "insurance_low": ("lowest insurance over its start", self.total("insurance_low")),
            "utilisation": ("utilisation, mean of a path", self.total("utilisation")),
            "utilisation_max": ("utilisation, highest of a path", self.total("utilisation_max")),
        }
        rows = [self._spread(name, *each, SHARE) for name, each in amounts.items()]
        waits: Amounts = {
            "under_water": ("time under water", days * self.total("under_water")),
            "queue_days": ("longest wait to leave main", self.total("queue_days")),
        }
        rows += [self._spread(name, *each, DAYS) for name, each in waits.items()]
        heads = {"mean": Column("mean")} | {
            quantile_name(share): Column("median" if share == 0.5 else f"{100 * share:.0f} %")
            for share in QUANTILES
        }
        note = (
            "Each column after the mean has the value that so many of 100 paths do not exceed. "
            "A year: logarithm of a share's growth over the path, times 365 over its days; for "
            "insurance, of 1 plus its profit over its start."
        )
        return Table("distribution", "What paths come to", note, heads, tuple(rows))

    def _spread(self, name: str, label: str, values: Floats, unit: str) -> Row:
        sample = Sample(values, self.weights)
        cells = {"mean": sample.mean()}
        cells |= {quantile_name(share): sample.quantile(share) for share in QUANTILES}
        return Row(name, label, unit, cells)

    def tails(self) -> Table:
        """Return value at risk and expected shortfall."""
        samples: Amounts = {
            "worst_week": ("worst seven days of each path", self.total("worst_week")),
            "share_price": ("main share price, whole path", self.total("share_price") - 1.0),
            "main_pnl": ("main LPs' profit, whole path", self.total("main_pnl")),
            "insurance_pnl": ("insurers' profit, whole path", self.total("insurance_pnl")),
        }
        rows = [
            _losses(name, label, Sample(values, self.weights))
            for name, (label, values) in samples.items()
        ]
        prices = self._results.daily("share_price", self._pool).astype(np.float64)
        weeks = whole_weeks(prices, self.weights[: len(prices)])
        if weeks is not None:
            rows.insert(0, _losses("week", "main share price, any week", weeks))
        heads = {}
        for level in LEVELS:
            heads[f"var{100 * level:.0f}"] = Column(f"VaR {100 * level:.0f} %")
            heads[f"es{100 * level:.0f}"] = Column(f"ES {100 * level:.0f} %")
        note = (
            "Losses are positive, parts of what was there at the start. VaR: what 5 or 1 of 100 "
            "exceed; ES: the mean of the worst 5 or 1 of 100. Any week: all weeks from the ends of "
            f"days 0, 7, 14 ... of {len(prices):,} paths."
        )
        return Table("tails", "Losses in the tail", note, heads, tuple(rows))

    def survival(self) -> Table:
        """Return how often drawdowns are exceeded."""
        drawdown = self.total("drawdown")
        rows = tuple(
            self._event(f"above_{100 * depth:.0f}", f"above {100 * depth:.0f} %", drawdown > depth)
            for depth in DEPTHS
        )
        heads = {"paths": Column("share of paths")}
        return Table("survival", "Largest drawdown of a path", "", heads, rows)

    def events(self) -> Table:
        """Return how often pools get into trouble."""
        states = [self.total(name) for name in ("stressed", "winding_down", "exhausted")]
        postponed = self.total("postponed")
        tried = np.maximum(self.total("flushes") + postponed, 1.0)
        often: Amounts = {
            "below_reserve": ("insurance below its reserve", self.total("below_reserve")),
            "not_normal": ("state is not NORMAL", np.sum(states, axis=0)),
            "stressed": ("STRESSED", states[0]),
            "winding_down": ("WINDDOWN", states[1]),
            "exhausted": ("EXHAUSTED", states[2]),
            "queued": ("redemptions from main wait", self.total("queued")),
            "postponed": ("flush postponed: marks not good", postponed / tried),
        }
        rows = (
            self._event("claim", "insurance pays a claim", self.total("claims") > 0.0),
            self._event(
                "shortfall", "insurance pays where main is empty", self.total("shortfall") > 0.0
            ),
            *(self._often(name, *each) for name, each in often.items()),
        )
        heads = {"paths": Column("paths with any"), "flushes": Column("share of flushes")}
        note = "States and reserve are those at flushes; claims are booked at flushes."
        return Table("events", "How often there is trouble", note, heads, rows)

    def _event(self, name: str, label: str, events: Bools) -> Row:
        return Row(name, label, SHARE, {"paths": probability(events, self.weights)})

    def _often(self, name: str, label: str, part: Floats) -> Row:
        row = self._event(name, label, part > 0.0)
        return row._replace(cells=row.cells | {"flushes": Sample(part, self.weights).mean()})

    def money(self) -> Table:
        """Return where the pools' money comes from and goes to."""
        kept = self.total("impact_paid") - self.total("impact_refunded")
        labels = {
            "premium": "premium streamed",
            "rent": "rent of locked capital",
            "to_insurance": "of both, to insurance",
            "spread": "spread",
            "fees": "fees, which are the exchange's",
            "paid_in": "paid in at openings: value, spread, impact",
            "paid_out": "paid out at closings",
            "cashed_out": "paid out at the cap",
            "written_off": "premium nobody could pay",
            "claims": "claims, insurance to main",
            "shortfall": "paid by insurance where main is empty",
            "repaid": "repaid, main to insurance",
            "forgiven": "claims main need not repay: written off",
            "advances": "claims main still owes at the end",
        }
        amounts: Amounts = {name: (label, self.total(name)) for name, label in labels.items()}
        amounts["impact"] = ("impact paid less impact refunded", kept)
        rows = tuple(self._amount(name, *each) for name, each in amounts.items())
        note = f"Means over paths of {self._days} days."
        return Table("money", "Where the money comes from and goes to", note, _AMOUNTS, rows)

    def _amount(self, name: str, label: str, amounts: Floats) -> Row:
        mean = Sample(amounts, self.weights).mean()
        return Row(name, label, TOKENS, {"mean": mean, "part": mean.times(1.0 / self.start)})

    def traders(self) -> Table:
        """Return what traders and LPs asked for, did and made."""
        opened, refused = self.total("opened"), self.total("refused")
        amounts: Amounts = {
            "opened": ("notional opened", opened),
            "refused": ("notional refused", refused),
            "buyers_pnl": ("profit of buyers", self.total("buyers_pnl")),
            "informed_pnl": ("profit of informed traders", self.total("informed_pnl")),
            "brought": ("brought by main LPs after the start", self.total("brought")),
            "taken": ("taken by main LPs", self.total("taken")),
        }
        rows = [self._amount(name, *each) for name, each in amounts.items()]
        for name, label in (("orders", "orders of buyers"), ("trades", "openings and closings")):
            count = Sample(self.total(name), self.weights).mean()
            rows.append(Row(name, label, COUNT, {"mean": count}))
        part = ratio(refused, opened + refused, self.weights)
        rows.append(Row("refused_part", "refused, of all asked for", SHARE, {"mean": part}))
        return Table("traders", "What traders and LPs did", "", _AMOUNTS, tuple(rows))

    def all(self) -> tuple[Table, ...]:
        """Return every table, in the order they are read."""
        return (
            self.distribution(), self.tails(), self.survival(), self.events(), self.money(),
            self.traders(),
        )  # fmt: skip


_AMOUNTS = {"mean": Column("tokens a path"), "part": Column("part of main's start", SHARE)}


def _losses(name: str, label: str, sample: Tailed) -> Row:
    cells: dict[str, Figure] = {}
    for level in LEVELS:
        share = round(1.0 - level, 6)
        cells[f"var{100 * level:.0f}"] = sample.quantile(share).times(-1.0)
        cells[f"es{100 * level:.0f}"] = sample.tail_mean(share).times(-1.0)
    return Row(name, label, SHARE, cells)
