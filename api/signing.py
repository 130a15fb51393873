"""How a request is signed, for server and client alike.

The signature is the hex HMAC-SHA256, under the key's secret, of five lines: timestamp in
milliseconds, method, target (path and query as sent), idempotency key or nothing, and the hex
SHA-256 of the body. A secret is never stored: it is the HMAC-SHA256 of the key's id under the
master key of the exchange.
"""

import hashlib
import hmac

KEY = "EG-Key"
TIMESTAMP = "EG-Timestamp"
SIGNATURE = "EG-Signature"
IDEMPOTENCY_KEY = "Idempotency-Key"
REQUEST_ID = "EG-Request"
WINDOW_MS = 30_000
"""A signature is good this long before and after its timestamp."""


def secret_of(master_key: bytes, key_id: str) -> str:
    """Return the secret of a key, hex."""
    return hmac.digest(master_key, key_id.encode(), "sha256").hex()


def signature(
    secret: str, timestamp: int | str, method: str, target: str, idempotency_key: str, body: bytes
) -> str:
    """Return the signature of a request, hex."""
    digest = hashlib.sha256(body).hexdigest()
    lines = f"{timestamp}\n{method}\n{target}\n{idempotency_key}\n{digest}"
    return hmac.digest(secret.encode(), lines.encode(), "sha256").hex()
