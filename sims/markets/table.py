"""CSV files read without trust: a line that is not what it should be is refused, and named."""

import csv
import gzip
import io
import math
import re
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|\+00:00)", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


class LineError(ValueError):
    """What is wrong with one line; whoever reads the file says which."""


def iso_minute(time_ms: int) -> str:
    """Return a time such as 2024-01-31T13:00Z."""
    return _iso(time_ms, "%Y-%m-%dT%H:%MZ")


def iso_second(time_ms: int) -> str:
    """Return a time such as 2024-01-31T13:00:00Z, as files hold it."""
    return _iso(time_ms, "%Y-%m-%dT%H:%M:%SZ")


def _iso(time_ms: int, form: str) -> str:
    try:
        return (_EPOCH + timedelta(milliseconds=time_ms)).strftime(form)
    except OverflowError:
        return f"{time_ms} ms"


def find_table(folder: Path, inner: str, stem: str, error: type[ValueError]) -> Path | None:
    """Return the one file `stem`.csv or .csv.gz in a folder or in its folder `inner`; or None."""
    if not folder.is_dir():
        raise error(f"{folder}: no such folder")
    names = (f"{stem}.csv.gz", f"{stem}.csv")
    places = [place / name for place in (folder, folder / inner) for name in names]
    found = [path for path in places if path.is_file()]
    if len(found) > 1:
        raise error(f"{found[0]} and {found[1]} both exist: which is right?")
    return found[0] if found else None


def _read_text(path: Path, error: type[ValueError]) -> str:
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (EOFError, zlib.error, gzip.BadGzipFile) as cause:
        raise error(f"{path}: damaged or truncated gzip") from cause
    except OSError as cause:
        raise error(f"{path}: {cause.strerror or cause}") from cause
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        line = content.count(b"\n", 0, cause.start) + 1
        raise error(f"{path}, line {line}: not UTF-8") from cause


def read_rows(
    path: Path, columns: Sequence[str], error: type[ValueError], optional: Sequence[str] = ()
) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield (line, cells in the order of `columns`, then `optional`) for lines below the header.

    Args:
        path: The file, plain or gzipped where its name ends in .gz.
        columns: Names that the header must hold.
        error: What to raise, with one line naming the file and the line in it.
        optional: Names whose cells are empty where the header lacks them.
    """
    reader = csv.reader(io.StringIO(_read_text(path, error), newline=""), strict=True)
    try:
        header = next(reader, [])
        missing = [name for name in columns if name not in header]
        if missing:
            raise error(f"{path}, line 1: no column {', '.join(missing)}")
        if len(set(header)) != len(header):
            raise error(f"{path}, line 1: two columns have the same name")
        # Behind the cells of each line stands an empty one, for the columns that are not there.
        places = [header.index(name) if name in header else -1 for name in (*columns, *optional)]
        for cells in reader:
            line = reader.line_num
            if len(cells) != len(header):
                raise error(f"{path}, line {line}: {len(cells)} cells under {len(header)} columns")
            padded = [*cells, ""]
            yield line, tuple(padded[place] for place in places)
    except csv.Error as cause:
        raise error(f"{path}, line {reader.line_num}: {cause}") from cause


def read_time(name: str, text: str) -> int:
    """Return the milliseconds of a time such as 2024-01-31T13:00:00Z, or with +00:00 for Z."""
    if not _TIME.fullmatch(text):
        raise LineError(f"{name} {text!r} is not a time such as 2024-01-31T13:00:00Z")
    return _milliseconds(name, text)


def read_day(name: str, text: str) -> int:
    """Return the milliseconds at which a UTC day such as 2024-01-31 begins."""
    if not _DAY.fullmatch(text):
        raise LineError(f"{name} {text!r} is not a day such as 2024-01-31")
    return _milliseconds(name, f"{text}T00:00:00Z")


def _milliseconds(name: str, text: str) -> int:
    try:
        return (datetime.fromisoformat(text) - _EPOCH) // _MILLISECOND
    except ValueError as error:
        raise LineError(f"{name} {text} is no time there ever was: {error}") from error


def read_number(name: str, text: str) -> float:
    """Return a finite number."""
    number = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(number):
        raise LineError(f"{name} {text!r} is not a finite number")
    return number


def read_optional(name: str, text: str) -> float:
    """Return a finite number; NaN for an empty cell."""
    return read_number(name, text) if text else math.nan
