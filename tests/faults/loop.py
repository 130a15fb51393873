"""An event loop that lives in a time of its own: nothing waits, and every run is the same."""

import asyncio
import random
import selectors
from collections.abc import Callable
from typing import Any


class StuckError(AssertionError):
    """Nothing is due and nothing can come: somebody would wait for ever."""


class _Selector(selectors.DefaultSelector):
    """Lets the time of its loop go on where a real one would wait."""

    def __init__(self, go_on: Callable[[float | None], None]) -> None:
        super().__init__()
        self._go_on = go_on

    def select(self, timeout: float | None = None) -> Any:
        """Return what is there now."""
        self._go_on(timeout)
        return super().select(0)


class SimulatedLoop(asyncio.SelectorEventLoop):
    """A loop whose threads are turns of its own, begun a random moment after they were asked for.

    So a commit takes its time, and what comes in meanwhile is decided by the seed alone.
    """

    def __init__(self, chance: random.Random) -> None:
        self._now = 0.0
        self._chance = chance
        super().__init__(_Selector(self._wait))

    def time(self) -> float:
        """Return the seconds since it began."""
        return self._now

    def _wait(self, timeout: float | None) -> None:
        if timeout is None:
            raise StuckError
        self._now += max(0.0, timeout)

    def run_in_executor(self, _executor: Any, function: Any, *arguments: Any) -> Any:
        """Call a function some milliseconds later; its result comes as a thread's would."""
        done = self.create_future()

        def call() -> None:
            try:
                result = function(*arguments)
            except BaseException as error:  # noqa: BLE001 - it is whoever waits who gets it
                done.set_exception(error)
            else:
                done.set_result(result)

        self.call_later(self._chance.uniform(0.0, 0.02), call)
        return done
