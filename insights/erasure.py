"""What this floor may hold about a Meta user who asked to be forgotten: Meta's own words that name their number.

Figures are the ad account's and name nobody.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import accounts.deletions as deletions
from insights.models import FetchRun, PollState

PART: Final = "insights"
WORDS: Final = "Your Facebook ID in Meta's answers that are kept beside figures"


def sweep(*, now: datetime) -> int:
    """Do this floor's part of every deletion; how many parts were done."""
    waiting = deletions.pending(part=PART)
    for request in waiting:
        number = request.meta_user_id
        deletions.scrub(FetchRun.everything.all(), columns=("sentence",), meta_user_id=number)
        deletions.scrub(PollState.everything.all(), columns=("reason",), meta_user_id=number)
        deletions.part_done(request=request, part=PART, now=now)
    return len(waiting)
