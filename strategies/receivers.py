"""What this floor does when something happened: new figures are judged, a change's fate closes its proposal.

Both signals come after commit and carry ids only. The queue is a hint: where it does not answer, the quarter-hour
round of `strategies.tasks.evaluate_due` does the same.
"""

from __future__ import annotations

import logging
from typing import Any

from django.dispatch import receiver
from kombu.exceptions import OperationalError

from campaigns.models import Change
from campaigns.signals import change_recorded
from insights.signals import data_arrived
from metaads.clock import now
from strategies.proposals import follow
from strategies.tasks import evaluate_account

log = logging.getLogger(__name__)


@receiver(data_arrived, dispatch_uid="strategies.judge_new_figures")
def judge_new_figures(sender: Any, ad_account_id: int, **_: Any) -> None:
    try:
        evaluate_account.delay(ad_account_id)
    except OperationalError:
        log.warning("the queue does not answer; ad account %s is judged at the next round", ad_account_id)


@receiver(change_recorded, dispatch_uid="strategies.close_proposal")
def close_proposal(sender: Any, change_id: str | None, client_id: int | None, **_: Any) -> None:
    if (
        change_id is None or client_id is None
    ):  # the kill switch moved: changes themselves tell what became of them
        return
    change = Change.objects.of(client_id).filter(uuid=change_id).first()
    if change is not None:
        follow(change=change, now=now())
