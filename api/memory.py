"""The state of all tokens in memory, and how a journal record changes it."""

from typing import Any, NamedTuple

import numpy as np

from amm.oracle import START_VOL, OracleRules, initial_state
from vaults.commands import Command, Credit, ListToken, Outcome
from vaults.invariants import states_are_equal
from vaults.ledger import replay_moves
from vaults.market import Market, new_market, set_oracle
from vaults.moves import FLOWS
from vaults.rejects import Reject
from vaults.rules import Rules, make_rules
from vaults.state import NONE, State, empty_state, with_room
from vaults.tick import remark


class Token(NamedTuple):
    """One token: how it was listed, its rules, its state, and the row of each account by id."""

    listing: ListToken
    rules: Rules
    state: State
    slots: dict[int, int]


class Memory:
    """Everything the exchange knows."""

    def __init__(self, underlyings: tuple[str, ...]) -> None:
        self.underlyings = underlyings
        self.oracle_rules = OracleRules()
        self.market: Market = new_market(initial_state(START_VOL), self.oracle_rules)
        self.tokens: dict[str, Token] = {}
        self.names: list[str] = []
        self.account_ids: dict[str, int] = {}

    def slot_of(self, token: str, account: str) -> int:
        """Return an account's row in a token, NONE where it has none."""
        return self.tokens[token].slots.get(self.account_ids.get(account, NONE), NONE)

    def account_name(self, token: str, slot: int) -> str:
        """Return the name of the account in a row of a token."""
        return self.names[int(self.tokens[token].state.accounts[slot].account_id)]

    def list_token(self, listing: ListToken) -> Token:
        """Enter a token that has nothing in it yet."""
        rules = make_rules(listing.parameters, listing.terms)
        self.tokens[listing.token] = Token(listing, rules, empty_state(FLOWS), {})
        return self.tokens[listing.token]

    def make_room(self, name: str) -> Token:
        """Return a token with room for one command more, its log empty."""
        token = self.tokens[name]
        state = with_room(token.state)
        if state is not token.state:
            token = token._replace(state=state)
            self.tokens[name] = token
        state.log_count[0] = 0
        return token

    def enter_account(self, token: str, account: str) -> None:
        """Give an account an id and, where its row in the token is new, enter it."""
        account_id = self.account_ids.setdefault(account, len(self.names))
        if account_id == len(self.names):
            self.names.append(account)
        entered = self.tokens[token]
        if account_id not in entered.slots:
            entered.slots[account_id] = len(entered.slots)

    def apply_record(
        self,
        command: Command,
        outcome: Outcome,
        moves: dict[str, Any],
        oracle: tuple[int, ...],
    ) -> None:
        """Apply what a journal record produced; nothing is decided again."""
        if outcome.code != Reject.NONE:
            return
        if isinstance(command, ListToken):
            self.list_token(command)
        if oracle:
            underlying = self.underlyings.index(command.underlying)  # type: ignore[union-attr]
            set_oracle(self.market, underlying, oracle)
        for name, rows in moves.items():
            replay_moves(self.make_room(name).state, rows)
        if isinstance(command, Credit):
            self.enter_account(command.token, command.account)

    def remark(self) -> None:
        """Recompute what is derived from marks, after the state was read or rebuilt."""
        for token in self.tokens.values():
            remark(token.state, token.rules, self.market)

    def differences(self, other: "Memory") -> list[str]:
        """Return what is not equal in two memories, in words; empty where nothing differs."""
        found = ["account names"] if self.names != other.names else []
        found += [
            f"market {part}"
            for part in ("oracle", "minutes")
            if not np.array_equal(getattr(self.market, part), getattr(other.market, part))
        ]
        if list(self.tokens) != list(other.tokens):
            return [*found, "listed tokens"]
        for name, token in self.tokens.items():
            if not states_are_equal(token.state, other.tokens[name].state):
                found.append(f"state of {name}")
        return found
