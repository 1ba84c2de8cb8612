"""The one place where keys get their random bits."""

import random
from datetime import datetime
from uuid import UUID

from journeys.logic.ids import uuid7

_getrandbits = random.SystemRandom().getrandbits


def new_id(now: datetime) -> UUID:
    """A fresh key that sorts at `now`."""
    return uuid7(now, _getrandbits)
