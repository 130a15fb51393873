"""Bodies, read as what their routes take and as nothing that only resembles it."""

import re
from functools import cache
from typing import Any

import msgspec
from litestar import Request

from api.http.problems import ProblemError

_PLACE = re.compile(r"^(.*) - at `\$\.?(.+)`$")


class BodyRequest(Request[Any, Any, Any]):
    """A request whose body is decoded as the struct of its route.

    The framework's own way is lenient: it would take "1" for a number and 1 for yes.
    """

    async def json(self) -> Any:
        """Return the body as its route takes it.

        Raises:
            ProblemError: It is not JSON, or not that.
        """
        kind = self.route_handler.parsed_fn_signature.parameters["data"].annotation
        return read_body(decoder(kind), await self.body())


@cache
def decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    """Return what reads bodies of a kind."""
    return msgspec.json.Decoder(kind)


def read_body(reader: msgspec.json.Decoder[Any], body: bytes) -> Any:
    """Return a body as its route takes it.

    Raises:
        ProblemError: It is not JSON, or not that.
    """
    if not body:
        raise ProblemError("MALFORMED", "A JSON object is needed.", field="body")
    try:
        return reader.decode(body)
    except msgspec.DecodeError as error:
        raise _malformed(str(error)) from None
    except RecursionError:
        raise _malformed("The body is nested too deeply") from None


def _malformed(message: str) -> ProblemError:
    """Return the problem of a body, with the place where it is wrong if there is one."""
    place = _PLACE.match(message)
    text, field = place.groups() if place else (message, "body")
    return ProblemError("MALFORMED", f"{text}.", field=field)
