"""A claim: something that has to hold of the paths of a scenario, in words and in one figure."""

from collections.abc import Collection
from typing import Annotated, Literal

from msgspec import Meta, Struct

from sims.drawdown.outcome import DAILY, TOTALS

Statistic = Literal["mean", "median", "least", "most", "quantile"]


class Claim(Struct, frozen=True, forbid_unknown_fields=True):
    """One statistic of one figure of all paths, and the limits it has to keep."""

    says: Annotated[str, Meta(min_length=1, max_length=500, description="What is claimed.")]
    figure: Annotated[
        str, Meta(description="Of `sims.drawdown.outcome.TOTALS`; with days, of `DAILY`.")
    ]
    statistic: Annotated[Statistic, Meta(description="Of the figure over all paths.")] = "mean"
    share: Annotated[
        Annotated[float, Meta(ge=0, le=1)] | None,
        Meta(description="Of paths at or below the quantile."),
    ] = None
    days: Annotated[
        tuple[int, int] | None,
        Meta(
            description="The change of a daily figure from the end of one day to that of another."
        ),
    ] = None
    pool: Annotated[str | None, Meta(description="Token of the pool; none: each of them.")] = None
    at_least: Annotated[float | None, Meta(description="Lower limit; it is kept by equality.")] = (
        None
    )
    at_most: Annotated[float | None, Meta(description="Upper limit, likewise.")] = None

    def check(self, tokens: Collection[str], days: int, name: str) -> None:
        """Refuse a claim that says nothing of a scenario.

        Args:
            tokens: Of the scenario's pools.
            days: Length of its paths.
            name: What the claim is called in messages.

        Raises:
            ValueError: Always then; the message names the field.
        """
        figures = TOTALS if self.days is None else DAILY
        if self.figure not in figures:
            raise ValueError(f"{name}.figure: {self.figure!r} is none of {', '.join(figures)}")
        if (self.share is None) == (self.statistic == "quantile"):
            raise ValueError(f"{name}.share: goes with the statistic quantile, and only with it")
        if self.pool is not None and self.pool not in tokens:
            raise ValueError(f"{name}.pool: no pool is of {self.pool!r}")
        if self.days is not None and not 0 <= self.days[0] < self.days[1] <= days:
            raise ValueError(f"{name}.days: must be two days in order, from 0 to {days}")
        if self.at_least is None and self.at_most is None:
            raise ValueError(f"{name}: neither at_least nor at_most is given")

    @property
    def limit(self) -> str:
        """What the figure has to keep, such as `≥ -0.15`."""
        if self.at_least is not None and self.at_least == self.at_most:
            return f"= {self.at_least:g}"
        both = (("≥", self.at_least), ("≤", self.at_most))
        return ", ".join(f"{sign} {value:g}" for sign, value in both if value is not None)

    def allows(self, value: float) -> bool:
        """Whether a figure keeps the limits; what is no number does not."""
        least = value if self.at_least is None else self.at_least
        most = value if self.at_most is None else self.at_most
        return least <= value <= most
