"""What splits have made of amounts: each step rounded down, as the exchange does it."""

from collections.abc import Mapping, Sequence

from api.bundles import FlushBundle, SplitDone
from api.verification.checks import units
from api.verification.figures import AMOUNT_MAX
from api.wire import Advance

Splits = Sequence[SplitDone]
NOTIONAL_MIN_LEAST, NOTIONAL_MIN_MOST = 1_000, AMOUNT_MAX // 64 // 4
"""What the least notional of a position can be: splits leave it there."""


def splits_between(bundle: FlushBundle, previous: FlushBundle | None) -> Splits:
    """Return the splits of the epoch a flush ends, in their order."""
    return bundle.splits[0 if previous is None else len(previous.splits) :]


def scaled(amount: int, splits: Splits) -> int:
    """Return what splits have made of an amount, which may be negative."""
    for each in splits:
        amount = amount * each.numerator // each.denominator
    return amount


def scaled_limit(amount: int, splits: Splits) -> int:
    """Return what splits have made of a limit: beyond all amounts it counts as the largest."""
    for each in splits:
        amount = min(amount, AMOUNT_MAX) * each.numerator // each.denominator
    return amount


def scaled_parameters(parameters: Mapping[str, float], splits: Splits) -> dict[str, float]:
    """Return what splits have made of parameters: of those two that are amounts."""
    seed, notional = int(parameters["seed"]), int(parameters["notional_min"])
    for each in splits:
        seed = max(scaled(seed, [each]), 1)
        notional = max(scaled(notional, [each]), NOTIONAL_MIN_LEAST)
        notional = min(notional, NOTIONAL_MIN_MOST)
    return {**parameters, "seed": seed, "notional_min": notional}


def dust(splits: Splits) -> int:
    """Return by how much sums of two amounts may differ from the sum's share, at most."""
    most = 0
    for each in splits:
        most = -(-most * each.numerator // each.denominator) + 2
    return most


def scaled_lots(
    advances: Sequence[Advance], written_off_ms: int, splits: Splits
) -> list[tuple[int, ...]]:
    """Return day, amount, since, until and remaining of advances; splits begin them anew."""
    found: list[tuple[int, ...]] = []
    for each in advances:
        amount, since, remaining = units(each.amount), each.since, units(each.remaining)
        for split in splits:
            amount = remaining = scaled(remaining, [split])
            since = max(since, written_off_ms)
        if remaining > 0:
            found.append((each.day, amount, since, each.until, remaining))
    return found
