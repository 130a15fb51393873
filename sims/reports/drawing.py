"""What all charts of a report share: style, size, axes in days or dates, PNG bytes."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from sims.chapters.pricing_pictures import STYLE

PERCENT = 100.0
DPI = 100


class Chart:
    """A figure that becomes a PNG when it is done."""

    def __init__(self, figure: Figure) -> None:
        """Begin with an empty figure."""
        self.figure = figure
        self.png = b""


@contextmanager
def chart(width: float, height: float) -> Iterator[Chart]:
    """Draw in the style of all charts; `png` is there afterwards.

    Args:
        width: Inches.
        height: Inches.
    """
    with mpl.rc_context(STYLE):
        begun = Chart(Figure(figsize=(width, height), layout="constrained"))
        yield begun
        buffer = io.BytesIO()
        begun.figure.savefig(buffer, dpi=DPI, format="png", metadata={"Software": None})
        begun.png = buffer.getvalue()


def with_dates(axes: Axes) -> None:
    """Let an axis of times show short dates, each day with its month."""
    locator: Any = AutoDateLocator()  # type: ignore[no-untyped-call]
    formatter: Any = ConciseDateFormatter(locator, show_offset=False)  # type: ignore[no-untyped-call]
    formatter.formats[2] = formatter.zero_formats[2] = formatter.zero_formats[3] = "%d %b"
    formatter.zero_formats[1] = "%b %Y"
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(formatter)
