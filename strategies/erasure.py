"""What this floor may hold about a Meta user who asked to be forgotten: Meta's own words that name their number,
handed on as the reason why a proposal was closed or a strategy rested.

A decision rests on the ad account's figures and names nobody.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import accounts.deletions as deletions
from strategies.models import Proposal, Strategy

PART: Final = "strategies"
WORDS: Final = "Your Facebook ID in Meta's answers that are kept beside proposals"


def sweep(*, now: datetime) -> int:
    """Do this floor's part of every deletion; how many parts were done. After the floor of the changes, whose words
    come up here as long as they move."""
    done = 0
    for request in deletions.pending(part=PART):
        if deletions.waits_for(request=request, part="campaigns"):
            continue
        number = request.meta_user_id
        deletions.scrub(Proposal.everything.all(), columns=("reason",), meta_user_id=number)
        deletions.scrub(Strategy.everything.all(), columns=("last_outcome",), meta_user_id=number)
        deletions.part_done(request=request, part=PART, now=now)
        done += 1
    return done
