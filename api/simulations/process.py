"""The process of a job: `python -m api.simulations.process JOB_FOLDER NICE [HISTORY_FOLDER]`.

It takes what time of the processor others leave, and is the first to end where memory is short.
Where the run was begun before, it goes on.
"""

import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

ORPHANED = 75
"""Exit status where the server is gone."""


def stand_back(nice: int) -> None:
    """Let others have processor and memory first.

    Where Linux shares the processor between sessions before it looks at processes, this session
    stands back too.

    Args:
        nice: From 0, as others, to 19, the lowest priority there is.
    """
    os.nice(nice)
    for name, value in (("autogroup", nice), ("oom_score_adj", 1_000)):
        with suppress(OSError):
            Path("/proc/self", name).write_text(str(value))


def end_with_server() -> None:
    """End this process when its standard input does, which its server holds."""

    def wait() -> None:
        os.read(sys.stdin.fileno(), 1)
        os._exit(ORPHANED)

    threading.Thread(target=wait, daemon=True).start()


def main() -> None:
    """Run the job."""
    place, nice, *rest = sys.argv[1:]
    stand_back(int(nice))
    end_with_server()
    # Loading takes seconds, which others may want.
    from api.simulations.running import JobError, run_job  # noqa: PLC0415

    try:
        run_job(Path(place), Path(rest[0]) if rest else None)
    except JobError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
