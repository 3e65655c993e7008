"""Invitations: a mail with a link that works once, for seven days, for one address; a dead link says nothing."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.core import mail
from django.test import Client as Browser

import accounts.invitations as invitations
import accounts.outbox as outbox
import accounts.people as people
from accounts.access import principal_of
from accounts.errors import Conflict, Forbidden, Invalid, NotFound
from accounts.models import AuditLine, Invitation, Membership, OutboxMessage, Role, User
from tests.conftest import PASSWORD, START

pytestmark = pytest.mark.django_db
NEW = "Wanda.West@Example.com"


@pytest.fixture
def world(agency, clock):
    agency.clock = clock
    return agency


def send(world, *, email=NEW, role=Role.BUYER, client="northwind", by="alice"):
    """Invite, let the mail leave, and give the secret of its link."""
    at = getattr(world, client) if client else None
    row = invitations.invite(
        email=email, client=at, role=role, principal=getattr(world.principals, by), now=world.clock.now()
    )
    return row, mailed(world)


def mailed(world):
    mail.outbox.clear()
    outbox.deliver(now=world.clock.now())
    assert len(mail.outbox) == 1
    return re.search(r"http://localhost:3000/invitations/(\S+)/", mail.outbox[0].body)[1]


def page(secret):
    return f"/invitations/{secret}/"


def test_the_mail_says_who_invites_to_what_and_until_when(world):
    send(world)
    letter = mail.outbox[0]
    assert letter.to == ["wanda.west@example.com"]
    assert letter.subject == "Alice invites you to metaads"
    assert "to work on Northwind as buyer" in letter.body
    assert "25 November 2026, 15:00 UTC" in letter.body


def test_only_a_keyed_digest_of_the_secret_is_kept(world):
    row, secret = send(world)
    assert secret not in str(vars(row)) and len(row.digest) == 64
    for model in (Invitation, OutboxMessage, AuditLine):
        for kept in model.everything.values():
            assert secret not in str(kept)


def test_a_new_person_sets_name_and_password_and_is_signed_in(world):
    row, secret = send(world)
    browser = Browser()
    shown = browser.get(page(secret)).content.decode()
    assert "Join Northwind" in shown and "buyer" in shown and "wanda.west@example.com" in shown
    answer = browser.post(page(secret), {"name": "Wanda West", "password": "long enough words"})
    assert (answer.status_code, answer["Location"]) == (302, "/c/northwind/")
    wanda = User.objects.get(email="wanda.west@example.com")
    assert wanda.check_password("long enough words") and wanda.is_staff and str(wanda) == "Wanda West"
    assert list(wanda.memberships.values_list("client__slug", "role")) == [("northwind", "buyer")]
    assert browser.get("/c/northwind/").status_code == 200
    row.refresh_from_db()
    assert row.accepted_at == START


def test_a_weak_password_is_refused_at_its_field_and_the_invitation_stays_good(world):
    row, secret = send(world)
    answer = Browser().post(page(secret), {"name": "Wanda", "password": "password"})
    assert answer.status_code == 400
    assert "too common" in answer.content.decode()
    row.refresh_from_db()
    assert row.accepted_at is None and not User.objects.filter(email=row.email).exists()


def test_the_password_may_not_be_the_address(world):
    _, secret = send(world)
    answer = Browser().post(page(secret), {"name": "W", "password": "wanda.west@example.com"})
    assert answer.status_code == 400 and "too similar" in answer.content.decode()


def test_somebody_who_signs_in_here_presses_one_button_and_keeps_everything(world):
    row, secret = send(world, email="charlie@example.com", role=Role.ANALYST)
    browser = Browser()
    shown = browser.get(page(secret)).content.decode()
    assert "Sign in to accept" in shown and "password" not in shown.lower()
    assert browser.login(email="charlie@example.com", password=PASSWORD)
    assert "Accept" in browser.get(page(secret)).content.decode()
    assert browser.post(page(secret))["Location"] == "/c/northwind/"
    held = set(world.users.charlie.memberships.values_list("client__slug", "role"))
    assert held == {("southwind", "manager"), ("northwind", "analyst")}
    world.users.charlie.refresh_from_db()
    assert world.users.charlie.check_password(PASSWORD)


def test_a_post_without_a_sign_in_cannot_set_the_password_of_somebody_who_is_here(world):
    _, secret = send(world, email="charlie@example.com", role=Role.ANALYST)
    Browser().post(page(secret), {"name": "Thief", "password": "a thief's own words"})
    world.users.charlie.refresh_from_db()
    assert world.users.charlie.check_password(PASSWORD) and world.users.charlie.name == "Charlie"
    assert not world.users.charlie.memberships.filter(client=world.northwind).exists()


def test_signed_in_with_another_address_it_is_refused_and_the_other_address_is_not_named(world):
    row, secret = send(world)
    browser = Browser()
    browser.login(email="vic@example.com", password=PASSWORD)
    for answer in (browser.get(page(secret)), browser.post(page(secret))):
        text = answer.content.decode()
        assert answer.status_code == 403
        assert "vic@example.com" in text and "Sign out" in text and row.email not in text
    row.refresh_from_db()
    assert row.accepted_at is None


def dead(world):
    """One dead link of each kind, for an address with an account and for one without."""
    world_now = world.clock.now()
    alice = world.principals.alice
    for number, email in enumerate(("charlie@example.com", "nobody@example.com")):
        row, used = send(world, email=email, role=Role.VIEWER)
        Invitation.everything.filter(pk=row.pk).update(accepted_at=world_now)
        yield used
        row, withdrawn = send(world, email=email, role=Role.VIEWER)
        invitations.withdraw(invitation=row, principal=alice, now=world_now)
        yield withdrawn
        row, replaced = send(world, email=email, role=Role.VIEWER)
        invitations.resend(invitation=row, principal=alice, now=world_now)
        mailed(world)
        yield replaced
        _, old = send(world, email=f"{number}{email}", role=Role.VIEWER)
        Invitation.everything.filter(email=f"{number}{email}").update(expires_at=world_now)
        yield old
    yield "never-made"


def test_used_withdrawn_replaced_old_and_invented_links_answer_the_same_words(world):
    answers = set()
    for secret in dead(world):
        for answer in (
            Browser().get(page(secret)),
            Browser().post(page(secret), {"name": "N", "password": "long enough words"}),
        ):
            text = re.sub(r'(csrf(middlewaretoken)?"[^>]*|nonce="[^"]*")', "", answer.content.decode())
            answers.add((answer.status_code, text))
    assert len(answers) == 1
    ((status, text),) = answers
    assert status == 404 and "This invitation has ended" in text and "send the invitation again" in text
    assert not User.objects.filter(name="N").exists()


def test_it_is_good_for_seven_days_to_the_second(world):
    _, secret = send(world)
    assert invitations.find(secret=secret, now=START + timedelta(days=7) - timedelta(seconds=1))
    with pytest.raises(invitations.Dead):
        invitations.find(secret=secret, now=START + timedelta(days=7))


def test_it_works_once(world):
    _, secret = send(world)
    assert Browser().post(page(secret), {"name": "W", "password": "long enough words"}).status_code == 302
    assert Browser().post(page(secret), {"name": "X", "password": "long enough words"}).status_code == 404
    assert User.objects.filter(email="wanda.west@example.com").count() == 1


def test_sent_again_it_has_a_new_secret_and_seven_new_days(world):
    row, first = send(world)
    world.clock.advance(5 * 86_400)
    row = invitations.resend(invitation=row, principal=world.principals.alice, now=world.clock.now())
    second = mailed(world)
    assert second != first and row.expires_at == START + timedelta(days=12)
    assert Browser().get(page(first)).status_code == 404
    assert Browser().get(page(second)).status_code == 200


def test_a_second_invitation_is_refused_while_one_is_open_and_an_old_one_makes_room(world):
    send(world)
    with pytest.raises(Conflict) as refused:
        send(world, role=Role.VIEWER)
    assert refused.value.code == "invitation_open"
    world.clock.advance(7 * 86_400)
    row, _ = send(world, role=Role.VIEWER)
    assert invitations.listing(world.principals.alice, client=world.northwind) == [row]


def test_a_member_is_not_invited_again(world):
    with pytest.raises(Conflict) as refused:
        send(world, email="bob@example.com")
    assert refused.value.code == "member_exists"


def test_an_address_of_another_client_looks_like_any_other_to_a_manager(world):
    """Charlie manages Southwind; that Bob works for Northwind is not for him to learn."""
    row, _ = send(world, email="bob@example.com", client="southwind", by="charlie", role=Role.VIEWER)
    assert row.email == "bob@example.com"


@pytest.mark.parametrize("role", [role for role in Role if role != Role.OWNER])
def test_a_manager_invites_below_owner_at_their_own_client(world, role):
    row, _ = send(world, client="southwind", by="charlie", role=role)
    assert row.role == role


@pytest.mark.parametrize(
    ("by", "client", "role", "kind"),
    [
        ("charlie", "northwind", Role.VIEWER, NotFound),
        ("charlie", None, Role.OWNER, Forbidden),
        ("charlie", "southwind", Role.OWNER, Invalid),
        ("bob", "northwind", Role.VIEWER, Forbidden),
        ("vera", "northwind", Role.VIEWER, Forbidden),
        ("ivan", "northwind", Role.VIEWER, Forbidden),
        ("alice", None, Role.MANAGER, Invalid),
        ("alice", "northwind", "emperor", Invalid),
    ],
)
def test_who_may_not_invite_what_is_refused_and_nothing_is_sent(world, by, client, role, kind):
    with pytest.raises(kind):
        send(world, client=client, by=by, role=role)
    assert not Invitation.everything.exists() and not OutboxMessage.everything.exists()


def test_an_owner_invites_an_owner(world):
    _, secret = send(world, client=None, role=Role.OWNER)
    assert "see all clients" in mail.outbox[0].body
    Browser().post(page(secret), {"name": "Wanda", "password": "long enough words"})
    wanda = User.objects.get(email="wanda.west@example.com")
    assert principal_of(wanda).everywhere and wanda.is_staff


def test_whoever_was_removed_leaves_no_open_door_behind(world):
    """A manager invites a friend and is removed: the friend's link is dead."""
    _, secret = send(world, client="southwind", by="charlie", role=Role.MANAGER)
    assert Browser().get(page(secret)).status_code == 200
    people.remove(
        user=world.users.charlie, client=world.southwind, principal=world.principals.alice, now=START
    )
    assert Browser().get(page(secret)).status_code == 404


