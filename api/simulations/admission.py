"""Which scenarios of callers are run: they name no file of the server, and none is too large."""

from pathlib import Path

from api.simulations.limits import Limits, bytes_of, steps_of
from sims.scenarios.file import ScenarioError, ScenarioFile
from sims.scenarios.markets import BootstrapMarket, ReplayedMarket


class AdmissionError(Exception):
    """A scenario that is not run here.

    Attributes:
        code: Why.
        detail: The same for people.
        more: Field, limit and actual number, where they apply.
    """

    def __init__(self, code: str, detail: str, **more: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.more = more


def admit(file: ScenarioFile, data: Path | None, limits: Limits) -> None:
    """Let a scenario pass that can be run here.

    Args:
        file: The scenario.
        data: Folder of price history, if the server has one.
        limits: Of the server.

    Raises:
        AdmissionError: It cannot.
    """
    market = file.market
    if isinstance(market, BootstrapMarket | ReplayedMarket):
        if market.folder is not None:
            text = "The server chooses where its history is: leave the folder out."
            raise AdmissionError("SCENARIO_REFUSED", text, field="market.folder")
        if data is None:
            text = "This server has no price history, which the market needs."
            raise AdmissionError("NO_HISTORY", text, field="market.model")
    _check_size(file, limits)
    try:
        file.scenario(data)
    except ScenarioError as error:
        field, _, detail = str(error).partition(": ")
        raise AdmissionError("SCENARIO_REFUSED", f"{detail}.", field=field) from None


def _check_size(file: ScenarioFile, limits: Limits) -> None:
    for what, actual, limit in (
        ("steps of all paths and pools", steps_of(file), limits.steps),
        ("bytes of results", bytes_of(file), limits.disk),
    ):
        if actual > limit:
            raise AdmissionError(
                "SIMULATION_TOO_LARGE",
                f"These are {actual} {what}, where the limit is {limit}.",
                limit=str(limit),
                actual=str(actual),
            )
