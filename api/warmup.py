"""Every kernel, compiled before the first caller waits for one."""

import tempfile
from pathlib import Path

from amm.units import MINUTE_MS, ONE, YEAR_MS
from api.demo import OTHER_TRADER, PROVIDER, seed_demo
from api.exchange import Exchange
from api.store import Store
from vaults.commands import CALL, Cancel, Check, Close, Command, Open, Request, Withdraw
from vaults.invariants import first_violation
from vaults.moves import RequestKind

_TOKEN = "WARM.UP"
_NOW_MS = 50 * YEAR_MS
_STRIKE_E8 = 100_000 * ONE


def warm_up() -> None:
    """Go once through what can be asked, on an exchange that is thrown away.

    It takes a second where the machine code is on disk, and a minute where it is to be made.
    """
    with tempfile.TemporaryDirectory(prefix="evergamma-") as folder:
        store = Store(Path(folder) / "warm.sqlite")
        exchange = Exchange(store)
        seed_demo(exchange, _NOW_MS, (_TOKEN,))
        now_ms = _NOW_MS - MINUTE_MS
        order = Open(_TOKEN, OTHER_TRADER, "BTC", CALL, _STRIKE_E8, ONE, ONE, now_ms)
        exchange.quote(order)
        asked: tuple[Command, ...] = (
            order,
            Close(_TOKEN, OTHER_TRADER, 1, ONE, now_ms),
            Check(_TOKEN, 1, now_ms),
            Request(_TOKEN, PROVIDER, RequestKind.REDEEM_MAIN.value, ONE, now_ms),
            Cancel(_TOKEN, PROVIDER, 2, now_ms),
            Withdraw(_TOKEN, PROVIDER, ONE, now_ms),
        )
        for number, command in enumerate(asked):
            exchange.execute(command, f"warm/{number}")
        token = exchange.memory.tokens[_TOKEN]
        first_violation(token.state, token.rules, exchange.memory.market)
        exchange.commit()
        store.close()
