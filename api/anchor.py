"""An anchor of the journal: number and digest of a record, kept where the database is not.

A chain of digests shows that nothing in it was changed, not that nothing was taken off its end.
"""

import re
from typing import NamedTuple, Self

_FORM = re.compile(r"([0-9]{1,18}):([0-9a-fA-F]{64})")


class Anchor(NamedTuple):
    """A record's number and its digest; before the first record 0 and `FIRST_DIGEST`."""

    sequence: int
    digest: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return what `str` has made of one.

        Raises:
            ValueError: It is none.
        """
        found = _FORM.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is not NUMBER:DIGEST, of 64 hexadecimal digits")
        return cls(int(found[1]), bytes.fromhex(found[2]))

    def __str__(self) -> str:
        return f"{self.sequence}:{self.digest.hex()}"
