"""Kill the server under load, start it again, and look for what was lost or done twice.

python -m tests.benchmarks.kill --times 20
"""

import argparse
import asyncio
import random
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from api.client import AsyncClient, ProblemError, RefusedError, TransportError
from api.wire import Key, Order
from tests.benchmarks.serving import Server

CONNECTIONS = 8
LOT = "0.01"
CLOSED_SHARE = 0.3
LOAD_SECONDS = (0.5, 2.0)
"""The server is killed at some moment between these."""


class Sent(NamedTuple):
    """An order as it was sent; an open of a series or a close of a position."""

    idempotency_key: str
    client_id: str
    opens: str = ""
    closes: str = ""

    async def send(self, client: AsyncClient) -> Order:
        """Send it, the first time or again."""
        names = {"client_id": self.client_id, "idempotency_key": self.idempotency_key}
        if self.opens:
            return await client.open(self.opens, LOT, limit_total=LOT, **names)
        return await client.close(self.closes, LOT, **names)

    async def outcome(self, client: AsyncClient) -> Order | tuple[str, str | None]:
        """Send it; return the order, or why it is refused and the number it was refused under."""
        try:
            return await self.send(client)
        except RefusedError as refused:
            return refused.code, refused.order_id


@dataclass
class Trader:
    """An account that trades, and what it knows of its orders.

    Attributes:
        key: Its key.
        acknowledged: Orders that were answered.
        refused: Client ids of orders that were refused.
        unanswered: Orders nobody answered.
        held: A position's id for each lot that may be sold.
    """

    key: Key
    acknowledged: list[tuple[Sent, Order]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    unanswered: list[Sent] = field(default_factory=list)
    held: list[str] = field(default_factory=list)

    def client(self, url: str, retries: int) -> AsyncClient:
        """Return a client with the account's key."""
        return AsyncClient(url, self.key.id, self.key.secret, retries=retries)

    async def trade(self, url: str, series: list[str], chance: random.Random) -> None:
        """Trade until the server is gone."""
        async with self.client(url, retries=0) as client:
            while not self.unanswered:
                await self._trade_once(client, series, chance)

    async def _trade_once(
        self, client: AsyncClient, series: list[str], chance: random.Random
    ) -> None:
        sent = Sent(str(uuid4()), f"c-{uuid4()}", opens=chance.choice(series))
        if self.held and chance.random() < CLOSED_SHARE:
            lot = self.held.pop(chance.randrange(len(self.held)))
            sent = sent._replace(opens="", closes=lot)
        try:
            order = await sent.send(client)
        except RefusedError:
            self.refused.append(sent.client_id)
        except (TransportError, ProblemError):
            self.unanswered.append(sent)
        else:
            self.acknowledged.append((sent, order))
            if sent.opens and order.position_id is not None:
                self.held.append(order.position_id)

    async def verify(self, url: str) -> None:
        """Look for every acknowledged order, send the others again, and count trades.

        Raises:
            AssertionError: Something was lost, changed, or done twice.
        """
        async with self.client(url, retries=3) as client:
            for sent, order in self.acknowledged:
                found = await client.order(order.id)
                assert found == order, f"{found} was acknowledged as {order}"
                assert found.client_id == sent.client_id
            repeated = [await self._repeat(client, sent) for sent in self.unanswered]
            done = [order for _, order in self.acknowledged] + [each for each in repeated if each]
            filled = Counter(order.client_id for order in done if order.status == "filled")
            traded = Counter([trade.client_id async for trade in client.trades()])
        assert traded == filled, f"twice or lost: {traded - filled or filled - traded}"
        assert set(filled.values()) <= {1}

    async def _repeat(self, client: AsyncClient, sent: Sent) -> Order | None:
        """Send an order again, twice: both have the same answer; None where it is refused."""
        first, again = await sent.outcome(client), await sent.outcome(client)
        assert first == again, f"{again} when sent again, after {first}"
        return first if isinstance(first, Order) else None


class Found(NamedTuple):
    """What one kill has met; all of it was verified."""

    acknowledged: int
    refused: int
    unanswered: int


async def _load(server: Server, traders: list[Trader], chance: random.Random) -> None:
    """Trade on every connection, and kill the server in the midst of it."""
    series = server.series(8)
    trading = [asyncio.create_task(each.trade(server.url, series, chance)) for each in traders]
    await asyncio.sleep(chance.uniform(*LOAD_SECONDS))
    server.kill()
    await asyncio.gather(*trading)


async def _verify(url: str, traders: list[Trader]) -> None:
    await asyncio.gather(*(each.verify(url) for each in traders))


def kill_once(folder: Path, seed: int) -> Found:
    """Run a server under load, kill it, start it again, and verify everything.

    Raises:
        AssertionError: Something was lost or done twice, or does not add up.
    """
    chance = random.Random(seed)  # noqa: S311 - when to kill is no secret
    with Server(folder) as server:
        traders = [Trader(key) for key in server.fund(CONNECTIONS, "1000")]
        asyncio.run(_load(server, traders, chance))
        server.restart()
        asyncio.run(_verify(server.url, traders))
        server.assert_conserved()
    return Found(
        sum(len(each.acknowledged) for each in traders),
        sum(len(each.refused) for each in traders),
        sum(len(each.unanswered) for each in traders),
    )


def main() -> None:
    """Kill as often as asked for."""
    parser = argparse.ArgumentParser(description="Kill the server under load, and verify.")
    parser.add_argument("--times", type=int, default=20)
    times = parser.parse_args().times
    for seed in range(times):
        with tempfile.TemporaryDirectory() as folder:
            found = kill_once(Path(folder), seed)
        print(  # noqa: T201
            f"{seed + 1} of {times}: {found.acknowledged} acknowledged, all there; "
            f"{found.unanswered} unanswered, done once when sent again; {found.refused} refused"
        )


if __name__ == "__main__":
    main()
