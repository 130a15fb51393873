"""Where attacks are played: a token without the bench's own checks, which weakened rules fail."""

from functools import cache

from amm.units import HOUR_MS, ONE
from tests.vaults.harness import Bench
from vaults.flush import Flushed, flush
from vaults.moves import RequestKind
from vaults.params import Parameters

DEPOSIT_MAIN, REDEEM_MAIN = RequestKind.DEPOSIT_MAIN, RequestKind.REDEEM_MAIN
DEPOSIT_INSURANCE = RequestKind.DEPOSIT_INSURANCE
REDEEM_INSURANCE = RequestKind.REDEEM_INSURANCE
WIDE = Parameters(series_share_ppm=10**6, account_share_ppm=10**6, stress_share_ppm=700_000)
MAIN_PROVIDER, INSURANCE_PROVIDER = 0, 1


class Stage(Bench):
    """A bench whose commands and flushes are not checked."""

    def flush(self) -> Flushed:
        """Flush, whatever comes of it."""
        return self.run(flush, self.rules, self.market, self.now)

    def to_flush(self, before_ms: int = 0) -> None:
        """Let time pass without a tick until shortly before the next flush."""
        self.now = int(self.pool.next_flush_ms) - before_ms

    def shares(self, account: int, *, insurance: bool = False) -> int:
        """Shares of an account that wait for nothing."""
        row = self.state.accounts[account]
        return int(row.insurance_shares if insurance else row.main_shares)

    def deposit(self, account: int, amount: int, *, insurance: bool = False) -> None:
        """Deposit and wait for the flush."""
        self.request(account, DEPOSIT_INSURANCE if insurance else DEPOSIT_MAIN, amount)
        assert self.flush_when_due().done == 1

    def leave(self, account: int, *, insurance: bool = False) -> None:
        """Redeem every share and wait for the flush."""
        kind = REDEEM_INSURANCE if insurance else REDEEM_MAIN
        self.request(account, kind, self.shares(account, insurance=insurance))
        assert self.flush_when_due().done == 1


@cache
def _staged(main: int, insurance: int, parameters: Parameters) -> Stage:
    stage = Stage(parameters, checked=False)
    stage.tick(after_ms=HOUR_MS)
    if main or insurance:
        stage.fund(main, insurance)
    stage.warm()
    return stage


def staged(
    main: int = 1_000 * ONE, insurance: int = 0, parameters: Parameters | None = None
) -> Stage:
    """Return a token with both pools funded by accounts 0 and 1, and a calm window of marks."""
    return _staged(main, insurance, parameters or WIDE).copy()
