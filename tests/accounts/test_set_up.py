"""The first visit makes the owner and the first client; nobody after that."""

import pytest
from allauth.usersessions.models import UserSession

from accounts import people
from accounts.errors import Conflict, Forbidden, Invalid
from accounts.models import Client, Membership, Role, User
from tests.conftest import PASSWORD, START

FORM = {"name": "Alice", "email": "Alice@Example.com", "password": PASSWORD, "client_name": "Northwind Café"}

pytestmark = pytest.mark.django_db


def test_a_new_installation_leads_from_sign_in_to_set_up(client):
    answer = client.get("/accounts/login/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/setup/")
    assert client.get("/setup/").status_code == 200


def test_the_first_visit_makes_owner_and_client_and_signs_in(client):
    answer = client.post("/setup/", FORM)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/c/northwind-cafe/")
    owner = User.objects.get()
    assert (owner.email, owner.is_staff) == ("alice@example.com", True)
    assert Membership.objects.get().role == Role.OWNER
    assert client.get("/api/meta/validate-token").status_code == 200
    assert UserSession.objects.get().user == owner
    assert client.session.get_expire_at_browser_close()
    assert Client.objects.get().name == "Northwind Café"


def test_afterwards_set_up_is_gone(client):
    client.post("/setup/", FORM)
    client.logout()
    assert client.get("/setup/").headers["Location"] == "/accounts/login/"
    client.post("/setup/", {**FORM, "email": "eve@example.com"})
    assert User.objects.count() == 1
    assert client.get("/accounts/login/").status_code == 200


def test_two_first_visits_at_once_make_one_owner():
    people.set_up(email="a@example.com", name="A", password=PASSWORD, client_name="N", now=START)
    with pytest.raises(Conflict):
        people.set_up(email="b@example.com", name="B", password=PASSWORD, client_name="M", now=START)
    assert User.objects.count() == 1


@pytest.mark.parametrize(
    "change, field",
    [({"password": "short"}, "password"), ({"email": "no"}, "email"), ({"client_name": "!!"}, "")],
)
def test_a_mistake_is_shown_and_nothing_is_made(client, change, field):
    answer = client.post("/setup/", {**FORM, **change})
    assert answer.status_code == 400
    assert b"errorlist" in answer.content or b"notice bad" in answer.content
    assert User.objects.count() == 0
    assert Client.objects.count() == 0


def test_a_manager_adds_people_to_their_client_only(agency):
    charlie = agency.principals.charlie
    made = people.add(
        email="New@example.com",
        name="New",
        password=PASSWORD,
        client=agency.southwind,
        role="analyst",
        principal=charlie,
        now=START,
    )
    assert (made.email, made.is_staff) == ("new@example.com", True)
    with pytest.raises(Forbidden):
        people.add(
            email="o@example.com",
            name="O",
            password=PASSWORD,
            client=None,
            role="owner",
            principal=charlie,
            now=START,
        )
    with pytest.raises(Exception, match="no such client"):
        people.add(
            email="p@example.com",
            name="P",
            password=PASSWORD,
            client=agency.northwind,
            role="viewer",
            principal=charlie,
            now=START,
        )
    with pytest.raises(Conflict):
        people.add(
            email="new@example.com",
            name="",
            password=None,
            client=agency.southwind,
            role="viewer",
            principal=charlie,
            now=START,
        )
    with pytest.raises(Invalid):
        people.add(
            email="q@example.com",
            name="",
            password=None,
            client=agency.southwind,
            role="king",
            principal=charlie,
            now=START,
        )
