"""Who may do what, as routes say it."""

from typing import Any

from litestar.openapi.spec import SecurityScheme

from api import signing
from api.http.problems import documented

READERS = frozenset({"read", "trade", "provide", "risk", "operator"})
TRADERS = frozenset({"trade"})
PROVIDERS = frozenset({"provide"})
OWNERS = TRADERS | PROVIDERS
RISK_TEAMS = frozenset({"risk"})
OPERATORS = frozenset({"operator"})
READ = documented(400, 401, 403, 413, 429, 503)
READ_ONE = documented(400, 401, 403, 404, 413, 429, 503)
WRITE = documented(400, 401, 403, 404, 409, 413, 421, 422, 429, 503)

SIGNED: list[dict[str, list[str]]] = [
    {signing.KEY: [], signing.TIMESTAMP: [], signing.SIGNATURE: []}
]
OPERATED: dict[str, Any] = {
    "responses": WRITE,
    "opt": {"roles": OPERATORS, "audited": True},
    "tags": ["operator"],
    "security": SIGNED,
}
"""What routes say that operators change something with."""
SOON = "soon"
OPERATED_OFTEN: dict[str, Any] = OPERATED | {"opt": OPERATED["opt"] | {"audited": SOON}}
"""The same where it is done by the second: the answer does not wait for the audit trail."""
OPERATED_READ: dict[str, Any] = OPERATED | {"responses": READ}
"""What routes say that only operators read; who tried to is written down."""
SCHEMES: dict[str, Any] = {
    signing.KEY: SecurityScheme(
        type="apiKey",
        name=signing.KEY,
        security_scheme_in="header",
        description="Id of the key.",
    ),
    signing.TIMESTAMP: SecurityScheme(
        type="apiKey",
        name=signing.TIMESTAMP,
        security_scheme_in="header",
        description="Milliseconds UTC, at most 30 seconds off.",
    ),
    signing.SIGNATURE: SecurityScheme(
        type="apiKey",
        name=signing.SIGNATURE,
        security_scheme_in="header",
        description=(
            "Hex HMAC-SHA256 under the key's secret of the lines timestamp, METHOD, path?query, "
            "Idempotency-Key or nothing, hex SHA-256 of the body."
        ),
    ),
}
