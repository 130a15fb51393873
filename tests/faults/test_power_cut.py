"""A power cut loses what was not synced, and nothing that was acknowledged."""

from pathlib import Path

import pytest

from tests.faults.power import cut_power

pytestmark = pytest.mark.compiled
IMAGES = 40
"""More of them: `python -m tests.faults power --images 5000 --seed 1`."""


def test_what_was_acknowledged_survives_a_power_cut(tmp_path: Path) -> None:
    """Whatever of the unsynced writes is lost or torn, the journal is whole and long enough."""
    images = list(cut_power(IMAGES, 6, tmp_path))
    assert len(images) == IMAGES
    assert [each for each in images if each.found < each.promised] == []
    assert len({each.found for each in images}) > IMAGES // 4, "the power was always cut alike"


def test_the_model_finds_out_who_does_not_sync(tmp_path: Path) -> None:
    """With the sync of each commit left out, acknowledged commits are lost in the same model."""
    images = list(cut_power(IMAGES // 2, 6, tmp_path, "NORMAL"))
    assert any(each.found < each.promised for each in images)
