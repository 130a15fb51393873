"""A connection to PostgreSQL that does not wait for ever.

A peer that is gone the operating system notices. A server that is there and says nothing, because
its disk is stuck, its process is stopped, or a standby it has to wait for is missing, only the one
who waits can give up.
"""

import math
from collections.abc import Generator
from time import monotonic
from typing import Any

import psycopg
from sqlalchemy import Engine, event


class Driver(psycopg.Connection[Any]):
    """A connection that is closed when its server says nothing for too long.

    Attributes:
        silence_max: Seconds the server may say nothing while it is waited for.
    """

    silence_max = math.inf

    def wait(self, gen: Generator[Any, Any, Any], *args: Any, **kwargs: Any) -> Any:
        """Wait for what the server says.

        Raises:
            psycopg.OperationalError: It said nothing; the connection is closed.
        """
        return super().wait(self._heard(gen), *args, **kwargs)

    def _heard(self, talk: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """Go on with a talk as long as there is something to hear."""
        try:
            wanted = next(talk)
            heard_at = monotonic()
            while True:
                ready = yield wanted
                if ready:
                    heard_at = monotonic()
                elif monotonic() - heard_at > self.silence_max:
                    self.pgconn.finish()
                    raise psycopg.OperationalError("the server does not answer")
                wanted = talk.send(ready)
        except StopIteration as end:
            return end.value


def bound(engine: Engine, silence_max: float) -> Engine:
    """Have the connections of an engine of PostgreSQL's bear so many seconds of silence."""

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: Any, _record: Any, args: list[Any], given: dict[str, Any]) -> Driver:
        driver = Driver.connect(*args, **given)
        driver.silence_max = silence_max
        return driver

    return engine
