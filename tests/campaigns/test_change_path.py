"""A change from request to its end, against the sandbox, with everything that Meta can do in between."""

from __future__ import annotations

import pytest
from campaigns.models import Hold
from campaigns.states import Field

pytestmark = pytest.mark.django_db


def test_a_clean_budget_change_is_sent_once_and_confirmed_by_two_reads(desk):
    change = desk.until(desk.approved("120"), "APPLIED")
    assert desk.truth(desk.campaign, "daily_budget") == 12_000
    assert len(desk.writes()) == 1
    assert desk.campaign.daily_budget == 120
    assert [(attempt.value, attempt.outcome) for attempt in desk.attempts(change)] == [("12000", "ok")]