def test_the_same_holds_for_one_who_was_demoted_or_switched_off(world):
    _, secret = send(world, client="southwind", by="charlie", role=Role.MANAGER)
    Membership.objects.filter(user=world.users.charlie).update(role=Role.ANALYST)
    assert Browser().get(page(secret)).status_code == 404
    Membership.objects.filter(user=world.users.charlie).update(role=Role.MANAGER)
    User.objects.filter(pk=world.users.charlie.pk).update(is_active=False)
    assert Browser().get(page(secret)).status_code == 404


def test_only_those_who_manage_the_client_see_send_again_or_withdraw(world):
    row, _ = send(world)
    for name in ("charlie", "bob", "vera", "vic", "ivan"):
        principal = getattr(world.principals, name)
        with pytest.raises((Forbidden, NotFound)):
            invitations.listing(principal, client=world.northwind)
        with pytest.raises((Forbidden, NotFound)):
            invitations.get(principal, row.uuid)
        with pytest.raises((Forbidden, NotFound)):
            invitations.resend(invitation=row, principal=principal, now=START)
        with pytest.raises((Forbidden, NotFound)):
            invitations.withdraw(invitation=row, principal=principal, now=START)


def test_an_answered_one_is_neither_sent_again_nor_withdrawn(world):
    row, secret = send(world)
    Browser().post(page(secret), {"name": "W", "password": "long enough words"})
    for again in (invitations.resend, invitations.withdraw):
        with pytest.raises(Conflict):
            again(invitation=row, principal=world.principals.alice, now=START)


