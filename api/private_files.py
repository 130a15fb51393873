"""Files that hold a secret: who else may read them."""

import os
import stat
from pathlib import Path


def mode_fault(path: Path) -> str | None:
    """Return what is wrong with the mode of a secret's file, None where others have no way to it.

    systemd lets a service read its credentials by a list of users, which shows as its group's.

    Raises:
        OSError: It cannot be looked at.
    """
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    allowed = 0o640 if folder is not None and path.parent == Path(folder) else 0o600
    mode = stat.S_IMODE(path.stat().st_mode)
    return f"has mode {mode:04o}: others must not; 0600" if mode & ~allowed else None
