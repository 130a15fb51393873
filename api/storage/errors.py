"""Why a database cannot be used."""


class StoreError(Exception):
    """The database cannot be used; the message says why in one line."""


class SupersededError(StoreError):
    """Another process is the writer now; this one must end and begin again as a standby."""


class TokenElsewhereError(StoreError):
    """Another shard lists a token, and only one may."""

    def __init__(self, token: str, shard: str) -> None:
        super().__init__(f"{token} belongs to the shard {shard}")
        self.token, self.shard = token, shard


def reason_of(error: BaseException) -> str:
    """Return what a driver says of a failure, in one line."""
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__
