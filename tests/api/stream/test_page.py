"""What `docs/stream.md` says is so: its program runs, its messages are messages."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec

from api.stream import messages
from api.stream.messages import (
    LOSSLESS,
    PRIVATE,
    ROWS,
    Answer,
    Asked,
    Heartbeat,
    Notice,
    Update,
    Welcome,
)
from tests.api.http.harness import Server

TEXT = (Path(__file__).parents[3] / "docs" / "stream.md").read_text(encoding="utf-8")
TOLD: dict[str | None, type[msgspec.Struct]] = {
    "welcome": Welcome,
    "heartbeat": Heartbeat,
    "notice": Notice,
}


def blocks(language: str) -> list[str]:
    """Return the page's blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def test_the_program_follows_a_trade(server: Server) -> None:
    token = server.list_token("TSLA.M")
    server.credit("stream-page", token, "100")
    key = server.key_of("stream-page", "trade")
    environment = {"EG_URL": server.url, "EG_KEY": key.id, "EG_SECRET": key.secret or ""}
    (program,) = blocks("python")
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    (held,) = server.client("stream-page").positions()
    numbers = r"\d+"  # they go on from channels that were forgotten
    first, second, *_, last = done.stdout.splitlines()
    assert re.fullmatch(rf"positions snapshot {numbers} \[\]", first)
    assert re.fullmatch(rf"orders snapshot {numbers} \[\]", second)
    assert re.fullmatch(rf"positions delta {numbers} \['{re.escape(held.id)}'\]", last)


def test_every_message_is_one() -> None:
    lines = [line for block in blocks("json") for line in block.splitlines()]
    for line in lines:
        if '"op"' in line:
            msgspec.json.decode(line, type=Asked)
        else:
            found = json.loads(line)
            kind: type[msgspec.Struct] = TOLD.get(found.get("type"), Answer)
            kind = Update if "channel" in found else kind
            msgspec.json.decode(line, type=kind)
            assert found.keys() <= {*kind.__struct_fields__, "type"}, line
            if kind is Update:
                (of, _) = ROWS[messages.kind_of(found["channel"])]
                msgspec.convert(found["data"], type=list[of])  # type: ignore[valid-type]
    assert len(lines) > 10


def test_the_table_of_channels_is_the_server_s() -> None:
    (_, after) = TEXT.split("| channel | rows, and their key |")
    rows = [line.split(" | ") for line in after.split("\n\n")[0].splitlines()[2:]]
    kinds = [messages.kind_of(row[0].strip("| `").replace("`", "")) for row in rows]
    assert sorted(kinds) == sorted(ROWS)
    assert {kind for kind, row in zip(kinds, rows, strict=True) if "{" not in row[0]} == PRIVATE
    assert {kind for kind, row in zip(kinds, rows, strict=True) if row[-1] == "yes |"} == LOSSLESS


def test_the_close_codes_are_on_the_page() -> None:
    codes = (
        messages.RESTARTING,
        messages.TRY_LATER,
        messages.TOO_SLOW,
        messages.KEY_ENDED,
        messages.SILENT,
        messages.FLOODING,
    )
    assert all(f"\n| {code} |" in TEXT for code in codes)
