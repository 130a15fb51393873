"""One token's pools in a scenario file: what is brought to them, and where they differ."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from msgspec import Meta, Struct

from sims.drawdown.scenario import PoolPlan
from sims.scenarios.markets import StockName
from vaults.params import (
    BTC_TERMS,
    ETH_TERMS,
    ParameterError,
    Parameters,
    Terms,
    validate_parameters,
    validate_terms,
    validate_together,
)

_TERMS = {"BTC": BTC_TERMS, "ETH": ETH_TERMS}

Number = int | float
Rules = TypeVar("Rules", Parameters, Terms)


class Pool(Struct, frozen=True, forbid_unknown_fields=True):
    """One token's two pools."""

    token: Annotated[str, Meta(pattern=r"^[A-Z][A-Z0-9.]{0,15}$", description="Its name.")] = (
        "TSLA.M"
    )
    stock: Annotated[
        StockName | None,
        Meta(description="The stock of the market it is; none: its price stands still."),
    ] = None
    main: Annotated[
        float, Meta(ge=1, le=200_000, description="Tokens main LPs bring at the start.")
    ] = 10_000.0
    insurance: Annotated[
        float, Meta(ge=0, le=200_000, description="Tokens insurers bring at the start.")
    ] = 1_500.0
    parameters: Annotated[
        dict[str, Number], Meta(description="What differs from `vaults.params.Parameters`.")
    ] = {}
    terms: Annotated[
        dict[Literal["BTC", "ETH"], dict[str, Number]],
        Meta(description="What differs from `vaults.params.BTC_TERMS` and `ETH_TERMS`."),
    ] = {}

    def plan(self, column: int) -> PoolPlan:
        """Return the pools as they are run; `column` is that of the stock, -1 for none.

        Raises:
            ParameterError: For parameters or terms that cannot be.
        """
        parameters = validate_parameters(_changed(Parameters(), self.parameters))
        bitcoin, ether = (
            validate_terms(_changed(_TERMS[symbol], self.terms.get(symbol, {})))
            for symbol in ("BTC", "ETH")
        )
        for terms in (bitcoin, ether):
            validate_together(parameters, terms)
        return PoolPlan(self.token, column, self.main, self.insurance, parameters, (bitcoin, ether))


def _changed(defaults: Rules, given: Mapping[str, Number]) -> Rules:
    """Return parameters or terms with some of their numbers changed."""
    kinds = type(defaults).__annotations__
    unknown = given.keys() - kinds.keys()
    if unknown:
        raise ParameterError(f"{min(unknown)} is no parameter; see docs/rules.md")
    # What is counted may be written as 1e6; what has a fraction is refused by name.
    whole = {name: value == int(value) for name, value in given.items() if kinds[name] is int}
    changes: dict[str, Any] = {
        name: int(value) if whole.get(name) else value for name, value in given.items()
    }
    return defaults._replace(**changes)
