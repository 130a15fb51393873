"""What a simulated path did, done again by the single writer of a real exchange."""

from itertools import count

from amm.oracle import START_VOL, initial_state
from api.exchange import Exchange
from sims.drawdown.commands import LIMIT, SOURCES, Kind
from sims.drawdown.scenario import PoolPlan
from sims.drawdown.world import SYMBOLS, World, step_oracle_rules, step_parameters
from vaults import commands
from vaults.commands import CALL, PUT, Command
from vaults.market import new_market
from vaults.moves import RequestKind
from vaults.state import NONE


class Repeater:
    """Carries the lines a path wrote down out on an exchange, one command after another."""

    def __init__(self, exchange: Exchange, plan: PoolPlan, step_ms: int) -> None:
        rules = step_oracle_rules(step_ms)
        exchange.memory.oracle_rules = rules
        exchange.memory.market = new_market(initial_state(START_VOL), rules)
        self._exchange = exchange
        self._plan = plan
        self._parameters = step_parameters(plan.parameters, step_ms)
        self._keys = (f"c{number}" for number in count())
        self._accounts = 0

    def repeat(self, world: World) -> list[int]:
        """Repeat all a world wrote down; returns the answers' codes, one for each line."""
        written = int(world.command_count[0])
        assert 0 < written < world.commands.shape[0], "there was no room for all commands"
        return [self._carry_out([int(word) for word in line]) for line in world.commands[:written]]

    def _carry_out(self, line: list[int]) -> int:
        kind, words = Kind(line[0]), line[1:]
        if kind == Kind.WITHDRAW:
            return self._withdraw(*words[:3])
        return self._execute(self._command(kind, words))

    def _execute(self, command: Command) -> int:
        return self._exchange.execute(command, next(self._keys)).outcome.code

    def _withdraw(self, account: int, amount: int, now_ms: int) -> int:
        token = self._plan.token
        code = self._execute(commands.Withdraw(token, f"a{account}", amount, now_ms))
        self._execute(commands.Debit(token, len(self._exchange.memory.withdrawals), now_ms))
        return code

    def _credited(self, account: int) -> str:
        if account == NONE:
            account, self._accounts = self._accounts, self._accounts + 1
        return f"a{account}"

    def _command(self, kind: Kind, words: list[int]) -> Command:
        token, a, b, c, d, e, f, g = self._plan.token, *words
        match kind:
            case Kind.LIST:
                return commands.ListToken(token, a, self._parameters, self._plan.terms)
            case Kind.START:
                return commands.StartUnderlying(SYMBOLS[a], e, b, c, d)
            case Kind.TICK:
                return commands.Tick(SYMBOLS[a], b, d, d, vol_e9=c, sources=SOURCES)
            case Kind.CREDIT:
                return commands.Credit(token, self._credited(a), b, c)
            case Kind.OPEN:
                side = CALL if c else PUT
                name = SYMBOLS[b]
                return commands.Open(token, f"a{a}", name, side, d, e, LIMIT, g, bool(f))
            case Kind.CLOSE:
                return commands.Close(token, f"a{a}", b, c, d)
            case Kind.REQUEST:
                return commands.Request(token, f"a{a}", RequestKind(b), c, d)
            case Kind.FLUSH:
                return commands.Flush(token, a)
        raise AssertionError(kind)
