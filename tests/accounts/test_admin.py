"""The operations site: rows by client, secrets nowhere, and every registered page opens."""

import pytest
from django.contrib import admin
from django.urls import reverse

from accounts.admin import ScopedAdmin
from accounts.keys import issue
from accounts.models import (
    AdAccount,
    ApiKey,
    AuditLine,
    Client,
    Invitation,
    Membership,
    MetaConnection,
    OutboxMessage,
    User,
)
from accounts.outbox import send
from tests.conftest import PASSWORD, START

CANARY = "EAAcanaryInTheAdmin0123456789"
OURS = [model for model in admin.site._registry if model._meta.app_label == "accounts"]


@pytest.fixture
def world(agency):
    for client in (agency.northwind, agency.southwind):
        row = MetaConnection.everything.create(
            client=client,
            meta_user_id="1",
            meta_user_name=f"{client} person",
            token=CANARY,
            connected_at=START,
        )
        AdAccount.everything.create(
            client=client,
            meta_id=f"77{client.pk}",
            name=f"{client} shop",
            currency="USD",
            timezone_name="UTC",
            connection=row,
        )
    agency.key, agency.secret = issue(
        user=agency.users.ivan, name="k", principal=agency.principals.alice, now=START
    )
    return agency


def url(model, page="changelist", *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


@pytest.mark.parametrize("model", OURS)
def test_every_list_opens_for_an_owner_and_searches(client, world, model):
    client.force_login(world.users.alice)
    for query in ({}, {"q": "north"}):
        assert client.get(url(model), query).status_code == 200


def test_a_page_asks_once_who_is_looking(client, world, django_assert_max_num_queries):
    """The list of models beside every page asks for each model whether it may be seen, added to and changed."""
    client.force_login(world.users.alice)
    client.get(url(AdAccount))
    with django_assert_max_num_queries(25):
        client.get(url(AdAccount))


def test_staff_see_the_rows_of_their_clients_only(client, world):
    client.force_login(world.users.charlie)
    page = client.get(url(AdAccount)).content.decode()
    assert "Southwind shop" in page
    assert "Northwind" not in page
    foreign = AdAccount.everything.get(name="Northwind shop")
    assert client.get(url(AdAccount, "change", foreign.pk)).status_code == 302
    assert client.get(url(User)).status_code == 403


def test_neither_token_nor_digest_is_rendered(client, world):
    client.force_login(world.users.alice)
    row = MetaConnection.everything.first()
    for model, pk in ((MetaConnection, row.pk), (ApiKey, world.key.pk)):
        for address in (url(model), url(model, "change", pk)):
            page = client.get(address)
            assert page.status_code == 200
            text = page.content.decode()
            assert CANARY not in text
            assert world.key.digest not in text
            assert "Token" not in text or model is ApiKey


def test_a_client_side_person_does_not_get_in(client, world):
    client.force_login(world.users.vic)
    assert client.get(url(AdAccount)).status_code in (302, 403)


def test_connections_cannot_be_edited_or_deleted(client, world):
    client.force_login(world.users.alice)
    row = MetaConnection.everything.first()
    assert client.post(url(MetaConnection, "change", row.pk), {"state": "revoked"}).status_code == 403
    assert client.post(url(MetaConnection, "delete", row.pk), {"post": "yes"}).status_code == 403
    assert client.get(url(MetaConnection, "add")).status_code == 403


def test_an_owner_adds_a_person_with_a_role(client, world):
    client.force_login(world.users.alice)
    answer = client.post(
        url(User, "add"), {"email": "Dora@Example.com", "name": "Dora", "password": PASSWORD}
    )
    assert answer.status_code == 302, answer.content.decode()[:2000]
    dora = User.objects.get(email="dora@example.com")
    assert dora.check_password(PASSWORD)
    answer = client.post(
        url(Membership, "add"), {"user": dora.pk, "client": world.northwind.pk, "role": "analyst"}
    )
    assert answer.status_code == 302
    dora.refresh_from_db()
    assert dora.is_staff
    line = AuditLine.everything.get(verb="add_person")
    assert (line.subject, line.actor_id) == ("dora@example.com as analyst", world.users.alice.pk)


@pytest.mark.parametrize(
    ("who", "where", "role"),
    [
        ("bob", "northwind", "viewer"),
        ("alice", None, "owner"),
        ("vic", None, "buyer"),
        ("vic", "northwind", "owner"),
    ],
)
def test_a_role_that_is_there_or_stands_in_the_wrong_place_is_refused_in_the_form(
    client, world, who, where, role
):
    client.force_login(world.users.alice)
    before = set(Membership.objects.values_list("user", "client", "role"))
    at = getattr(world, where).pk if where else ""
    answer = client.post(
        url(Membership, "add"), {"user": getattr(world.users, who).pk, "client": at, "role": role}
    )
    assert answer.status_code == 200
    assert set(Membership.objects.values_list("user", "client", "role")) == before


def test_what_has_guards_is_not_changed_here(client, world):
    """The last owner, one's own role, a closed account, an archived client: the people page knows the guards."""
    client.force_login(world.users.alice)
    row = Membership.objects.get(user=world.users.alice)
    for model, page in ((Membership, "change"), (Membership, "delete")):
        assert client.post(url(model, page, row.pk), {"post": "yes", "role": "viewer"}).status_code == 403
    client.post(
        url(User, "change", world.users.alice.pk),
        {"email": "alice@example.com", "name": "Alice", "is_active": "", "is_staff": ""},
    )
    client.post(
        url(Client, "change", world.northwind.pk),
        {"name": "Northwind", "slug": "northwind", "result_action": "omni_purchase", "approval_hours": 24,
         "archived_at_0": "2026-11-18", "archived_at_1": "12:00"},
    )  # fmt: skip
    world.users.alice.refresh_from_db()
    world.northwind.refresh_from_db()
    assert world.users.alice.is_active and world.northwind.archived_at is None
    assert Membership.objects.filter(pk=row.pk, role="owner").exists()


def test_an_invitations_digest_is_not_rendered(client, world, clock):
    from accounts.invitations import invite

    row = invite(
        email="w@example.com",
        client=world.northwind,
        role="buyer",
        principal=world.principals.alice,
        now=START,
    )
    client.force_login(world.users.alice)
    for address in (url(Invitation), url(Invitation, "change", row.pk)):
        answer = client.get(address)
        assert answer.status_code == 200 and row.digest not in answer.content.decode()


def test_a_key_made_here_is_shown_once_and_works(client, world):
    client.force_login(world.users.alice)
    answer = client.post(
        url(ApiKey, "add"), {"user": world.users.ivan.pk, "name": "new", "scopes": "[]"}, follow=True
    )
    text = answer.content.decode()
    key = text[text.index("mak_") :].split("<")[0].split()[0]
    client.logout()
    assert client.get("/api/meta/validate-token", headers={"X-API-Key": key}).status_code == 200


@pytest.mark.parametrize("model", OURS)
def test_all_of_ours_stand_on_the_scoped_base(model):
    assert isinstance(admin.site._registry[model], ScopedAdmin)


def test_an_owner_sees_who_was_written_to_but_not_the_link_and_sends_it_again(client, world):
    send(key="k", address="new@example.com", subject="Welcome", body="https://x/one-time-secret", now=START)
    row = OutboxMessage.everything.get()
    client.force_login(world.users.alice)
    for page in (url(OutboxMessage), url(OutboxMessage, "change", row.pk)):
        text = client.get(page).content.decode()
        assert "new@example.com" in text and "one-time-secret" not in text
    OutboxMessage.everything.update(given_up_at=START, tries=6)
    again = {"action": "send_again", "_selected_action": [row.pk]}
    assert "goes out within seconds" in client.post(url(OutboxMessage), again, follow=True).content.decode()
    assert OutboxMessage.everything.get().given_up_at is None
    OutboxMessage.everything.update(sent_at=START, body="")
    assert "cannot be sent again" in client.post(url(OutboxMessage), again, follow=True).content.decode()


def test_nobody_but_an_owner_sees_or_sends_mails(client, world):
    send(key="k", address="new@example.com", subject="Welcome", body="b", now=START, client=world.southwind)
    OutboxMessage.everything.update(given_up_at=START)
    client.force_login(world.users.charlie)
    assert client.get(url(OutboxMessage)).status_code == 403
    again = {"action": "send_again", "_selected_action": [OutboxMessage.everything.get().pk]}
    assert client.post(url(OutboxMessage), again).status_code == 403
    assert OutboxMessage.everything.get().given_up_at == START
