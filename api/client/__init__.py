"""A client of the exchange: `Client` for ordinary programs, `AsyncClient` for asyncio.

    from api.client import Client

    with Client("http://127.0.0.1:8080", key="...", secret="...") as client:
        quote = client.quote("BTC-TSLA.M-100000-C", "2")
        order = client.open("BTC-TSLA.M-100000-C", "2", limit_total=quote.total)
        client.close(order.position_id)

Both have the same methods, with the same arguments. What they return are the structs of
`api.wire`; lists come lazily, page by page. Amounts are given as text, integers or
`decimal.Decimal`, never as floats, and come back as text.

Every mutation carries an idempotency key, so it is sent again where no answer came, and happens
once. Errors are those of `api.client.errors`.
"""

from api.client.amounts import AmountLike
from api.client.errors import (
    BadRequestError,
    ConflictError,
    EvergammaError,
    ForbiddenError,
    MalformedAnswerError,
    NotFoundError,
    ProblemError,
    RateLimitedError,
    RefusedError,
    RequestTimeoutError,
    TransportError,
    UnauthorizedError,
    UnavailableError,
)
from api.client.stream import Update
from api.client.transports import AsyncClient, Client

__all__ = [
    "AmountLike",
    "AsyncClient",
    "BadRequestError",
    "Client",
    "ConflictError",
    "EvergammaError",
    "ForbiddenError",
    "MalformedAnswerError",
    "NotFoundError",
    "ProblemError",
    "RateLimitedError",
    "RefusedError",
    "RequestTimeoutError",
    "TransportError",
    "UnauthorizedError",
    "UnavailableError",
    "Update",
]
