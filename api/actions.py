"""Corporate actions: what was announced, and what came of it."""

from typing import NamedTuple

from amm.units import AMOUNT_MAX, MINUTE_MS
from vaults.commands import AnnounceAction, Close
from vaults.split import scaled, split_notional

WINDOW_MS = 10 * MINUTE_MS
"""How long trading waits for an announced action at most."""


class Action(NamedTuple):
    """An announced corporate action of a token.

    `applied_ms` is 0 until it is done, `withdrawn_ms` unless it was taken back.

    The numbers are those of `vaults.commands.AnnounceAction`.
    """

    token: str
    action: str
    announced_ms: int
    effective_ms: int
    numerator: int
    denominator: int
    amount: int
    applied_ms: int = 0
    reference: str = ""
    withdrawn_ms: int = 0

    @property
    def ends_ms(self) -> int:
        """When it lapses if it was not done, or was taken back."""
        return self.withdrawn_ms or self.effective_ms + WINDOW_MS

    def is_open(self, now_ms: int) -> bool:
        """Whether trading waits for it."""
        return not self.applied_ms and self.effective_ms <= now_ms < self.ends_ms

    def status(self, now_ms: int) -> str:
        """Return where it stands: announced, open, applied, withdrawn or lapsed."""
        if self.applied_ms:
            return "applied"
        if self.withdrawn_ms:
            return "withdrawn"
        if now_ms < self.effective_ms:
            return "announced"
        return "open" if now_ms < self.ends_ms else "lapsed"


def announced(command: AnnounceAction) -> Action:
    """Return what a command announces."""
    return Action(
        command.token,
        command.action,
        command.now_ms,
        command.effective_ms,
        command.numerator,
        command.denominator,
        command.amount,
    )


def split_amount(amount: int, action: Action) -> int:
    """Return an amount after a split; one beyond all amounts stays beyond what there can be."""
    return int(scaled(min(amount, AMOUNT_MAX), action.numerator, action.denominator))


def split_close(close: Close, cap_ppm: int, action: Action) -> tuple[int, int]:
    """Return notional and least total of a queued close after a split.

    Its notional becomes what a position of so much becomes, so that one of a whole position is so
    still; one of nearly nothing stays a close.
    """
    asked = min(close.notional, AMOUNT_MAX)
    notional = int(split_notional(asked, cap_ppm, action.numerator, action.denominator))
    return max(notional, 1), split_amount(close.min_total, action)
