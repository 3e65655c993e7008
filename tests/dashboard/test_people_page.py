"""The people page: what an owner, a manager and everybody else finds there."""

from __future__ import annotations

import re

import pytest
from django.test import Client as Browser

import accounts.clients as clients
import accounts.invitations as invitations
import accounts.people as people
from accounts.access import VERBS, WORDS
from accounts.models import Role
from tests.conftest import PASSWORD, START

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(agency, clock):
    alice = agency.principals.alice
    agency.users.mandy = people.add(
        email="mandy@example.com", name="Mandy", password=PASSWORD, client=agency.northwind, role=Role.MANAGER,
        principal=alice, now=START,
    )  # fmt: skip
    for email, client, role in (
        ("wanda@example.com", agency.northwind, Role.BUYER),
        ("sid@example.com", agency.southwind, Role.VIEWER),
    ):
        invitations.invite(email=email, client=client, role=role, principal=alice, now=START)
    return agency


def page(name, path="/people/"):
    browser = Browser()
    assert browser.login(email=f"{name}@example.com", password=PASSWORD)
    answer = browser.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def addresses(text):
    return set(re.findall(r'data-api="([^"]*)"', text))


def test_a_manager_finds_the_people_and_invitations_of_their_client_and_of_no_other(world):
    text = page("mandy")
    for mine in ("bob@example.com", "vera@example.com", "wanda@example.com", "Send again", "Withdraw"):
        assert mine in text
    for others in ("charlie@example.com", "sid@example.com", "alice@example.com", "Southwind"):
        assert others not in text
    assert not any(
        "deactivate" in one or "/api/clients" in one or "policies" in one for one in addresses(text)
    )
    assert 'value="owner"' not in text, "a manager is offered to make an owner"


def test_the_own_role_has_no_selector(world):
    text = page("mandy")
    assert f"/api/people/{world.users.bob.uuid}/role" in text
    assert f"/api/people/{world.users.mandy.uuid}/role" not in text


def test_an_owner_finds_every_client_the_owners_policies_and_clients(world):
    clients.archive(
        client=clients.create(name="Oldwind", principal=world.principals.alice, now=START),
        principal=world.principals.alice, now=START,
    )  # fmt: skip
    text = page("alice")
    for found in ("Owners", "Northwind", "Southwind", "charlie@example.com", "sid@example.com", "Oldwind"):
        assert found in text
    assert {"/api/policies", "/api/clients", "/api/clients/northwind/archive"} <= addresses(text)
    assert f"/api/people/{world.users.bob.uuid}/deactivate" in addresses(text)


def test_with_a_client_in_the_address_an_owner_finds_that_one_only(world):
    text = page("alice", "/people/?client=southwind")
    assert "charlie@example.com" in text and "bob@example.com" not in text


@pytest.mark.parametrize("name", ["bob", "vera", "vic", "ivan"])
def test_others_find_their_own_role_and_the_table_and_nobody_else(world, name):
    text = page(name)
    assert "at Northwind" in text and "What each role may do" in text
    for other in ("alice", "bob", "vera", "vic", "ivan", "mandy", "wanda"):
        assert (f"{other}@example.com" in text) == (other == name), other
    assert not any("people" in one or "invit" in one for one in addresses(text))


def test_the_table_says_what_the_permission_table_says(world):
    text = page("vic")
    rows = dict(re.findall(r'<tr><th scope="row">([^<]*)</th>(.*?)</tr>', text, re.S))
    order = ["viewer", *(role for role in Role.values if role != "viewer")]  # one's own stands first
    for verb, words in WORDS.items():
        cells = re.findall(r'visually-hidden">(yes|no)<', rows[words.replace("'", "&#x27;")])
        assert [cell == "yes" for cell in cells] == [role in VERBS[verb] for role in order], verb


def test_the_agency_may_view_as_the_client_and_the_client_may_not(world):
    for name in ("alice", "mandy", "bob"):
        assert "/acting/start" in page(name), name
    for name in ("vera", "vic", "ivan"):
        assert "/acting/start" not in page(name), name


def test_no_secret_of_an_invitation_is_on_the_page(world):
    from accounts.models import Invitation

    text = page("alice")
    for row in Invitation.everything.all():
        assert row.digest not in text
    assert "/invitations/" not in text.replace("/api/invitations/", "")


def test_an_owner_adds_a_client_where_the_clients_are_listed_and_nobody_else(world):
    assert "/api/clients" in addresses(page("alice", "/clients/"))
    for name in ("mandy", "bob", "vic"):
        assert "/api/clients" not in addresses(page(name, "/clients/")), name
