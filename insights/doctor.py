"""The connection doctor, this floor: is every ad account looked at as often as it should be?"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.conf import settings

import accounts.doctor as below
import accounts.troubles as troubles
from accounts.diagnosis import DATA, Check, Exam, Topic, Trouble
from accounts.doctor import Patient
from accounts.models import AdAccount, Client
from accounts.tenancy import Principal
from insights.progress import progress, standing
from insights.schedule import MINIMUM_SECONDS

#: A look that is due for longer than this is nobody's any more: the worker or the beat is down.
_OVERDUE: Final = timedelta(minutes=5)
_RARELY: Final = 900

POLLING: Final = Topic(
    "data.polling",
    DATA,
    "Polling interval",
    "Looks at POLL_SECONDS and each ad account's own interval, and whether the looks that are due really happen.",
    {
        "setting": Trouble(
            "The interval is below 30 seconds.",
            "Set POLL_SECONDS to 30 or more: Meta's figures move every 15 minutes, and more calls bring nothing.",
        ),
        "off": Trouble(
            "No ad account is looked at by itself.",
            "Take POLLING out of the environment, or set it to true, and start every process again.",
        ),
        "rare": Trouble(
            "An ad account is looked at less often than every 15 minutes.",
            "Empty its own interval (in the admin) or lower POLL_SECONDS, if its page should be live.",
        ),
        "stopped": Trouble(
            "Somebody stopped the looks at an ad account.",
            "Start them again on the ad account's page, or switch the ad account off.",
        ),
        "overdue": Trouble(
            "Looks that are due do not happen.",
            "Look at /readyz: the worker of the queue live, or the beat, is down. Start them again.",
        ),
        "failing": Trouble(
            "The last looks got no good answer.",
            "Read the reason beside it; the checks of access, limits and network above say more.",
        ),
        "unread": Trouble(
            "An ad account has never been read to the end.",
            "Wait for its first sync, which its page shows; if it failed, run manage.py sync --ad-account.",
        ),
    },
)
TOPICS: Final = (*troubles.TOPICS, POLLING)


def checks(
    principal: Principal, *, client: Client | None, now: datetime, patient: Patient | None = None
) -> list[Check]:
    """The checks of this floor and the one below."""
    patient = patient or Patient(principal, client=client, now=now)
    return [*below.examine(patient), below.made(POLLING, _polling, patient)]


def _polling(patient: Patient) -> Check:
    exam = Exam(POLLING)
    if settings.POLL_SECONDS < MINIMUM_SECONDS:
        exam.fail("setting", f"POLL_SECONDS is {settings.POLL_SECONDS}.")
    if not settings.POLLING:
        exam.fail("off", "POLLING is false.")
        return exam.check("")
    rows = patient.accounts
    if not rows:
        exam.unknown("No ad account is switched on, so nothing is looked at.", "Switch one on.")
    for account in rows:
        _one(exam, account, patient)
    return exam.check(
        f"Every ad account is looked at when it is due, every {settings.POLL_SECONDS} seconds at best."
    )


def _one(exam: Exam, account: AdAccount, patient: Patient) -> None:
    seconds = account.poll_seconds or settings.POLL_SECONDS
    if account.poll_seconds is not None and account.poll_seconds < MINIMUM_SECONDS:
        exam.warn(
            "setting", f"{account.name} asks for every {seconds} seconds; {MINIMUM_SECONDS} is the least."
        )
    elif seconds > _RARELY:
        exam.warn("rare", f"{account.name} is looked at every {seconds // 60} minutes.")
    state = patient.look(lambda: standing(account))
    if state is None:
        first = patient.look(lambda: progress(account))
        exam.warn("unread", f"{account.name}: {first.sentence}")
    elif state.stopped:
        exam.fail("stopped", f"{account.name}: the looks are stopped.")
    elif patient.now - state.next_check_at > _OVERDUE:
        minutes = int((patient.now - state.next_check_at).total_seconds() // 60)
        exam.fail("overdue", f"{account.name} was due {minutes} minutes ago.")
    elif state.failures:
        exam.fail("failing", f"{account.name}: {state.reason or 'no good answer.'}")
