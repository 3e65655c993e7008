"""`/api/people`, `/api/invitations`, `/api/policies`, `/api/roles`, `/api/clients`: golden answers, as published, and
what a body may not smuggle in."""

from __future__ import annotations

import json
from typing import Any

import pytest

import accounts.invitations as invitations
import tests.api.goldens as goldens
from accounts.models import AuditLine, Client, Invitation, Membership, OutboxMessage, RolePolicy, User
from tests.conftest import START

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(agency, clock):
    """Nobody has signed in yet, one invitation is open."""
    agency.invitation = invitations.invite(
        email="wanda@example.com", client=agency.northwind, role="buyer", principal=agency.principals.alice,
        now=clock.now(),
    )  # fmt: skip
    agency.clock = clock
    return agency


def vera(world: Any) -> str:
    return str(world.users.vera.uuid)


#: golden name -> who asks, method, published path, address, body, status
ASKED = {
    "people": ("alice", "get", "/api/people", lambda w: "/api/people?client=northwind", None, 200),
    "person-role": (
        "alice", "post", "/api/people/{uuid}/role", lambda w: f"/api/people/{vera(w)}/role",
        {"client": "northwind", "role": "analyst"}, 200,
    ),
    "remove-person": (
        "alice", "post", "/api/people/{uuid}/remove", lambda w: f"/api/people/{vera(w)}/remove",
        {"client": "northwind"}, 204,
    ),
    "last-owner": (
        "alice", "post", "/api/people/{uuid}/remove", lambda w: f"/api/people/{w.users.alice.uuid}/remove",
        {"client": None}, 409,
    ),
    "deactivate-person": (
        "alice", "post", "/api/people/{uuid}/deactivate", lambda w: f"/api/people/{vera(w)}/deactivate", None, 204,
    ),
    "own-account": (
        "alice", "post", "/api/people/{uuid}/deactivate",
        lambda w: f"/api/people/{w.users.alice.uuid}/deactivate", None, 403,
    ),
    "reactivate-person": (
        "alice", "post", "/api/people/{uuid}/reactivate", lambda w: f"/api/people/{vera(w)}/reactivate", None, 204,
    ),
    "invitations": (
        "alice", "get", "/api/invitations", lambda w: "/api/invitations?client=northwind", None, 200,
    ),
    "invite": (
        "alice", "post", "/api/invitations", lambda w: "/api/invitations",
        {"email": "Sid@Example.com", "client": "northwind", "role": "viewer"}, 201,
    ),
    "invite-again": (
        "alice", "post", "/api/invitations", lambda w: "/api/invitations",
        {"email": "wanda@example.com", "client": "northwind", "role": "viewer"}, 409,
    ),
    "invite-an-owner-as-manager": (
        "charlie", "post", "/api/invitations", lambda w: "/api/invitations",
        {"email": "sid@example.com", "role": "owner"}, 403,
    ),
    "resend-invitation": (
        "alice", "post", "/api/invitations/{uuid}/resend",
        lambda w: f"/api/invitations/{w.invitation.uuid}/resend", None, 200,
    ),
    "withdraw-invitation": (
        "alice", "post", "/api/invitations/{uuid}/withdraw",
        lambda w: f"/api/invitations/{w.invitation.uuid}/withdraw", None, 204,
    ),
    "policies": ("alice", "get", "/api/policies", lambda w: "/api/policies", None, 200),
    "set-policy": (
        "alice", "post", "/api/policies", lambda w: "/api/policies",
        {"role": "buyer", "two_factor_required": True}, 200,
    ),
    "clients": ("alice", "get", "/api/clients", lambda w: "/api/clients", None, 200),
    "create-client": ("alice", "post", "/api/clients", lambda w: "/api/clients", {"name": "East & West"}, 201),
    "rename-client": (
        "alice", "post", "/api/clients/{ref}/rename", lambda w: "/api/clients/northwind/rename",
        {"name": "North wind"}, 200,
    ),
    "archive-client": (
        "alice", "post", "/api/clients/{ref}/archive", lambda w: "/api/clients/southwind/archive", None, 200,
    ),
    "create-client-as-manager": (
        "charlie", "post", "/api/clients", lambda w: "/api/clients", {"name": "Mine"}, 403,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ASKED)
def test_the_answer_is_the_golden_one_and_as_published(world, call, published, name):
    who, method, template, where, body, status = ASKED[name]
    caller = call(who)
    User.objects.update(last_login=None)
    answer = caller.send(method, where(world), body)
    assert answer.status == status, answer.text
    if status == 204:
        assert answer.text == "" and "204" in published.operation(method, template)["responses"]
    else:
        assert published.wrong(method, template, answer) == []
    if body is not None:
        assert published.wrong_body(method, template, body) == []
    came = goldens.read(answer.text) if answer.text else None
    if isinstance(came, dict):
        came.pop("request_id", None)
    goldens.compare(
        f"people/{name}",
        request={
            "method": method.upper(),
            "path": where(world),
            "by": who,
            "body": goldens.read(json.dumps(body)),
        },
        response={"status": goldens.Number(answer.status), "body": came},
    )


def test_a_client_comes_back_out_of_the_archive(world, call):
    alice = call("alice")
    assert alice.send("post", "/api/clients/southwind/archive").status == 200
    assert alice.send("get", "/api/people?client=southwind").status == 404
    answer = alice.send("post", f"/api/clients/{world.southwind.uuid}/restore")
    assert (answer.status, answer.body["archived_at"]) == (200, None)
    assert alice.send("get", "/api/people?client=southwind").status == 200


def test_a_client_with_an_ad_account_that_is_switched_on_is_not_archived(connected, call):
    answer = call("alice").send("post", "/api/clients/northwind/archive")
    assert (answer.status, answer.body["code"]) == (409, "client_in_use")
    assert "Switch them off" in answer.body["advice"]


def test_the_same_invitation_with_one_key_is_sent_once(world, call):
    alice = call("alice")
    alice.headers["Idempotency-Key"] = "one"
    body = {"email": "sid@example.com", "client": "northwind", "role": "viewer"}
    first, second = (alice.send("post", "/api/invitations", body) for _ in range(2))
    assert (first.status, second.status) == (201, 201) and first.body == second.body
    assert OutboxMessage.everything.filter(address="sid@example.com").count() == 1


#: What an attacker adds to every body: columns and parameters that are nobody's to set.
SMUGGLED: dict[str, Any] = {
    "id": 1, "pk": 1, "uuid": "00000000-0000-4000-8000-000000000001", "user": 1, "user_id": 1, "tenant": 1,
    "client_id": 2, "is_staff": True, "is_superuser": True, "is_active": True, "email": "thief@example.com",
    "digest": "0" * 64, "invited_by": 1, "accepted_at": "2026-11-18T15:00:00Z", "expires_at": "2099-01-01T00:00:00Z",
    "withdrawn_at": None, "changed_by": 1, "slug": "stolen", "archived_at": None, "principal": "alice",
    "now": "2099-01-01T00:00:00Z", "password": "a thief's own words", "mfa_required": True,
}  # fmt: skip


@pytest.mark.fault("F110")
@pytest.mark.parametrize(
    "name", [name for name, asked in ASKED.items() if asked[1] == "post" and asked[5] < 300]
)
def test_fields_that_are_nobodys_to_set_change_nothing(world, call, name):
    """The same request with and without them leaves the same rows behind."""
    from django.db import transaction

    who, method, _, where, body, status = ASKED[name]
    caller = call(who)
    left = []
    for more in ({}, {key: value for key, value in SMUGGLED.items() if key not in (body or {})}):
        with transaction.atomic():
            answer = caller.send(method, where(world), {**more, **(body or {})})
            assert answer.status == status, answer.text
            left.append(rows())
            transaction.set_rollback(True)
    assert left[0] == left[1]


def rows() -> Any:
    """Everything that these paths write, without what is made anew each time."""
    made = {"id", "uuid", "digest", "created_at", "body", "key", "last_login"}
    slugs = dict(Client.objects.values_list("pk", "slug"))  # a sequence does not go back with its transaction

    def said(row: dict[str, Any]) -> str:
        return str({k: slugs.get(v) if k == "client_id" else v for k, v in row.items() if k not in made})

    return [
        sorted(said(row) for row in manager.values())
        for manager in (
            User.objects, Membership.objects, Client.objects, RolePolicy.objects, Invitation.everything,
            OutboxMessage.everything, AuditLine.everything,
        )
    ]  # fmt: skip


@pytest.mark.fault("F110")
@pytest.mark.parametrize("role", ["owner", "Owner", "", None, 7, ["buyer"], "emperor"])
def test_a_role_is_one_of_those_below_owner_and_nothing_else(world, call, role):
    answer = call("alice").send(
        "post", f"/api/people/{vera(world)}/role", {"client": "northwind", "role": role}
    )
    assert answer.status == 400
    assert Membership.objects.get(user=world.users.vera).role == "approver"


def test_a_narrowed_key_of_an_owner_owns_nothing(world, call):
    from accounts.keys import issue

    _, secret = issue(
        user=world.users.alice, name="reader", scopes=["sync"], principal=world.principals.alice, now=START
    )
    caller = call(None)
    caller.headers = {"X-API-Key": secret}
    for path, body in (
        ("/api/policies", {"role": "viewer", "two_factor_required": True}),
        ("/api/clients", {"name": "New"}),
        ("/api/invitations", {"email": "x@example.com", "role": "owner"}),
        (f"/api/people/{vera(world)}/deactivate", None),
        (f"/api/people/{vera(world)}/remove", {"client": "northwind"}),
    ):
        assert caller.send("post", path, body).status == 403, path
