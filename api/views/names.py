"""What the wire calls kinds and states of requests."""

from typing import Literal

from api.wire import PoolName
from vaults.moves import RequestKind, RequestStatus

KINDS: dict[RequestKind, tuple[PoolName, Literal["deposit", "redemption"]]] = {
    RequestKind.DEPOSIT_MAIN: ("main", "deposit"),
    RequestKind.REDEEM_MAIN: ("main", "redemption"),
    RequestKind.DEPOSIT_INSURANCE: ("insurance", "deposit"),
    RequestKind.REDEEM_INSURANCE: ("insurance", "redemption"),
}
STATUSES: dict[RequestStatus, Literal["open", "filled", "cancelled", "returned"]] = {
    RequestStatus.OPEN: "open",
    RequestStatus.FILLED: "filled",
    RequestStatus.CANCELLED: "cancelled",
    RequestStatus.RETURNED: "returned",
}
