"""The state of all tokens in memory, and how a journal record changes it."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from amm.oracle import START_VOL, OracleRules, OracleVerdict, initial_state
from amm.ssvi import DEFAULT_SURFACES, FLAT, Ssvi
from vaults.closing import find_own_position
from vaults.commands import (
    Close,
    Command,
    Credit,
    Debit,
    ListToken,
    Open,
    Outcome,
    Pause,
    PublishSurface,
    Resume,
    Tick,
    Withdraw,
)
from vaults.invariants import states_are_equal
from vaults.ledger import replay_moves
from vaults.market import (
    Market,
    ShapeRow,
    adopt_shape,
    new_market,
    set_oracle,
    surface_of,
)
from vaults.moves import FLOWS
from vaults.rejects import Reject
from vaults.rules import Rules, make_rules, smile_of, smiles_of
from vaults.smile import forget_surfaces
from vaults.state import NONE, State, empty_state, with_room
from vaults.tick import remark

_OF_STATES_ALONE = (Tick, Open)
"""The commonest commands that there is nothing to book of."""


def published_shape(command: PublishSurface) -> ShapeRow:
    """Return what a command publishes, as the market keeps it."""
    return ShapeRow(
        command.now_ms,
        command.long_vol_e9,
        command.reversion_e9,
        command.skew_e9,
        command.curvature_e9,
    )


class Token(NamedTuple):
    """One token: how it was listed, its rules, its state, and the row of each account by id."""

    listing: ListToken
    rules: Rules
    state: State
    slots: dict[int, int]


class Withdrawal(NamedTuple):
    """Tokens taken out of trading: until they leave custody, `completed_ms` is 0."""

    token: str
    account: str
    amount: int
    asked_ms: int
    completed_ms: int = 0
    reference: str = ""


class Waiting(NamedTuple):
    """A close that waits for a fresh index of its underlying, as it is to be carried out."""

    underlying: int
    command: Close


class Memory:
    """Everything the exchange knows.

    Attributes:
        underlyings: Their names, in the order of the market's rows.
        market: What all tokens share.
        tokens: Every listed token by name, in the order of listing.
        names: Accounts, by id.
        account_ids: The id of each account.
        queue: Closes that wait, by number, in order of arrival.
        references: External references, each with the number of the record that used it.
        withdrawals: All of them; the first has number 1.
        paused: Tokens that take no openings.
    """

    def __init__(self, underlyings: tuple[str, ...]) -> None:
        self.underlyings = underlyings
        self.oracle_rules = OracleRules()
        self.market: Market = new_market(initial_state(START_VOL), self.oracle_rules)
        self.tokens: dict[str, Token] = {}
        self.names: list[str] = []
        self.account_ids: dict[str, int] = {}
        self.queue: dict[int, Waiting] = {}
        self.references: dict[str, int] = {}
        self.withdrawals: list[Withdrawal] = []
        self.paused: set[str] = set()

    def slot_of(self, token: str, account: str) -> int:
        """Return an account's row in a token, NONE where it has none."""
        return self.tokens[token].slots.get(self.account_ids.get(account, NONE), NONE)

    def account_name(self, token: str, slot: int) -> str:
        """Return the name of the account in a row of a token."""
        return self.names[int(self.tokens[token].state.accounts[slot].account_id)]

    def surfaces(self) -> tuple[Ssvi, ...]:
        """Return the surface in force of every underlying, at any level."""
        return tuple(
            surface_of(ShapeRow(*self.market.shapes[slot].item()), DEFAULT_SURFACES.get(name, FLAT))
            for slot, name in enumerate(self.underlyings)
        )

    def rules_of(self, listing: ListToken) -> Rules:
        """Return the rules of a token on the surfaces in force."""
        return make_rules(listing.parameters, listing.terms, self.surfaces())

    def publish_surface(self, underlying: int, shape: ShapeRow) -> None:
        """Keep a surface for the next tick of its underlying."""
        self.market.published[underlying] = tuple(shape)

    def adopt_surface(self, underlying: int, now_ms: int) -> None:
        """Let a tick put in force the surface that was published before it."""
        if adopt_shape(self.market, underlying, now_ms):
            self._take_surfaces()

    def _take_surfaces(self) -> None:
        """Let the rules of every token have the surfaces in force."""
        surfaces = self.surfaces()
        for name, token in self.tokens.items():
            smiles = smiles_of(token.listing.terms, surfaces)
            self.tokens[name] = token._replace(rules=token.rules._replace(smiles=smiles))
            for underlying in range(len(surfaces)):
                forget_surfaces(token.state, underlying)

    def tabulate(self, underlying: int, shape: ShapeRow) -> None:
        """Make the tables a surface will need at the next tick; they are kept.

        Raises:
            SurfaceError: It has none.
        """
        surface = surface_of(shape, FLAT)
        for token in self.tokens.values():
            smile_of(token.listing.terms[underlying], surface)

    def list_token(self, listing: ListToken) -> Token:
        """Enter a token that has nothing in it yet."""
        rules = self.rules_of(listing)
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

    def book(self, sequence: int, command: Command, outcome: Outcome) -> None:
        """Book what a command, the record of this number, did beyond the states of tokens."""
        if isinstance(command, Close):
            self._book_close(sequence, command, outcome)
        elif outcome.code or isinstance(command, _OF_STATES_ALONE):
            return
        elif isinstance(command, Credit):
            self.enter_account(command.token, command.account)
            self._book_reference(command.reference, sequence)
        elif isinstance(command, Withdraw):
            asked = Withdrawal(command.token, command.account, command.amount, command.now_ms)
            self.withdrawals.append(asked)
        elif isinstance(command, Debit):
            place, asked = command.withdrawal - 1, self.withdrawals[command.withdrawal - 1]
            self.withdrawals[place] = asked._replace(
                completed_ms=command.now_ms, reference=command.reference
            )
            self._book_reference(command.reference, sequence)
        elif isinstance(command, Pause):
            self.paused.add(command.token)
        elif isinstance(command, Resume):
            self.paused.discard(command.token)

    def _book_reference(self, reference: str, sequence: int) -> None:
        if reference:
            self.references[reference] = sequence

    def _book_close(self, sequence: int, command: Close, outcome: Outcome) -> None:
        """Queue a close that has to wait; take one that was carried out, or refused, off."""
        if command.order:
            self.queue.pop(command.order, None)
        elif outcome.queued:
            state = self.tokens[command.token].state
            account = self.slot_of(command.token, command.account)
            position = state.positions[find_own_position(state, account, command.position_id)]
            underlying = int(state.series[position.series].underlying)
            self.queue[sequence] = Waiting(underlying, replace(command, order=sequence))

    def apply_record(
        self,
        sequence: int,
        command: Command,
        outcome: Outcome,
        moves: dict[str, Any],
        oracle: tuple[int, ...],
    ) -> None:
        """Apply what a journal record produced; nothing is decided again."""
        self._apply_moves(command, outcome, moves, oracle)
        self.book(sequence, command, outcome)

    def _apply_moves(
        self,
        command: Command,
        outcome: Outcome,
        moves: dict[str, Any],
        oracle: tuple[int, ...],
    ) -> None:
        if outcome.code != Reject.NONE:
            return
        if isinstance(command, ListToken):
            self.list_token(command)
        if isinstance(command, PublishSurface):
            underlying = self.underlyings.index(command.underlying)
            self.publish_surface(underlying, published_shape(command))
        if isinstance(command, Tick) and outcome.verdict == OracleVerdict.USED:
            adopt_shape(self.market, self.underlyings.index(command.underlying), command.now_ms)
        if oracle:
            underlying = self.underlyings.index(command.underlying)  # type: ignore[union-attr]
            set_oracle(self.market, underlying, oracle)
        for name, rows in moves.items():
            replay_moves(self.make_room(name).state, rows)

    def remark(self) -> None:
        """Recompute what is derived from marks, after the state was read or rebuilt."""
        self._take_surfaces()
        for token in self.tokens.values():
            remark(token.state, token.rules, self.market)

    def differences(self, other: "Memory") -> list[str]:
        """Return what is not equal in two memories, in words; empty where nothing differs."""
        found = [
            words
            for words, part in {
                "account names": "names",
                "queued closes": "queue",
                "external references": "references",
                "withdrawals": "withdrawals",
                "paused tokens": "paused",
            }.items()
            if getattr(self, part) != getattr(other, part)
        ]
        found += [
            f"market {part}"
            for part in ("oracle", "minutes", "shapes", "published")
            if not np.array_equal(getattr(self.market, part), getattr(other.market, part))
        ]
        if list(self.tokens) != list(other.tokens):
            return [*found, "listed tokens"]
        for name, token in self.tokens.items():
            if not states_are_equal(token.state, other.tokens[name].state):
                found.append(f"state of {name}")
        return found
