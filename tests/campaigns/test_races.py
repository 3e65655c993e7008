"""Two at once, for real: threads with connections of their own, and the database as the referee."""

from __future__ import annotations

import pytest

import campaigns.changes.approvals as approvals
from accounts.errors import Refused
from campaigns.models import Attempt, Change
from campaigns.tasks import step
from tests.racing import at_once

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.fault("F22")
def test_four_workers_on_one_change_send_one_request(desk):
    change = desk.approved("120")
    desk.step(change)
    desk.wait(seconds=4)
    now = desk.now
    at_once(*[lambda: step(str(change.uuid), now)] * 4)
    assert len(desk.writes()) == 1
    assert Attempt.everything.count() == 1
    desk.until(change, "APPLIED")


@pytest.mark.fault("F33")
def test_of_two_who_decide_at_once_one_wins_and_the_other_is_told(desk):
    change, people, now = desk.file("120"), desk.agency.principals, desk.now
    results = at_once(
        lambda: approvals.approve(change=change, principal=people.vera, digest=change.digest, now=now),
        lambda: approvals.reject(change=change, principal=people.alice, reason="no", now=now),
    )
    refused = [one for one in results if isinstance(one, Refused)]
    assert len(refused) == 1 and refused[0].status == 409
    change.refresh_from_db()
    assert change.state in ("APPROVED", "REJECTED")


def test_the_same_wish_filed_twice_at_once_is_one_change(desk):
    results = at_once(*[lambda: desk.file("120")] * 3)
    assert len({one.pk for one in results}) == 1 and Change.everything.count() == 1


def test_of_two_changes_of_one_field_only_one_is_on_its_way(desk):
    """Both approved by force, as two faulty callers might; the partial unique index keeps the second one waiting."""
    one, two = desk.file("110"), desk.file("115")
    Change.everything.update(state="APPROVED", approved_at=desk.now)
    now = desk.now
    at_once(lambda: step(str(one.uuid), now), lambda: step(str(two.uuid), now))
    states = sorted(Change.everything.values_list("state", flat=True))
    assert states == ["APPROVED", "PREPARING"]
