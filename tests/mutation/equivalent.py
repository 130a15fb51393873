"""Faults that change nothing anybody could see, each with the reason."""

EQUIVALENT: dict[str, str] = {
    "shares.shares_for: amount <= 0 -> amount < 0": "nothing buys floor(0) = 0 shares",
    "insurance.covered_loss: max(-pnl - cover.deductible - cover.claimed, 0)"
    " -> (-pnl - cover.deductible - cover.claimed)": "below 0 the outer clamp gives 0 too",
    "insurance.repayment_of: max(gain, 0) -> (gain)": "half of a loss is clamped to 0 at the end",
    "insurance.cover_price_ppm: need <= 0.5 -> need < 0.5": "both lines meet there",
    "insurance.cover_price_ppm: need <= 1.0 -> need < 1.0": "both lines meet there",
    "crossing.cross: min(total_asked(state, rules, deposit_kind, NONE), offered)"
    " -> (offered)": "divide gives no request more than it asks for",
    "crossing.cross: tokens <= 0 -> tokens < 0": "parts of nothing are nothing, and no move",
    "fills.fill_redemptions: min(left, wanted) -> (left)": "it counts only where it is less",
    "queue.oldest_flush: after < flush < oldest -> after < flush <= oldest": "the same number",
    "queue.divide: left > 0 -> left >= 0": "parts of nothing are nothing",
    "flush.free_main: max(locked - backed, own, 0)"
    " -> max(locked - backed, own)": "a part of locks is never negative",
    "flush.exit_fee_ppm: max(int(pool.main) - from_main, 0)"
    " -> (int(pool.main) - from_main)": "nothing or less backs nothing: a utilisation of 1",
    "nav.unvested_spread: amount > 0 -> amount >= 0": "nothing vests as nothing",
    "nav.unvested_spread: left_ms > 0 -> left_ms >= 0": "nothing is left at the end",
    "dissolution._pay_holder: of_main > 0 -> of_main >= 0": "no transfer of nothing",
    "dissolution._pay_holder: of_insurance > 0 -> of_insurance >= 0": "no transfer of nothing",
    "effects._oldest_lot: lot.day < state.advance_lots[found].day"
    " -> lot.day <= state.advance_lots[found].day": "no two lots are of one day",
}
