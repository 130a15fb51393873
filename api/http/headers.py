"""Headers as a scope has them: names in lower case, names and values in bytes."""

from litestar.types import Scope

from api import signing


def name_of(header: str) -> bytes:
    """Return the name of a header as a scope has it."""
    return header.lower().encode()


KEY = name_of(signing.KEY)
TIMESTAMP = name_of(signing.TIMESTAMP)
SIGNATURE = name_of(signing.SIGNATURE)
IDEMPOTENCY_KEY = name_of(signing.IDEMPOTENCY_KEY)
REQUEST_ID = name_of(signing.REQUEST_ID)


def value_of(scope: Scope, name: bytes) -> str:
    """Return the first value of a header, empty where there is none."""
    for found, value in scope["headers"]:
        if found == name:
            return value.decode("latin-1")
    return ""
