"""Every refusal of the rules has a title and a status, and its numbers can be told."""

import pytest

from api.refusals import TITLES, deciding_numbers, status_of
from vaults.commands import Outcome
from vaults.rejects import Reject


@pytest.mark.parametrize("reject", [each for each in Reject if each != Reject.NONE])
def test_a_refusal_can_be_told(reject: Reject) -> None:
    assert TITLES[reject]
    assert status_of(reject) in (404, 409, 422)
    assert all(deciding_numbers(Outcome(code=int(reject), limit=1, actual=2)))
