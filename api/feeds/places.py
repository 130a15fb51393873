"""Where outside sources are, which prices they are asked for, and the key one of them wants."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from api.private_files import mode_fault

PYTH_URL = "https://hermes.pyth.network"
PYTH_IDS = {
    "BTC": "e62df6c8b4a85fe1a67db44dc12de5db330f7ac66b72dc658afedf0f4a415b43",
    "ETH": "ff61491a931112ddf1bd8147cd1b641375f79f5825126d665480874634fd0ace",
}
"""Of the prices in USD."""
PYTH_KEY_VARIABLE = "EVERGAMMA_PYTH_KEY"
DERIBIT_URL = "wss://www.deribit.com/ws/api/v2"
_KEY = re.compile(r"[!-~]{1,1000}")
_ID = re.compile(r"(?:0x)?([0-9a-fA-F]{64})")


class PlaceError(ValueError):
    """A setting of a source that cannot be used; the message is one line naming its option."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PythSettings:
    """Where Hermes is, of which prices it is asked, and the key it wants."""

    url: str = PYTH_URL
    key: str | None = field(default=None, repr=False)
    ids: dict[str, str] = field(default_factory=lambda: dict(PYTH_IDS))


def read_pyth_key(file: Path | None) -> str | None:
    """Return the key in a file, or else that of the environment; None where there is none.

    Raises:
        PlaceError: The file cannot be read, others may read it, or what is given is no key.
    """
    if file is None:
        given = os.environ.get(PYTH_KEY_VARIABLE)
        if given is None:
            return None
        name, text = PYTH_KEY_VARIABLE, given
    else:
        name = f"--pyth-key-file {file}"
        try:
            fault = mode_fault(file)
            if fault is not None:
                raise PlaceError(f"{name} {fault}")
            text = file.read_text("ascii")
        except OSError as error:
            raise PlaceError(f"{name}: {error.strerror}") from None
        except UnicodeDecodeError:
            text = ""
    if not _KEY.fullmatch(text.strip()):
        raise PlaceError(f"{name} holds no key: one word is expected")
    return text.strip()


def parse_ids(text: str, symbols: tuple[str, ...]) -> dict[str, str]:
    """Return the ids of prices given as BTC=e62d...,ETH=ff61...; those left out are the usual ones.

    Raises:
        PlaceError: It is no such list.
    """
    ids = {symbol: PYTH_IDS[symbol] for symbol in symbols}
    for each in text.split(","):
        symbol, _, given = each.strip().partition("=")
        found = _ID.fullmatch(given)
        if symbol not in symbols or found is None:
            raise PlaceError(
                f"--pyth-ids {each.strip()[:80]!r} is not like BTC=e62d..., with 64 hex digits"
            )
        ids[symbol] = found[1].lower()
    if len(set(ids.values())) < len(ids):
        raise PlaceError("--pyth-ids gives one id twice")
    return ids
