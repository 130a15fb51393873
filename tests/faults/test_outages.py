"""A full disk, a database lost or silent: refused, told so, nothing lost, and then it goes on."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from api.client import UnavailableError
from api.storage.url import DatabaseUrl
from tests.api.databases import postgresql_database
from tests.api.proxy import Proxy
from tests.benchmarks.serving import Server
from tests.faults.outages import (
    Met,
    can_mount,
    cut_line,
    file_limit,
    hold_line,
    live_through,
    small_disk,
)

pytestmark = pytest.mark.compiled


def assert_told(met: Met) -> None:
    """Everybody had answers before it, and a problem document in it."""
    assert met.acknowledged >= 5 * len(met.told)
    assert {type(each) for each in met.told} == {UnavailableError}


def test_a_full_disk_refuses_and_goes_on_when_there_is_space(tmp_path: Path) -> None:
    """Readers see what they saw before; callers send again with the same key, and it is done."""
    folder = tmp_path / "disk"
    with small_disk(folder) if can_mount() else nullcontext() as full:
        folder.mkdir(exist_ok=True)
        with Server(folder) as server:
            limited = file_limit(server, folder / "exchange.sqlite-wal")
            assert_told(live_through(server, full or limited, is_readable=True))


def test_a_silent_database_is_given_up_and_goes_on_when_it_speaks(tmp_path: Path) -> None:
    """It takes what is sent, new connections too, and answers none of it."""
    with postgresql_database() as near:
        assert near.server is not None
        address = near.server
        with Proxy(address.host or "127.0.0.1", address.port or 5432) as proxy:
            far = address.set(host="127.0.0.1", port=proxy.port)
            short = far.update_query_dict({"tcp_user_timeout": "1500", "connect_timeout": "2"})
            with Server(tmp_path, DatabaseUrl(server=short)) as server:
                assert_told(live_through(server, hold_line(proxy), is_readable=False))


def test_a_lost_database_refuses_and_goes_on_when_it_is_back(tmp_path: Path) -> None:
    """With the line cut under load for as long as it takes; nobody has to do anything."""
    with postgresql_database() as near:
        assert near.server is not None
        address = near.server
        with Proxy(address.host or "127.0.0.1", address.port or 5432) as proxy:
            far = DatabaseUrl(server=address.set(host="127.0.0.1", port=proxy.port))
            with Server(tmp_path, far) as server:
                assert_told(live_through(server, cut_line(proxy), is_readable=False))
