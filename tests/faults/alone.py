"""An exchange on its own: one command after another, a fault at any boundary of a commit."""

from dataclasses import replace
from typing import NamedTuple

from api.dispatch import Executed
from api.exchange import BatchLostError, KeyConflictError
from api.journal import MalformedCommandError
from tests.faults.boundaries import HAPPENED, CrashError, Fault, FaultError
from tests.faults.life import Life
from tests.faults.traffic import Asked
from tests.faults.witness import promise
from vaults.commands import Credit

QUIET_SHARE = 0.3
"""Commits that nothing happens at."""
CHECKPOINT_SHARE = 0.15
"""Commits after which the rows are saved too."""
RELAPSE_SHARE = 0.3
"""Faults that are followed by another, while the state is read back."""
RETRY_SHARE = 0.8
"""Callers without an answer who send their command again, with its key."""


class Sent(NamedTuple):
    """A command that was executed, and is not acknowledged yet."""

    asked: Asked
    executed: Executed
    by_caller: bool


class LifeAlone(Life):
    """A life without a service."""

    def run(self, crashes: int) -> None:
        """Live until it has died so often.

        Raises:
            BrokenPromiseError: Something was lost, done twice, or does not add up.
        """
        self._sent: list[Sent] = []
        self.begin()
        while self.tally["crashes"] < crashes:
            self._work()
            self._commit()
        self.look()

    # -- commands

    def _work(self) -> None:
        """Have some commands executed, a few of which are not to be."""
        for _ in range(self.chance.randint(1, 5)):
            for asked in self.traffic.next(self.exchange):
                self.send(asked)
            if self._sent and self.chance.random() < 0.2:
                self._send_amiss()

    def send(self, asked: Asked) -> Executed:
        """Have a command executed, and the closes that waited for it."""
        executed = self.exchange.execute(*asked)
        self._sent.append(Sent(asked, executed, by_caller=True))
        for waiting in self.traffic.queued(self.exchange, asked[0]):
            self._sent.append(Sent(waiting, self.exchange.execute(*waiting), by_caller=False))
        return executed

    def _send_amiss(self) -> None:
        """Send a command twice, or under a key that is taken, or one that is none."""
        length = self.exchange.journal_length
        (command, key), first, _ = self.chance.choice(self._sent)
        later = replace(command, now_ms=self.traffic.now_ms + self.chance.randrange(1_000))
        again = self.exchange.execute(later, key)
        promise(again.outcome == first.outcome, f"{key} was answered differently in one batch")
        for wrong, taken, error in (
            (Credit("OTHER.M", "ann", 1, self.traffic.now_ms), key, KeyConflictError),
            (replace(later, now_ms=0.5), "half", MalformedCommandError),  # type: ignore[arg-type]
            (command, "", MalformedCommandError),
        ):
            try:
                self.exchange.execute(wrong, taken)
            except error:
                continue
            promise(holds=False, words=f"{wrong} was taken under {taken!r}")
        promise(self.exchange.journal_length == length, "what is refused was counted")

    # -- commits

    def _commit(self) -> None:
        """Commit, with or without a fault."""
        with_rows = self.chance.random() < CHECKPOINT_SHARE
        if self.chance.random() >= QUIET_SHARE:
            self._arm(with_rows)
        self.met.clear()
        try:
            if with_rows:
                self.exchange.checkpoint()
            else:
                self.exchange.commit()
        except (CrashError, BatchLostError, FaultError):
            if not self.met:
                raise
            self._recover(self.met[0], with_rows)
        else:
            promise(not self.met, "a commit that failed was reported as done")
            self._acknowledge()
        self.faults.clear()

    def _arm(self, with_rows: bool) -> None:
        """Choose where it happens, and whether once more while the state is read back."""
        fault = self.draw_fault(skip=self.chance.randint(0, 1) if with_rows else 0)
        self.faults.append(fault)
        if self.chance.random() < RELAPSE_SHARE:
            self.faults.append(self.draw_relapse())

    def _acknowledge(self) -> None:
        for (command, _), executed, _ in self._sent:
            self.witness.acknowledge(command, executed)
        self._sent.clear()

    def _recover(self, fault: Fault, with_rows: bool) -> None:
        """Start again where the process died, look at everything, and let callers try again."""
        sent, self._sent = self._sent, []
        if self.store.is_dead:
            self.store.store.close()
            self.start()
        self.faults.clear()
        self.look()
        fresh = [each for each in sent if each.asked[1] not in self.witness.answered]
        there = {self.witness.has(each.asked[1]) for each in fresh}
        promise(len(there) <= 1, "half a batch was committed")
        happened = fault.boundary in HAPPENED or (with_rows and fault.skip > 0)
        promise(there <= {happened}, f"a batch {there} after a fault {fault.boundary}")
        for each in sent:
            if each.by_caller and self.chance.random() < RETRY_SHARE:
                again = self.send(each.asked)
                same = again.record.digest == each.executed.record.digest
                promise(same or not happened, f"{each.asked} was answered differently")
        self.exchange.commit()
        self._acknowledge()
