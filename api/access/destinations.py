"""Where accounts have their withdrawals sent: a list, and whether they keep to it.

A new destination can be used once its holding period is over, and to keep to the list no more
takes as long; to end a destination, or to keep to the list, takes no time at all.
"""

import hashlib
from typing import NamedTuple

from sqlalchemy import Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from api.access.tables import DESTINATIONS, LISTS
from api.exchange import KeyConflictError

DESTINATIONS_MAX = 100


class DestinationError(Exception):
    """A destination that cannot be listed or used, with the code of the problem."""

    def __init__(self, code: str, detail: str, **more: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.more = more


class Destination(NamedTuple):
    """Where an account has withdrawals sent; times in milliseconds UTC."""

    id: str
    account: str
    label: str
    address: str
    created_ms: int
    usable_ms: int
    removed_ms: int | None = None


class Rule(NamedTuple):
    """Whether an account keeps to its list: since when, and until when where that is to end."""

    on_ms: int | None = None
    off_ms: int | None = None

    def is_on(self, now_ms: int) -> bool:
        """Whether withdrawals go to listed destinations only."""
        return self.on_ms is not None and (self.off_ms is None or now_ms < self.off_ms)


class AddressBook:
    """The destinations of all accounts; asked and told from any thread."""

    def __init__(self, engine: Engine, hold_ms: int) -> None:
        self._engine = engine
        self._reading = engine.execution_options(reading=True)
        self._hold_ms = hold_ms

    def all(self, account: str) -> list[Destination]:
        """Return the destinations of an account, removed ones too, oldest first."""
        query = select(DESTINATIONS).where(DESTINATIONS.c.account == account)
        query = query.order_by(DESTINATIONS.c.created_ms, DESTINATIONS.c.id)
        with self._reading.connect() as connection:
            return [Destination(*row) for row in connection.execute(query)]

    def add(self, account: str, label: str, address: str, now_ms: int, request: str) -> Destination:
        """List a destination. The same request lists the same one.

        Raises:
            DestinationError: The label is taken, or there are too many.
            KeyConflictError: The request listed another one.
        """
        new_id = "wd_" + hashlib.sha256(request.encode()).hexdigest()[:20]
        made = Destination(new_id, account, label, address, now_ms, now_ms + self._hold_ms)
        known = self._known(made)
        if known is not None:
            return known
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(DESTINATIONS).values(**made._asdict()))
        except IntegrityError:  # one like it was listed just now
            known = self._known(made)
            if known is None:
                raise
            return known
        return made

    def _known(self, made: Destination) -> Destination | None:
        """Return what the request has listed before, None where it can be listed now."""
        listed = self.all(made.account)
        known = next((each for each in listed if each.id == made.id), None)
        if known is None:
            live = [each for each in listed if each.removed_ms is None]
            if any(each.label == made.label for each in live):
                raise DestinationError("DESTINATION_TAKEN", f"There is a destination {made.label}.")
            if len(live) >= DESTINATIONS_MAX:
                raise DestinationError("DESTINATION_LIMIT", f"There are {len(live)}; remove one.")
        elif (known.label, known.address) != (made.label, made.address):
            raise KeyConflictError(made.id)
        return known

    def remove(self, account: str, destination_id: str, now_ms: int) -> Destination | None:
        """Remove a destination, now; one that was removed stays as it is, none is unknown."""
        table = DESTINATIONS
        change = update(table).where(table.c.account == account, table.c.id == destination_id)
        with self._engine.begin() as connection:
            connection.execute(change.where(table.c.removed_ms.is_(None)).values(removed_ms=now_ms))
        return next((each for each in self.all(account) if each.id == destination_id), None)

    def rule(self, account: str) -> Rule:
        """Return whether an account keeps to its list."""
        query = select(LISTS.c.on_ms, LISTS.c.off_ms).where(LISTS.c.account == account)
        with self._reading.connect() as connection:
            row = connection.execute(query).one_or_none()
        return Rule() if row is None else Rule(*row)

    def switch(self, account: str, is_on: bool, now_ms: int) -> Rule:
        """Have an account keep to its list from now on, or no more once the period is over."""
        known = self.rule(account)
        if is_on:
            is_kept = known.is_on(now_ms)
            rule = Rule(known.on_ms if is_kept else now_ms)
        elif known.is_on(now_ms) and known.off_ms is None:
            rule = Rule(known.on_ms, now_ms + self._hold_ms)
        else:
            return known
        with self._engine.begin() as connection:
            values = rule._asdict()
            changed = connection.execute(
                update(LISTS).where(LISTS.c.account == account).values(**values)
            )
            if changed.rowcount == 0:
                connection.execute(insert(LISTS).values(account=account, **values))
        return rule

    def address_of(self, account: str, name: str | None, now_ms: int) -> str:
        """Return where a withdrawal to a destination, by label or id, is sent; "" for none.

        Raises:
            DestinationError: It is not listed, or not yet to be used, or there must be one.
        """
        if name is None:
            if self.rule(account).is_on(now_ms):
                raise DestinationError(
                    "DESTINATION_NEEDED",
                    "The account withdraws to its destinations only: name one.",
                )
            return ""
        live = [each for each in self.all(account) if each.removed_ms is None]
        found = next((each for each in live if name in (each.id, each.label)), None)
        if found is None:
            raise DestinationError("DESTINATION_UNKNOWN", f"There is no destination {name}.")
        if now_ms < found.usable_ms:
            detail = f"{found.label} can be used from {found.usable_ms} on; it is {now_ms}."
            numbers = {"limit": str(found.usable_ms), "actual": str(now_ms)}
            raise DestinationError("DESTINATION_HELD", detail, **numbers)
        return found.address

    def was(self, account: str, name: str | None, address: str) -> bool:
        """Whether a name stood for an address once, removed or not."""
        if name is None:
            return address == ""
        listed = [each for each in self.all(account) if each.address == address]
        return any(name in (each.id, each.label) for each in listed)
