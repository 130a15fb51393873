"""Pictures: written, of the size said, and showing the series they were given."""

from pathlib import Path

import numpy as np
from matplotlib.image import imread

from sims.report import draw_run
from sims.series import PriceSeries, TokenSeries


def test_a_run_is_drawn(tmp_path: Path) -> None:
    """A PNG with ink in all three charts; another run looks different."""
    times = np.arange("2024-01-01", "2024-01-05", dtype="datetime64[h]")
    line = np.linspace(1.0, 1.1, len(times))
    pictures = []
    for name, share_price in (("up", line), ("down", 2.0 - line)):
        path = tmp_path / f"{name}.png"
        prices = [PriceSeries("BTC", times, 100_000.0 * line)]
        draw_run(path, name, prices, [TokenSeries("TSLA.M", times, share_price, line - 1.0)])
        pictures.append(imread(path)[..., :3])
    height = pictures[0].shape[0]
    for third in range(3):
        part = pictures[0][third * height // 3 : (third + 1) * height // 3]
        assert (part < 0.9).any()
    assert not np.array_equal(pictures[0], pictures[1])
