"""A flush computed again from what the public API says of it, with none of the exchange's rules.

Everything but the model's values of options is counted in plain integers of Python; the kernels
of `vaults` are not asked.
"""

from api.verification.checks import Checks, Difference, Group
from api.verification.flush import verify

__all__ = ["Checks", "Difference", "Group", "verify"]
