"""Processes of jobs, as their server sees them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from api.simulations.jobs import ERRORS

STOP_S = 2.0
"""How long a process may take to end when it is told to."""
_OURS = "EVERGAMMA_"
_ONE_THREAD = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_REASON_MAX = 500


class JobProcess:
    """The process of a job: it lives no longer than its server.

    It is told so by its standard input, which the server holds open: however the server ends, that
    ends with it. It gets none of the server's settings, which may be secret.

    Args:
        place: Folder of the job.
        nice: How far it stands back for others.
        data: Folder of price history, for markets that draw from one.
    """

    def __init__(self, place: Path, nice: int, data: Path | None) -> None:
        self._place = place
        module = [sys.executable, "-m", "api.simulations.process"]
        settings = {name: text for name, text in os.environ.items() if not name.startswith(_OURS)}
        with (place / ERRORS).open("wb") as errors:
            self._process = subprocess.Popen(  # noqa: S603
                [*module, str(place), str(nice), *([] if data is None else [str(data)])],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=settings | dict.fromkeys(_ONE_THREAD, "1"),
                start_new_session=True,  # Ctrl-C in a terminal is for the server
            )

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    @property
    def failure(self) -> str | None:
        """Why it ended without having done its job; None: it has done it."""
        status = self._process.returncode
        if status == 0:
            return None
        if status < 0:
            name = signal.Signals(-status).name
            reason = "it took more memory than there is" if name == "SIGKILL" else "it crashed"
            return f"the process was ended by {name}: perhaps {reason}"
        said = (self._place / ERRORS).read_text("utf-8", "replace").strip().splitlines()
        return said[-1][:_REASON_MAX] if said else f"the process ended with status {status}"

    def stop(self) -> None:
        """End it; what it has written stays."""
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.close()

    def close(self) -> None:
        """Let go of a process that has ended."""
        assert self._process.stdin is not None
        self._process.stdin.close()
