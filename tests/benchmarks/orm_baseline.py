"""What the exchange is compared with: a small service with an ORM session for each request.

Same server, same signature check, same SQLite (WAL, synchronous FULL, BEGIN IMMEDIATE); one trade
inserts a row and updates an account, a pool and a position. No rule is checked and nothing is
priced. Requests are carried out one after another on the loop, which is the kindest to it: no
thread waits for another's lock.
"""

import argparse
import hmac
import socket
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from litestar import Litestar, Request, Response, post
from sqlalchemy import UniqueConstraint, create_engine, event, select
from sqlalchemy.engine import Engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from amm.units import ONE, parse_amount
from api.signing import IDEMPOTENCY_KEY, KEY, SIGNATURE, TIMESTAMP, secret_of, signature
from api.wire import OrderRequest

MASTER_KEY = b"of the baseline"
PRICE_PPM = 25_000
ACCOUNTS = 1_000


def account_key(number: int) -> tuple[str, str]:
    """Return the id and the secret of an account's key."""
    key_id = f"trader-{number}"
    return key_id, secret_of(MASTER_KEY, key_id)


class Base(DeclarativeBase):
    """Tables of the baseline."""


class Account(Base):
    """A balance."""

    __tablename__ = "account"
    name: Mapped[str] = mapped_column(primary_key=True)
    balance: Mapped[int]


class Pool(Base):
    """The other side of every trade."""

    __tablename__ = "pool"
    token: Mapped[str] = mapped_column(primary_key=True)
    balance: Mapped[int]


class Position(Base):
    """Notional of a series held by an account."""

    __tablename__ = "position"
    __table_args__ = (UniqueConstraint("account", "instrument"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    account: Mapped[str]
    instrument: Mapped[str]
    notional: Mapped[int]


class Trade(Base):
    """A trade, under the idempotency key of its order."""

    __tablename__ = "trade"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    account: Mapped[str]
    instrument: Mapped[str]
    notional: Mapped[int]
    total: Mapped[int]


def engine_of(database: Path) -> Engine:
    """Return an engine whose transactions are durable and begin with the write lock."""
    engine = create_engine(f"sqlite:///{database}")

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: object) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def fill(engine: Engine, token: str) -> None:
    """Create the tables, the accounts and a pool."""
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        names = (account_key(number)[0] for number in range(ACCOUNTS))
        session.add_all(Account(name=name, balance=1_000 * ONE) for name in names)
        session.add(Pool(token=token, balance=0))
        session.commit()


def trade(engine: Engine, account: str, key: str, order: OrderRequest) -> dict[str, str]:
    """Book a trade in one session."""
    notional = parse_amount(order.notional)
    total = notional * PRICE_PPM // 1_000_000
    with Session(engine) as session:
        booked = Trade(
            key=key, account=account, instrument=order.instrument, notional=notional, total=total
        )
        session.add(booked)
        session.get_one(Account, account).balance -= total
        session.get_one(Pool, order.instrument.split("-")[1]).balance += total
        held = session.scalar(
            select(Position).where(
                Position.account == account, Position.instrument == order.instrument
            )
        )
        if held is None:
            held = Position(account=account, instrument=order.instrument, notional=0)
            session.add(held)
        held.notional += notional
        session.flush()
        answer = {"id": str(booked.id), "status": "filled", "position_id": str(held.id)}
        session.commit()
    return answer


def application(engine: Engine) -> Litestar:
    """Return the service."""
    secrets = dict(map(account_key, range(ACCOUNTS)))

    @post("/v1/orders")
    async def orders(request: Request[Any, Any, Any]) -> Response[dict[str, str]]:
        body = await request.body()
        account, key = request.headers[KEY], request.headers[IDEMPOTENCY_KEY]
        stamp, given = request.headers[TIMESTAMP], request.headers[SIGNATURE]
        expected = signature(secrets[account], stamp, "POST", "/v1/orders", key, body)
        if not hmac.compare_digest(expected, given):
            return Response({"detail": "wrong signature"}, status_code=401)
        order = msgspec.json.decode(body, type=OrderRequest)
        return Response(trade(engine, account, key, order), status_code=201)

    return Litestar([orders], openapi_config=None)


def main() -> None:
    """Serve on a free port until told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--database", type=Path, required=True)
    parser.add_argument("--token", required=True)
    given = parser.parse_args()
    engine = engine_of(given.database)
    fill(engine, given.token)
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)  # noqa: T201
    config = uvicorn.Config(application(engine), log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
