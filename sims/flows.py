"""A seeded flow of buyers and liquidity providers, for replays and load.

The flow has no memory: what an account does in a minute is a function of the seed, the minute and
the state it sees. A replay that was interrupted therefore goes on exactly as it would have.

Buyers arrive at random, follow the last day's move a little, prefer strikes a few percent out of
the money, and leave by one of four habits. Providers deposit at the start, and some come and go.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from amm.units import DAY_MS, MINUTE_MS, ONE, SECOND_MS
from vaults.commands import CALL, PUT, Close, Command, Credit, ListToken, Open, Request
from vaults.moves import RequestKind
from vaults.params import BTC_TERMS, ETH_TERMS, Parameters, Terms
from vaults.state import State

Floats = npt.NDArray[np.float64]

TERMS: dict[str, Terms] = {"BTC": BTC_TERMS, "ETH": ETH_TERMS}
LAST_MS = 9 * SECOND_MS
"""Orders of a minute come within this time after its observation."""


class FlowRules(NamedTuple):
    """Who trades and provides, per token.

    Attributes:
        buyers: Accounts that buy.
        providers: Accounts that provide to the main pool.
        insurers: Accounts that provide to the insurance pool.
        buyer_tokens: What each buyer starts with.
        main_tokens: What main providers bring together.
        insurance_tokens: What insurers bring together.
        opens_per_day: Openings tried in one token.
        size_tokens: Median notional; sizes are lognormal.
        size_spread: Standard deviation of its logarithm.
        strike_spread: Standard deviation of log(strike / index).
        momentum: How much a day's move of 5 % shifts the odds of a call.
        self_funding: Share of openings that are self-funding.
        holding_days: Mean time a buyer of no other habit holds.
        provider_moves_per_day: Deposits and redemptions tried in one token.
    """

    buyers: int = 40
    providers: int = 6
    insurers: int = 2
    buyer_tokens: int = 400
    main_tokens: int = 20_000
    insurance_tokens: int = 4_000
    opens_per_day: float = 36.0
    size_tokens: float = 60.0
    size_spread: float = 0.8
    strike_spread: float = 0.05
    momentum: float = 0.15
    self_funding: float = 0.3
    holding_days: float = 3.0
    provider_moves_per_day: float = 0.5

    @property
    def provider_deposit(self) -> int:
        """First deposit of one main provider; it has as much again to deposit later."""
        return self.main_tokens * ONE // self.providers

    @property
    def insurer_deposit(self) -> int:
        """First deposit of one insurer; it has as much again to deposit later."""
        return self.insurance_tokens * ONE // self.insurers

    @property
    def buyers_bring(self) -> int:
        """What all buyers of a token start with."""
        return self.buyers * self.buyer_tokens * ONE

    @property
    def providers_bring(self) -> int:
        """What all main providers of a token start with."""
        return 2 * self.provider_deposit * self.providers

    @property
    def insurers_bring(self) -> int:
        """What all insurers of a token start with."""
        return 2 * self.insurer_deposit * self.insurers


class View(NamedTuple):
    """What the flow may look at in one minute of one token.

    Attributes:
        token: Its name.
        number: Its number, part of the seed.
        state: The token.
        indices: Index price of each underlying in USD, by name; without those not known.
        day_ago: The same a day before, where known.
        now_ms: Time of the minute's observation.
        name_of: The name of the account in a row.
    """

    token: str
    number: int
    state: State
    indices: dict[str, float]
    day_ago: dict[str, float]
    now_ms: int
    name_of: Callable[[int], str]

    def holders(self) -> range:
        """Return the rows of all accounts."""
        return range(int(self.state.pool[0].account_count))


def buyer(token: str, number: int) -> str:
    """Return the name of a buyer."""
    return f"buyer-{token}-{number:02d}"


def provider(token: str, number: int) -> str:
    """Return the name of a provider to the main pool."""
    return f"provider-{token}-{number:02d}"


def insurer(token: str, number: int) -> str:
    """Return the name of a provider to the insurance pool."""
    return f"insurer-{token}-{number:02d}"


def opening_commands(
    token: str, rules: FlowRules, parameters: Parameters, now_ms: int
) -> Iterator[Command]:
    """Yield what sets a token up: its listing, everybody's tokens, the first deposits."""
    yield ListToken(token, now_ms, parameters)
    for number in range(rules.buyers):
        yield Credit(token, buyer(token, number), rules.buyer_tokens * ONE, now_ms)
    groups = (
        (provider, rules.providers, rules.provider_deposit, RequestKind.DEPOSIT_MAIN),
        (insurer, rules.insurers, rules.insurer_deposit, RequestKind.DEPOSIT_INSURANCE),
    )
    for name_of, count, amount, kind in groups:
        for number in range(count):
            yield Credit(token, name_of(token, number), 2 * amount, now_ms)
            yield Request(token, name_of(token, number), kind.value, amount, now_ms)


def _random(seed: int, view: View) -> np.random.Generator:
    minute = view.now_ms // MINUTE_MS
    return np.random.Generator(np.random.Philox(key=[seed, view.number], counter=[0, 0, 0, minute]))


