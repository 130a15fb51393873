"""Being the only one that writes, or waiting until one is."""

import time
from collections.abc import Callable

from api.storage.errors import StoreError
from api.storage.url import DatabaseUrl

LOOK_AGAIN_S = 0.2
"""Seconds until one that waits looks again whether the writer is gone."""

Tell = Callable[[str], None]


def become_writer(
    url: DatabaseUrl, try_lock: Callable[[], bool], wait: Tell | None, grace: float = 0.0
) -> None:
    """Take the writer's lock; `wait` is told once why it takes long.

    Within `grace` seconds nobody is told: a server needs a moment to see that a writer has gone.

    Raises:
        StoreError: Another process has it, and nobody wants to wait.
    """
    deadline = time.monotonic() + grace
    while not try_lock():
        if time.monotonic() >= deadline:
            break
        time.sleep(LOOK_AGAIN_S / 10)
    else:
        return
    if wait is None:
        raise StoreError(f"{url} is in use by another process")
    wait(f"{url} is in use by another process; this one takes over when that ends")
    while not try_lock():
        time.sleep(LOOK_AGAIN_S)
