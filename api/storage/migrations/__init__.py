"""The tables' history, revision by revision; a released one is never changed."""

KNOWN = ("0001", "0002")
"""All revisions, in order; each has its file in `versions`."""
FIRST, HEAD = KNOWN[0], KNOWN[-1]
"""The revision there was before revisions were written down, and this release's."""
ADDED = {"withdrawal": {"destination"}}
"""Columns that tables have got since the first revision."""