def commands(seed: int, rules: FlowRules, view: View) -> list[Command]:
    """Return what the accounts of one token do in one minute, in order of time."""
    random = _random(seed, view)
    asked = [
        *_openings(random, rules, view),
        *_closings(random, rules, view),
        *_provider_moves(random, rules, view),
    ]
    return sorted(asked, key=lambda command: command.now_ms)


def farewell(view: View) -> list[Command]:
    """Return the closing of every position: nobody holds over a break in the prices."""
    return [
        Close(
            token=view.token,
            account=view.name_of(int(row["account"])),
            position_id=int(row["position_id"]),
            notional=int(row["notional"]),
            now_ms=view.now_ms,
        )
        for row in _live_positions(view.state)
    ]


def _moment(random: np.random.Generator, view: View) -> int:
    return view.now_ms + int(random.integers(0, LAST_MS))


def _openings(random: np.random.Generator, rules: FlowRules, view: View) -> Iterator[Command]:
    count = random.poisson(rules.opens_per_day * MINUTE_MS / DAY_MS)
    for _ in range(count if view.indices else 0):
        names = sorted(view.indices)
        underlying = names[0] if random.random() < 0.6 else names[-1]
        index = view.indices[underlying]
        move = np.log(index / view.day_ago.get(underlying, index))
        odds = 0.5 + np.clip(rules.momentum * move / 0.05, -0.4, 0.4)
        kind = CALL if random.random() < odds else PUT
        away = abs(random.normal(0.0, rules.strike_spread)) - 0.01
        strike = index * np.exp(away if kind == CALL else -away)
        step = TERMS[underlying].strike_step_e8
        notional = int(rules.size_tokens * np.exp(random.normal(0.0, rules.size_spread)) * ONE)
        yield Open(
            token=view.token,
            account=buyer(view.token, int(random.integers(rules.buyers))),
            underlying=underlying,
            kind=kind,
            strike_e8=int(strike * ONE / step + 0.5) * step,
            notional=notional,
            limit_total=int(notional * random.uniform(0.01, 0.12)),
            now_ms=_moment(random, view),
            self_funding=bool(random.random() < rules.self_funding),
        )


def _live_positions(state: State) -> npt.NDArray[np.void]:
    rows = np.asarray(state.positions)[: state.pool[0].position_count]
    live: npt.NDArray[np.void] = rows[rows["notional"] > 0]
    return live


def _leaving_odds(rules: FlowRules, view: View, rows: npt.NDArray[np.void]) -> Floats:
    """Return each position's odds of being sold in this minute; its habit is its id modulo 4.

    0 holds for a random time, 1 takes a profit of 6 % moneyness, 2 sells in halves, 3 stays long.
    """
    minutes = rules.holding_days * DAY_MS / MINUTE_MS
    odds = np.array([1.0, 0.5, 2.0, 0.25])[rows["position_id"] % 4] / minutes
    series = np.asarray(view.state.series)[rows["series"]]
    prices = np.array([view.indices.get(name, np.nan) for name in TERMS])
    gain = prices[series["underlying"]] * ONE / series["strike_e8"] - 1.0
    gain = np.where(series["is_call"] == 1, gain, -gain)
    takes_profit = (rows["position_id"] % 4 == 1) & (gain > 0.06)
    return np.where(takes_profit, 0.2, odds)


def _closings(random: np.random.Generator, rules: FlowRules, view: View) -> Iterator[Command]:
    rows = _live_positions(view.state)
    if not len(rows):
        return
    leaving = np.flatnonzero(random.random(len(rows)) < _leaving_odds(rules, view, rows))
    for row in rows[leaving]:
        notional = int(row["notional"])
        sold = notional - notional // 2 if row["position_id"] % 4 == 2 else notional
        yield Close(
            token=view.token,
            account=view.name_of(int(row["account"])),
            position_id=int(row["position_id"]),
            notional=sold,
            now_ms=_moment(random, view),
        )


def _provider_moves(random: np.random.Generator, rules: FlowRules, view: View) -> Iterator[Command]:
    if random.random() >= rules.provider_moves_per_day * MINUTE_MS / DAY_MS:
        return
    in_main = random.random() < 0.8
    count = rules.providers if in_main else rules.insurers
    name = (provider if in_main else insurer)(view.token, int(random.integers(count)))
    holders = [row for row in view.holders() if view.name_of(row) == name]
    if not holders:
        return
    holder = view.state.accounts[holders[0]]
    shares = int(holder.main_shares if in_main else holder.insurance_shares)
    deposits = random.random() < 0.6
    amount = int(0.2 * int(holder.balance)) if deposits else int(0.3 * shares)
    kinds = (
        (RequestKind.REDEEM_MAIN, RequestKind.DEPOSIT_MAIN)
        if in_main
        else (RequestKind.REDEEM_INSURANCE, RequestKind.DEPOSIT_INSURANCE)
    )
    if amount > 0:
        yield Request(view.token, name, kinds[int(deposits)].value, amount, _moment(random, view))
