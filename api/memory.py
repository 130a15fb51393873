"""The state of all tokens in memory, and how a journal record changes it."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from amm.oracle import START_VOL, OracleRules, OracleVerdict, initial_state
from amm.ssvi import DEFAULT_SURFACES, FLAT, Ssvi
from amm.units import ONE, PPM
from api.actions import WINDOW_MS, Action, announced, split_amount, split_close
from api.versions import Versions, first_version
from vaults.closing import find_own_position
from vaults.commands import (
    SPLIT,
    AdoptParameters,
    AllowDeposits,
    AnnounceAction,
    ApplyAction,
    Close,
    Command,
    Credit,
    Debit,
    HoldDeposits,
    ListToken,
    MoveBalance,
    Open,
    Outcome,
    Pause,
    PublishSurface,
    Resume,
    SetParameters,
    Tick,
    Withdraw,
    WithdrawAction,
)
from vaults.generations import base_of, generation_of
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
from vaults.params import Parameters, Terms
from vaults.rejects import Reject
from vaults.rules import Rules, make_rules, smile_of, smiles_of
from vaults.smile import forget_surfaces
from vaults.state import NONE, State, empty_state, logged_for_everybody, record, with_room
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
    """One token: how it was listed, its rules, its state, and the row of each account by id.

    `rules` are those of the parameters in force, the last of `versions.adopted`.
    """

    listing: ListToken
    rules: Rules
    state: State
    slots: dict[int, int]
    versions: Versions


class Withdrawal(NamedTuple):
    """Tokens taken out of trading: until they leave custody, `completed_ms` is 0."""

    token: str
    account: str
    amount: int
    asked_ms: int
    completed_ms: int = 0
    reference: str = ""
    destination: str = ""


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
        held: Tokens whose pools take no deposits.
        actions: Corporate actions that were announced and not replaced; the first is number 1.
        pending_actions: Place of a token's last action among them, until done or withdrawn.
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
        self.held: set[str] = set()
        self.actions: list[Action] = []
        self.pending_actions: dict[str, int] = {}

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

    def rules_of(self, parameters: Parameters, terms: tuple[Terms, ...]) -> Rules:
        """Return the rules of a token on the surfaces in force.

        Its seed may be any: it was checked at the listing, and splits have changed it since.

        Raises:
            ParameterError: There are none of these.
        """
        rules = make_rules(parameters._replace(seed=ONE), terms, self.surfaces())
        return rules._replace(parameters=record(parameters))

    def generations(self, name: str) -> list[str]:
        """Return the listed generations of a token, the first of them first."""
        base = base_of(name)
        return [each for each in self.tokens if base_of(each) == base]

    def generation(self, name: str) -> int:
        """Return the number of a token's last generation, 0 where it is not listed."""
        return max(map(generation_of, self.generations(name)), default=0)

    def custody_of(self, name: str) -> int:
        """Return what is held of one generation."""
        return int(self.tokens[name].state.pool["custody"][0])

    def custody(self, name: str) -> int:
        """Return what is held of a token in all its generations."""
        return sum(self.custody_of(each) for each in self.generations(name))

    def withdrawals_pending(self, name: str) -> Iterator[Withdrawal]:
        """Yield the withdrawals of a token that have not left custody."""
        return (each for each in self.withdrawals if each.token == name and not each.completed_ms)

    def pending_action(self, base: str) -> Action | None:
        """Return a token's last announced action that is not done; it may have lapsed."""
        place = self.pending_actions.get(base)
        return None if place is None else self.actions[place]

    def halting_action(self, name: str, now_ms: int) -> Action | None:
        """Return the corporate action that trading in a token waits for, None as a rule."""
        if not self.pending_actions:
            return None
        action = self.pending_action(base_of(name))
        return action if action is not None and action.is_open(now_ms) else None

    def is_halted(self, name: str, now_ms: int) -> bool:
        """Whether trading in a token waits for a corporate action."""
        return self.halting_action(name, now_ms) is not None

    def rests_until(self, base: str, now_ms: int) -> int:
        """Return until when no window of a token may open: nothing was done in its last one."""
        ended = [
            each.ends_ms
            for each in self.actions
            if each.token == base and not each.applied_ms and each.effective_ms < each.ends_ms
        ]
        return max((each for each in ended if each <= now_ms), default=-WINDOW_MS) + WINDOW_MS

    def number_of_announcement(self, command: AnnounceAction) -> int:
        """Return the place of what is being announced: that of what it replaces, or a new one."""
        waiting = self.pending_action(command.token)
        if waiting is not None and command.now_ms < waiting.effective_ms:
            return self.pending_actions[command.token]
        return len(self.actions)

    def load_actions(self, actions: list[Action]) -> None:
        """Take the actions that were announced."""
        self.actions = actions
        self.pending_actions = {each.token: place for place, each in enumerate(actions)}
        for base, place in list(self.pending_actions.items()):
            if actions[place].applied_ms or actions[place].withdrawn_ms:
                del self.pending_actions[base]

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
        rules = self.rules_of(listing.parameters, listing.terms)
        versions = first_version(listing.parameters, listing.now_ms)
        self.tokens[listing.token] = Token(listing, rules, empty_state(FLOWS), {}, versions)
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

    def make_room_for_everybody(self, name: str) -> Token:
        """Return a token with room for a command that pays every account."""
        token = self.make_room(name)
        self.tokens[name] = token._replace(state=logged_for_everybody(token.state))
        return self.tokens[name]

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
            self.withdrawals.append(asked._replace(destination=command.destination))
        elif isinstance(command, Debit):
            place, asked = command.withdrawal - 1, self.withdrawals[command.withdrawal - 1]
            self.withdrawals[place] = asked._replace(
                completed_ms=command.now_ms, reference=command.reference
            )
            self._book_reference(command.reference, sequence)
        elif isinstance(command, Pause | HoldDeposits):
            self._stopped(command).add(command.token)
        elif isinstance(command, Resume | AllowDeposits):
            self._stopped(command).discard(command.token)
        elif isinstance(command, MoveBalance):
            self.enter_account(command.target, command.account)
        else:
            self._book_terms(sequence, command)

    def _stopped(self, command: Pause | Resume | HoldDeposits | AllowDeposits) -> set[str]:
        """Return the tokens that are stopped in what a command is about."""
        return self.paused if isinstance(command, Pause | Resume) else self.held

    def _book_terms(self, sequence: int, command: Command) -> None:
        """Book what changed the terms of a token."""
        if isinstance(command, SetParameters):
            self._take_versions(
                command.token,
                self.tokens[command.token].versions.with_announced(
                    command.parameters, command.now_ms, command.effective_ms
                ),
            )
        elif isinstance(command, AdoptParameters):
            versions = self.tokens[command.token].versions
            self._take_versions(command.token, versions.with_adopted(command.now_ms))
        elif isinstance(command, AnnounceAction):
            place = self.number_of_announcement(command)
            self.actions[place:] = [announced(command), *self.actions[place + 1 :]]
            self.pending_actions[command.token] = place
        elif isinstance(command, WithdrawAction):
            place = self.pending_actions.pop(command.token)
            self.actions[place] = self.actions[place]._replace(withdrawn_ms=command.now_ms)
        elif isinstance(command, ApplyAction):
            self._book_reference(command.reference, sequence)
            self._book_action(command)

    def _take_versions(self, name: str, versions: Versions) -> None:
        """Let a token have these versions of its parameters, and the rules of the last."""
        token = self.tokens[name]
        rules = self.rules_of(versions.in_force.parameters, token.listing.terms)
        self.tokens[name] = token._replace(rules=rules, versions=versions)

    def _book_action(self, command: ApplyAction) -> None:
        """Book that an action was done, and what a split changes beyond the states of tokens."""
        place = self.pending_actions.pop(command.token)
        action = self.actions[place]._replace(
            applied_ms=command.now_ms, reference=command.reference
        )
        self.actions[place] = action
        if action.action != SPLIT:
            return
        names = self.generations(command.token)
        for number, each in enumerate(self.withdrawals):
            if each.token in names and not each.completed_ms:
                amount = split_amount(each.amount, action)
                self.withdrawals[number] = each._replace(amount=amount)
        for order, waiting in self.queue.items():
            if waiting.command.token in names:
                self.queue[order] = self._split_waiting(waiting, action)
        for name in names:
            versions = self.tokens[name].versions.split(
                action.numerator, action.denominator, action.effective_ms, command.now_ms
            )
            self._take_versions(name, versions)

    def _split_waiting(self, waiting: Waiting, action: Action) -> Waiting:
        """Return a queued close after a split; its position may have been sold meanwhile."""
        close = waiting.command
        state = self.tokens[close.token].state
        slot = find_own_position(state, self.slot_of(close.token, close.account), close.position_id)
        cap_ppm = (
            PPM if slot == NONE else int(state.series["cap_ppm"][state.positions[slot].series])
        )
        notional, min_total = split_close(close, cap_ppm, action)
        return waiting._replace(command=replace(close, notional=notional, min_total=min_total))

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
                "held deposits": "held",
                "corporate actions": "actions",
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
            if token.versions != other.tokens[name].versions:
                found.append(f"parameters of {name}")
        return found
