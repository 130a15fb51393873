"""Keys as they are held in memory: found by id and by account, forgotten when they may be."""

from heapq import heappop, heappush

from api.access.records import KeyRecord


class HeldKeys:
    """All keys that are known; read from any thread, changed by one at a time.

    Attributes:
        passing: How many of them are of logins.
    """

    def __init__(self) -> None:
        self.passing = 0
        self._of_id: dict[str, KeyRecord] = {}
        self._of_account: dict[str, dict[str, KeyRecord]] = {}
        self._ends: list[tuple[int, str]] = []

    def find(self, key_id: str) -> KeyRecord | None:
        """Return the key with an id."""
        return self._of_id.get(key_id)

    def all(self) -> list[KeyRecord]:
        """Return all keys, oldest first."""
        return sorted(self._of_id.values(), key=_age)

    def of(self, account: str) -> list[KeyRecord]:
        """Return the keys of an account, oldest first."""
        return sorted(self._of_account.get(account, {}).values(), key=_age)

    def family(
        self, record: KeyRecord, *, of_all: bool = False, spared: str | None = None
    ) -> list[KeyRecord]:
        """Return a key and what was made with it, as far as it is not revoked.

        Of its own account, or of all; `spared` and what was made with that is left out.
        """
        of_maker: dict[str | None, list[KeyRecord]] = {}
        for each in self.all() if of_all else self.of(record.account):
            if each.id != spared:
                of_maker.setdefault(each.maker, []).append(each)
        family = [record]
        for each in family:
            family += of_maker.get(each.id, ())
        return [each for each in family if each.revoked_ms is None]

    def put(self, record: KeyRecord) -> None:
        """Know a key as it is now; one that is as it was stays, with the secret it derived."""
        known = self._of_id.get(record.id)
        if known == record:
            return
        self._of_id[record.id] = record
        self._of_account.setdefault(record.account, {})[record.id] = record
        if record.forget_ms is not None:
            self.passing += known is None
            heappush(self._ends, (record.forget_ms, record.id))

    def forget(self, now_ms: int) -> None:
        """Let go of the keys that need not be remembered any more."""
        while self._ends and self._ends[0][0] <= now_ms:
            _, key_id = heappop(self._ends)
            known = self._of_id.get(key_id)
            if known is None or known.forget_ms is None or known.forget_ms > now_ms:
                continue
            del self._of_id[key_id]
            own = self._of_account[known.account]
            del own[key_id]
            if not own:
                del self._of_account[known.account]
            self.passing -= 1


def _age(record: KeyRecord) -> tuple[int, str]:
    return record.created_ms, record.id
