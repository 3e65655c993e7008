"""People and their roles: who may change whom, and what a removed person still has (nothing)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client as Browser

import accounts.people as people
from accounts.access import VERBS, WORDS, principal_of, roles_in_words
from accounts.errors import Conflict, Forbidden, Invalid, NotFound
from accounts.keys import issue
from accounts.models import AuditLine, Membership, Role, User
from tests.conftest import PASSWORD, START

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(agency, clock):
    """Northwind gets a manager, Mandy."""
    agency.users.mandy = people.add(
        email="mandy@example.com", name="Mandy", password=PASSWORD, client=agency.northwind, role=Role.MANAGER,
        principal=agency.principals.alice, now=START,
    )  # fmt: skip
    agency.principals.mandy = principal_of(agency.users.mandy)
    return agency


def role_of(user, client):
    return Membership.objects.filter(user=user, client=client).values_list("role", flat=True).first()


def change(world, who, role, *, by="mandy", client="northwind"):
    people.change_role(
        user=getattr(world.users, who), client=getattr(world, client), role=role,
        principal=getattr(world.principals, by), now=START,
    )  # fmt: skip


def leave(world, who, *, by="mandy", client="northwind"):
    people.remove(
        user=getattr(world.users, who), client=getattr(world, client) if client else None,
        principal=getattr(world.principals, by), now=START,
    )  # fmt: skip


def second_owner(world):
    return people.add(
        email="olga@example.com", name="Olga", password=PASSWORD, client=None, role=Role.OWNER,
        principal=world.principals.alice, now=START,
    )  # fmt: skip


def test_every_verb_of_the_table_has_its_words_and_every_role_its_answer():
    assert list(WORDS) and set(WORDS) == set(VERBS)
    table = roles_in_words()
    assert all([role for role, _ in cells] == Role.values for _, cells in table)
    shown = {words: {role for role, may in cells if may} for words, cells in table}
    assert shown == {WORDS[verb]: set(roles) for verb, roles in VERBS.items()}


@pytest.mark.parametrize("role", [role for role in Role if role != Role.OWNER])
def test_a_manager_changes_roles_below_owner_at_their_client(world, role):
    change(world, "vera", role)
    assert role_of(world.users.vera, world.northwind) == role


@pytest.mark.fault("F115")
def test_a_role_change_holds_at_the_next_request(world):
    browser = Browser()
    browser.login(email="bob@example.com", password=PASSWORD)
    stop = {"scope": "client", "client": "northwind", "reason": "fire"}
    assert browser.post("/api/stop", stop, content_type="application/json").status_code == 200
    change(world, "bob", Role.VIEWER)
    refused = browser.post("/api/stop", stop, content_type="application/json")
    assert refused.status_code == 403
    assert browser.get("/c/northwind/").status_code == 200
    assert browser.get("/admin/").status_code in (302, 403)


def test_the_admin_opens_with_an_agency_role_and_closes_with_the_last(world):
    change(world, "vic", Role.ANALYST)
    assert User.objects.get(email="vic@example.com").is_staff
    change(world, "vic", Role.VIEWER)
    assert not User.objects.get(email="vic@example.com").is_staff


def test_nobody_changes_their_own_role(world):
    for role in (Role.VIEWER, Role.BUYER):
        with pytest.raises(Forbidden) as refused:
            change(world, "mandy", role)
        assert refused.value.code == "own_role"


def test_a_manager_makes_nobody_an_owner(world):
    with pytest.raises(Invalid):
        change(world, "bob", Role.OWNER)
    with pytest.raises(Forbidden):
        people.add(
            email="bob@example.com", name="", password=None, client=None, role=Role.OWNER,
            principal=world.principals.mandy, now=START,
        )  # fmt: skip


def test_nobody_but_an_owner_touches_an_owner(world):
    Membership.objects.create(user=world.users.alice, client=world.northwind, role=Role.VIEWER)
    with pytest.raises(Forbidden):
        change(world, "alice", Role.BUYER)
    with pytest.raises(Forbidden):
        leave(world, "alice")
    with pytest.raises(Forbidden):
        leave(world, "alice", client=None)


@pytest.mark.parametrize("by", ["charlie", "bob", "vera", "vic", "ivan"])
def test_others_neither_see_change_nor_remove_people(world, by):
    principal = getattr(world.principals, by)
    with pytest.raises((Forbidden, NotFound)):
        people.members(principal, client=world.northwind)
    with pytest.raises((Forbidden, NotFound)):
        people.find(principal, world.users.bob.uuid, client=world.northwind)
    with pytest.raises((Forbidden, NotFound)):
        change(world, "vic", Role.BUYER, by=by)
    with pytest.raises((Forbidden, NotFound)):
        leave(world, "vic", by=by)
    with pytest.raises(Forbidden):
        people.members(principal, client=None)
    with pytest.raises(Forbidden):
        people.person(principal, world.users.bob.uuid)
    with pytest.raises(Forbidden):
        people.deactivate(user=world.users.bob, principal=principal, now=START)


def test_a_manager_sees_the_people_of_their_client_and_of_no_other(world):
    seen = {row.user.email for row in people.members(world.principals.mandy, client=world.northwind)}
    assert seen == {f"{name}@example.com" for name in ("bob", "vera", "vic", "ivan", "mandy")}
    with pytest.raises(NotFound):
        people.members(world.principals.mandy, client=world.southwind)


def test_the_last_owner_can_neither_leave_nor_be_removed_nor_closed(world):
    with pytest.raises(Conflict) as refused:
        leave(world, "alice", by="alice", client=None)
    assert refused.value.code == "last_owner"
    world.users.olga = second_owner(world)
    world.principals.olga = principal_of(world.users.olga)
    leave(world, "alice", by="olga", client=None)
    with pytest.raises(Conflict):
        leave(world, "olga", by="olga", client=None)


def test_a_closed_owner_does_not_count_as_one(world):
    world.users.olga = second_owner(world)
    world.principals.olga = principal_of(world.users.olga)
    people.deactivate(user=world.users.alice, principal=world.principals.olga, now=START)
    with pytest.raises(Conflict):
        leave(world, "olga", by="olga", client=None)
    # Of two who close each other at once the second meets this, under the lock.
    with pytest.raises(Conflict):
        people.deactivate(user=world.users.olga, principal=world.principals.alice, now=START)


def test_nobody_closes_their_own_account(world):
    second_owner(world)
    with pytest.raises(Forbidden):
        people.deactivate(user=world.users.alice, principal=world.principals.alice, now=START)


def test_a_second_row_of_ownership_is_refused(world):
    with pytest.raises(Conflict):
        people.add(
            email="alice@example.com", name="", password=None, client=None, role=Role.OWNER,
            principal=world.principals.alice, now=START,
        )  # fmt: skip


@pytest.mark.fault("F115")
def test_a_removed_persons_next_request_finds_no_session(world):
    browsers = [Browser(), Browser()]
    for browser in browsers:
        browser.login(email="bob@example.com", password=PASSWORD)
        assert browser.get("/c/northwind/").status_code == 200
    leave(world, "bob")
    for browser in browsers:
        answer = browser.get("/c/northwind/")
        assert answer.status_code == 302 and "/accounts/login/" in answer["Location"]
        assert browser.get("/api/changes").status_code == 401


@pytest.mark.fault("F115")
def test_a_removed_persons_key_and_token_find_nothing(world):
    _, key = issue(user=world.users.ivan, name="k", principal=world.principals.alice, now=START)
    tokens = (
        Browser()
        .post(
            "/_allauth/app/v1/auth/login",
            {"email": "ivan@example.com", "password": PASSWORD},
            content_type="application/json",
        )
        .json()["meta"]
    )
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    address = "/api/meta/validate-token?client=northwind"
    assert Browser().get(address, headers={"X-API-Key": key}).status_code == 200
    assert Browser().get(address, headers=bearer).status_code == 200
    leave(world, "ivan")
    assert Browser().get(address, headers={"X-API-Key": key}).status_code == 404
    assert Browser().get(address, headers=bearer).status_code == 401


def test_a_closed_account_signs_in_nowhere_and_opens_again_with_its_roles(world):
    browser = Browser()
    browser.login(email="bob@example.com", password=PASSWORD)
    people.deactivate(user=world.users.bob, principal=world.principals.alice, now=START)
    assert browser.get("/c/northwind/").status_code == 302
    assert not Browser().login(email="bob@example.com", password=PASSWORD)
    people.reactivate(user=world.users.bob, principal=world.principals.alice, now=START)
    assert browser.get("/c/northwind/").status_code == 302, "an old session came back to life"
    assert Browser().login(email="bob@example.com", password=PASSWORD)
    assert role_of(world.users.bob, world.northwind) == Role.BUYER


def test_the_list_says_what_may_be_done_with_whom(world):
    rows = {row.user.email: row for row in people.members(world.principals.mandy, client=world.northwind)}
    bob, mandy = rows["bob@example.com"], rows["mandy@example.com"]
    assert bob.may_change and bob.may_remove and not bob.mfa and bob.seen_at is None
    assert not mandy.may_change and mandy.may_remove


def test_last_seen_is_the_last_activity_of_a_living_session_else_the_last_sign_in(world, clock):
    browser = Browser()
    browser.post("/accounts/login/", {"login": "bob@example.com", "password": PASSWORD})
    User.objects.update(last_login=START)
    clock.advance(600)
    assert browser.get("/c/northwind/").status_code == 200

    def seen(name):
        rows = people.members(world.principals.mandy, client=world.northwind)
        return next(row.seen_at for row in rows if row.user == getattr(world.users, name))

    assert seen("bob") == START + timedelta(seconds=600)
    assert seen("vic") == START
    browser.post("/accounts/logout/")
    assert seen("bob") == START


def test_all_of_it_is_in_the_audit_trail(world):
    change(world, "bob", Role.ANALYST)
    leave(world, "vic")
    people.deactivate(user=world.users.bob, principal=world.principals.alice, now=START)
    lines = list(AuditLine.everything.order_by("pk").values_list("verb", "subject", "detail"))
    assert lines[-3:] == [
        ("change_role", "bob@example.com", {"before": "buyer", "after": "analyst"}),
        ("remove_person", "vic@example.com", {}),
        ("deactivate_person", "bob@example.com", {}),
    ]
