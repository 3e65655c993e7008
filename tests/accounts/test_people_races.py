"""Two at once, with real threads and connections: the last owner stays, an invitation is taken once."""

from __future__ import annotations

import os
import threading
from functools import partial

import pytest
from django.db import connection

import accounts.invitations as invitations
import accounts.people as people
from accounts.access import principal_of
from accounts.errors import Refused
from accounts.models import Membership, Role, User
from tests.conftest import PASSWORD, START, found_agency

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.prove]
TIMES = max(10, int(os.environ.get("PROVE_N", "20")) // 10)


def at_once(*works):
    """Each in a thread of its own, let go together; what each was refused with, or None."""
    start, ends = threading.Barrier(len(works)), [None] * len(works)

    def run(number, work):
        try:
            start.wait()
            work()
        except Refused as refusal:
            ends[number] = refusal
        except BaseException as error:
            ends[number] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ends


@pytest.fixture
def world(clock):
    agency = found_agency()
    agency.users.olga = people.add(
        email="olga@example.com", name="Olga", password=PASSWORD, client=None, role=Role.OWNER,
        principal=agency.principals.alice, now=START,
    )  # fmt: skip
    agency.principals.olga = principal_of(agency.users.olga)
    return agency


def test_of_two_owners_who_remove_each_other_one_stays(world):
    alice, olga = world.users.alice, world.users.olga
    for _ in range(TIMES):
        ends = at_once(
            lambda: people.remove(user=olga, client=None, principal=world.principals.alice, now=START),
            lambda: people.remove(user=alice, client=None, principal=world.principals.olga, now=START),
        )
        left = set(Membership.objects.filter(role=Role.OWNER).values_list("user__name", flat=True))
        assert len(left) == 1, (left, ends)
        codes = sorted(getattr(end, "code", "") for end in ends)
        assert codes in (["", "last_owner"], ["", "not_found"]), ends
        for user in (alice, olga):
            Membership.objects.get_or_create(user=user, client=None, role=Role.OWNER)


def test_of_two_owners_who_close_each_other_one_stays(world):
    alice, olga = world.users.alice, world.users.olga
    for _ in range(TIMES):
        ends = at_once(
            lambda: people.deactivate(user=olga, principal=world.principals.alice, now=START),
            lambda: people.deactivate(user=alice, principal=world.principals.olga, now=START),
        )
        assert sorted(getattr(end, "code", "") for end in ends) == ["", "last_owner"], ends
        assert User.objects.filter(pk__in=(alice.pk, olga.pk), is_active=True).count() == 1
        User.objects.update(is_active=True)


def test_an_invitation_is_taken_once(world):
    from accounts.models import Invitation, OutboxMessage

    for number in range(TIMES):
        email = f"new{number}@example.com"
        row = invitations.invite(
            email=email, client=world.northwind, role=Role.VIEWER, principal=world.principals.alice, now=START
        )
        secret = OutboxMessage.everything.get(address=email).body.split("/invitations/")[1].split("/")[0]
        take = partial(
            invitations.accept_new, secret=secret, name="New", password="long enough words", now=START
        )
        back = partial(invitations.withdraw, invitation=row, principal=world.principals.alice, now=START)
        ends = at_once(take, take, take, back)
        assert sum(end is None for end in ends) == 1, ends
        assert all(isinstance(end, Refused) for end in ends if end is not None), ends
        left = Invitation.everything.get(pk=row.pk)
        assert (left.accepted_at is None) != (left.withdrawn_at is None)
        assert User.objects.filter(email=email).count() == (left.accepted_at is not None)
