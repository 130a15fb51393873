"""Kill the server under load, start it again, and look for what was lost or done twice.

python -m tests.faults kill --runs 20 --database postgresql
"""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from api.client import AsyncClient, RefusedError, TransportError, UnavailableError
from api.storage.url import DatabaseUrl
from api.wire import Key, Order
from tests.benchmarks.serving import Server

CONNECTIONS = 8
LOT = "0.01"
CLOSED_SHARE = 0.3
LOAD_ORDERS = (64, 640)
"""Orders acknowledged between which the server is killed, at some moment."""
LOAD_SECONDS = 60.0
"""How long that may take."""


class Refusal(NamedTuple):
    """An order the rules refused, and the number it has all the same."""

    code: str
    order_id: str | None


class Sent(NamedTuple):
    """An order as it was sent; an open of a series or a close of a position."""

    idempotency_key: str
    client_id: str
    opens: str = ""
    closes: str = ""

    async def send(self, client: AsyncClient) -> Order | Refusal:
        """Send it, the first time or again."""
        names = {"client_id": self.client_id, "idempotency_key": self.idempotency_key}
        try:
            if self.opens:
                return await client.open(self.opens, LOT, limit_total=LOT, **names)
            return await client.close(self.closes, LOT, **names)
        except RefusedError as refused:
            return Refusal(refused.code, refused.order_id)


@dataclass
class Trader:
    """An account that trades, and what it knows of its orders.

    Attributes:
        key: Its key.
        acknowledged: Answers since the last kill.
        unanswered: Orders nobody answered since then.
        held: A position's id for each lot that may be sold.
        filled: Client ids of all trades there ought to be.
        told: What came in place of the last answer.
    """

    key: Key
    acknowledged: list[Order | Refusal] = field(default_factory=list)
    unanswered: list[Sent] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    filled: Counter[str | None] = field(default_factory=Counter)
    told: TransportError | UnavailableError | None = None

    def client(self, url: str, retries: int) -> AsyncClient:
        """Return a client with the account's key."""
        return AsyncClient(url, self.key.id, self.key.secret, retries=retries)

    async def trade(self, url: str, series: list[str], chance: random.Random) -> None:
        """Trade until the server is gone."""
        async with self.client(url, retries=0) as client:
            while not self.unanswered:
                sent = self._next(series, chance)
                try:
                    self._book(await sent.send(client))
                except (TransportError, UnavailableError) as error:
                    self.unanswered.append(sent)
                    self.told = error

    def _next(self, series: list[str], chance: random.Random) -> Sent:
        sent = Sent(str(uuid4()), f"c-{uuid4()}")
        if self.held and chance.random() < CLOSED_SHARE:
            return sent._replace(closes=self.held.pop(chance.randrange(len(self.held))))
        return sent._replace(opens=chance.choice(series))

    def _book(self, answer: Order | Refusal) -> None:
        self.acknowledged.append(answer)
        if isinstance(answer, Order) and answer.status == "filled":
            self.filled[answer.client_id] += 1
            if answer.side == "open" and answer.position_id is not None:
                self.held.append(answer.position_id)

    async def verify(self, url: str) -> None:
        """Look for every acknowledged order, send the others again, and count all trades.

        Raises:
            AssertionError: Something was lost, changed, or done twice.
        """
        async with self.client(url, retries=3) as client:
            for answer in self.acknowledged:
                await _look_for(client, answer)
            for sent in self.unanswered:
                first, again = await sent.send(client), await sent.send(client)
                assert first == again, f"{again} when sent again, after {first}"
                self._book(first)
            traded = Counter([trade.client_id async for trade in client.trades()])
        assert set(self.filled.values()) == {1}, "an order was answered as another"
        assert not self.filled - traded, f"lost: {self.filled - traded}"
        assert not traded - self.filled, f"done twice, or never asked for: {traded - self.filled}"


async def _look_for(client: AsyncClient, answer: Order | Refusal) -> None:
    """Make sure that an acknowledged order is what it was said to be."""
    if isinstance(answer, Order):
        found = await client.order(answer.id)
        assert found == answer, f"{found} was acknowledged as {answer}"
    elif answer.order_id is not None:
        found = await client.order(answer.order_id)
        assert (found.status, found.code) == ("refused", answer.code)


class Found(NamedTuple):
    """What one kill has met; all of it was verified."""

    acknowledged: int
    unanswered: int


async def _load(server: Server, traders: list[Trader], chance: random.Random) -> None:
    """Trade on every connection, and kill the server in the midst of it."""
    series = server.series(8)
    for each in traders:
        each.acknowledged.clear()
        each.unanswered.clear()
    trading = [asyncio.create_task(each.trade(server.url, series, chance)) for each in traders]
    enough = chance.randrange(*LOAD_ORDERS)
    async with asyncio.timeout(LOAD_SECONDS):
        while sum(len(each.acknowledged) for each in traders) < enough:
            assert not any(each.done() for each in trading), "an order was not answered"
            await asyncio.sleep(0.002)
    server.kill()
    await asyncio.gather(*trading)


async def _verify(url: str, traders: list[Trader]) -> None:
    await asyncio.gather(*(each.verify(url) for each in traders))


def kill_again_and_again(
    folder: Path, times: int, database: DatabaseUrl | None = None
) -> Iterator[Found]:
    """Run a server under load, kill it, start it again and verify everything, on one database.

    Raises:
        AssertionError: Something was lost or done twice, or does not add up.
    """
    chance = random.Random(times)  # noqa: S311 - when to kill is no secret
    with Server(folder, database) as server:
        traders = [Trader(key) for key in server.fund(CONNECTIONS, "1000")]
        for _ in range(times):
            asyncio.run(_load(server, traders, chance))
            sent = sum(len(each.unanswered) for each in traders)
            done = sum(len(each.acknowledged) for each in traders)
            server.restart()
            server.assert_invariants()
            asyncio.run(_verify(server.url, traders))
            yield Found(done, sent)
        server.stop_and_check()