def test_every_step_is_in_the_audit_trail(world):
    row, _ = send(world)
    invitations.resend(invitation=row, principal=world.principals.alice, now=START)
    secret = mailed(world)
    Browser().post(page(secret), {"name": "W", "password": "long enough words"})
    verbs = list(AuditLine.objects.of(world.northwind).order_by("pk").values_list("verb", flat=True))
    assert verbs == ["invite_person", "resend_invitation", "add_person", "accept_invitation"]


def test_the_link_is_no_line_of_a_log(world, caplog):
    from accounts.redaction import redact

    _, secret = send(world)
    for line in (
        f"Forbidden (CSRF token missing): /invitations/{secret}/",
        f"GET /accounts/login/?next=/invitations/{secret}/",
        f"GET /accounts/login/?next=%2Finvitations%2F{secret}%2F",
    ):
        assert secret not in redact(line)


def test_signing_out_and_in_leads_back_to_the_invitation(world):
    """Signed in as somebody else: sign out, sign in with the invited address, accept; each step leads to the next."""
    _, secret = send(world, email="charlie@example.com", role=Role.ANALYST)
    browser = Browser()
    browser.login(email="vic@example.com", password=PASSWORD)
    assert f'value="{page(secret)}"' in browser.get(page(secret)).content.decode()
    assert browser.post("/accounts/logout/", {"next": page(secret)})["Location"] == page(secret)
    found = re.search(r'href="(/accounts/login/\?next=[^"]*)"', browser.get(page(secret)).content.decode())
    answer = browser.post(
        found[1], {"login": "charlie@example.com", "password": PASSWORD, "next": page(secret)}
    )
    assert answer["Location"] == page(secret)
    assert browser.post(page(secret))["Location"] == "/c/northwind/"
