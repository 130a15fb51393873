"""Two servers on one PostgreSQL, each with tokens of its own; history of one from a replica."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from amm.units import ONE
from api.client import Client, EvergammaError
from api.exchange import Exchange
from api.history import read_entries
from api.recovery import check_database
from api.storage.errors import TokenElsewhereError
from api.storage.store import open_snapshot, open_store
from api.storage.url import DatabaseUrl
from tests.api.conftest import START_MS, Call
from tests.api.databases import postgresql_database
from tests.benchmarks.serving import TOKEN, Process, Server
from vaults.commands import Credit, ListToken
from vaults.params import Parameters
from vaults.rejects import Reject

OTHER = "NVDA.M"


@pytest.fixture
def database() -> Iterator[DatabaseUrl]:
    """A database with the tables of a second shard."""
    with postgresql_database() as made:
        open_store(made, shard="eu").close()
        yield made


@pytest.fixture
def replica(database: DatabaseUrl) -> Iterator[DatabaseUrl]:
    """A replica that lags for as long as it is there."""
    with postgresql_database(template=database) as made:
        yield made


@contextmanager
def second_shard(first: Server, replica: DatabaseUrl, log: Path) -> Iterator[Process]:
    """Run another server on the database of a first, with the same keys."""
    place = ["--database", first.database.with_password, "--master-key", str(first.master_key)]
    flags = ["--shard", "eu", "--tokens", OTHER, "--replica", replica.with_password]
    command = ["-m", "api", "serve", *place, *flags, "--port", "0", "--fill-delay", "0"]
    with Process(command, log) as server:
        yield server
        server.stop()


def test_two_writers_share_a_server_and_no_token(
    database: DatabaseUrl, replica: DatabaseUrl, tmp_path: Path
) -> None:
    """A key of one is good for the other; what they do is kept apart, each in its journal."""
    with (
        Server(tmp_path, database) as first,
        second_shard(first, replica, tmp_path / "eu.log") as second,
        first.operator_client() as here,
        Client(second.url, *first.operator) as there,
    ):
        assert [each.token for each in there.tokens()] == [OTHER]
        with pytest.raises(EvergammaError, match=f"{TOKEN} belongs to the shard main"):
            there.operator.list_token(TOKEN)
        with pytest.raises(EvergammaError, match=f"{OTHER} belongs to the shard eu"):
            here.operator.list_token(OTHER)
        for client, token in ((here, TOKEN), (there, OTHER)):
            client.operator.credit("eve", token, "2", "deposit-1")
            (balance,) = client.account("eve").balances
            assert (balance.token, balance.balance) == (token, "2")
        assert len(list(here.ledger("eve"))) == 1
        assert list(there.ledger("eve")) == []  # which is history, and the replica lags
        for shard in ("main", "eu"):
            snapshot = open_snapshot(database, shard=shard)
            kinds = {record.kind for record in snapshot.journal()}
            snapshot.close()
            assert "Credit" in kinds
    first.check()


def test_shards_are_copied_where_none_is_the_main_one(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By the variable too, which keeps the password off the command line."""
    copy, folder = tmp_path / "copy", tmp_path / "out"
    with postgresql_database() as lost, postgresql_database() as found:
        for name in ("us", "eu"):
            open_store(lost, shard=name).close()
        monkeypatch.setenv("EVERGAMMA_DATABASE", lost.with_password)
        assert call("db", "export", folder, "--shard", "us")[0] == 0
        assert (folder / "journal.parquet").is_file()
        assert call("db", "backup", copy)[0] == 0
        monkeypatch.setenv("EVERGAMMA_DATABASE", found.with_password)
        assert call("db", "restore", copy)[0] == 0
        for name in ("us", "eu"):
            assert call("db", "check", "--shard", name)[0] == 0
        status, _, errors = call("db", "backup")
        assert (status, len(errors.splitlines())) == (2, 1)
        assert "two arguments are needed" in errors
    monkeypatch.delenv("EVERGAMMA_DATABASE")
    assert call("db", "backup", copy)[0] == 2
    assert call("db", "backup")[0] == 2


def test_no_program_is_told_a_password_where_others_see_it(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """PostgreSQL's own are run by others that write down how they were called."""
    told = tmp_path / "told"
    for program in ("pg_dump", "pg_restore"):
        real, other = shutil.which(program), tmp_path / program
        other.write_text(f'#!/bin/sh\necho "$@ $PGPASSWORD" >>{told}\nexec {real} "$@"\n')
        other.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with postgresql_database() as lost, postgresql_database() as found:
        open_store(lost).close()
        for command, url in (("backup", lost), ("restore", found)):
            assert url.server is not None
            place = DatabaseUrl(server=url.server.set(password="s/ecret")).with_password
            assert call("db", command, place, tmp_path / "copy")[0] == 0
    lines = told.read_text().splitlines()
    assert [line.count("s/ecret") for line in lines] == [1, 1]
    assert all(line.endswith(" s/ecret") for line in lines)
    assert "%2F" not in told.read_text()


def test_a_token_is_listed_by_one_shard(database: DatabaseUrl) -> None:
    """What another has is not even asked for; what was refused may be anybody's."""
    first, second = (Exchange(open_store(database, shard=name)) for name in ("main", "eu"))
    first.execute(ListToken(TOKEN, START_MS), "list")
    with pytest.raises(TokenElsewhereError, match=f"{TOKEN} belongs to the shard main"):
        second.execute(ListToken(TOKEN, START_MS), "list")
    assert second.journal_length == 0
    nothing = ListToken(OTHER, START_MS, Parameters(seed=0))
    assert first.execute(nothing, "nothing").outcome.code == Reject.PARAMETERS_INVALID
    assert second.execute(ListToken(OTHER, START_MS), "list").outcome.code == 0
    for each in (first, second):
        each.commit()
        assert check_database(each.store).faults == []
        each.store.close()


def test_who_needs_the_last_records_is_not_sent_to_the_replica(
    database: DatabaseUrl, replica: DatabaseUrl
) -> None:
    exchange = Exchange(open_store(database, shard="eu", replica=replica))
    exchange.execute(ListToken(TOKEN, START_MS), "list")
    exchange.execute(Credit(TOKEN, "eve", ONE, START_MS), "credit")
    exchange.commit()
    assert read_entries(exchange.store, "account/eve", None, 5) == []
    (found,) = read_entries(exchange.store, "account/eve", None, 5, is_current=True)
    assert found.sequence == 2
    exchange.store.close()
