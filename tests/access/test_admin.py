"""The operations site: every registered model x view x method x principal. Staff see their clients' rows, only an
owner writes, and only where it is declared here; packages' own tables stay shut for everybody without superuser."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin

from accounts.admin import ScopedAdmin
from accounts.tenancy import Tenant
from tests.access.people import PRINCIPALS, Who
from tests.access.world import MARKER

pytestmark = [pytest.mark.django_db, pytest.mark.fault("F116"), pytest.mark.fault("F108")]

#: Rows that belong to no client: an owner's only.
OWNERS_ONLY = {
    "User",
    "Invitation",
    "RolePolicy",
    "ApiKey",
    "Lease",
    "OutboxMessage",
    "UserRequest",
    "UserRequestPart",
    "SignedRequest",
    "QuotaScope",
    "Notice",
    "WebhookDelivery",
    "Strike",
}
#: Those of the lowest floor, which knows no clients: their admin asks the request's principal.
BELOW = {"QuotaScope", "Notice", "WebhookDelivery", "Strike"}
#: What an owner may do besides looking; everything else is read-only for everybody.
WRITABLE = {
    "User": {"add", "change"},
    "Client": {"add", "change"},
    "Membership": {"add"},
    "ApiKey": {"add"},
    "Envelope": {"add", "change"},  # managers at their own client, too
}
#: Tables of packages: their permissions are Django's own, which nobody is given.
SEALED = {
    "Group",
    "EmailAddress",
    "SocialApp",
    "SocialToken",
    "SocialAccount",
    "Authenticator",
    "UserSession",
}
STAFF = ("analyst", "buyer", "manager", "owner", "other-manager")
#: Who walks through every model: a buyer, an owner, and who is not staff.
WALKERS = [who for who in PRINCIPALS if str(who) in ("viewer", "buyer", "owner")]
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)


def test_every_registered_model_is_declared_and_scoped():
    for model in MODELS:
        name, site = model.__name__, admin.site._registry[model]
        if name in SEALED:
            assert not isinstance(site, ScopedAdmin)
            continue
        if name in BELOW:
            continue
        assert isinstance(site, ScopedAdmin), (
            f"{name}: inherit ScopedAdmin, or name it in SEALED with a reason"
        )
        assert (site.scope == "") == (name in OWNERS_ONLY), (
            f"{name}: name it in OWNERS_ONLY, or give it a scope"
        )
        assert set(site.writable) == WRITABLE.get(name, set()), (
            f"{name}: say in WRITABLE what an owner may write"
        )


def rows_of(estate: Any, model: Any) -> tuple[Any, Any]:
    """A row of Northwind's and one of Southwind's, where there are any."""
    from accounts.models import AuditLine, Membership

    theirs = estate.planted.get(model.__name__)
    manager = getattr(model, "everything", model._default_manager)
    if model is Membership:
        found = (
            manager.filter(client=estate.northwind).first(),
            manager.filter(client=estate.southwind).first(),
        )
    elif model.__name__ == "Client":
        found = estate.northwind, theirs
    elif issubclass(model, Tenant):
        found = manager.filter(client=estate.northwind).first(), theirs
    elif hasattr(model, "ad_account_id"):
        found = manager.filter(ad_account_id=estate.ad_account.pk).first(), theirs
    else:
        found = manager.first(), None
    assert model is not AuditLine or found[0] is not None
    return found


def expected(model: Any, view: str, who: Who, *, foreign: bool) -> set[int]:
    """The statuses that are right for a GET (a POST without fields is the same, or shows the form's mistakes)."""
    name = model.__name__
    if str(who) not in STAFF:
        return {302}
    if name in SEALED or (name in OWNERS_ONLY and who.role != "owner"):
        return {403, 302} if view in ("change", "delete", "history") else {403}
    if view in ("add", "delete"):
        may = who.role == "owner" and view in WRITABLE.get(name, set())
        if view == "add":
            return {200} if may else {403}
        return {200, 302} if may else {403, 302}
    if view == "list":
        return {200}
    return {302} if foreign else {200}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_every_view_of_the_model_for_every_principal(estate, model):
    base = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
    ours, theirs = rows_of(estate, model)
    wrong, cells = [], 0
    for who in WALKERS:
        staff = str(who) in STAFF
        asked: list[tuple[str, str, bool]] = [("list", base, False), ("add", f"{base}add/", False)]
        for row, client in ((ours, "northwind"), (theirs, "southwind")):
            if row is not None:
                foreign = (
                    staff and who.seat not in ("everywhere", client) and model.__name__ not in OWNERS_ONLY
                )
                asked += [
                    (view, f"{base}{row.pk}/{view}/", foreign) for view in ("change", "delete", "history")
                ]
        for view, address, foreign in asked:
            right = expected(model, view, who, foreign=foreign)
            got = estate.call(who, "get", address)
            cells += 1
            if got.status not in right:
                wrong.append(f"get {address} as {who}: {got.status}, not {right}")
            if not staff and not got.to_login and "/admin/login/" not in got.location:
                wrong.append(f"get {address} as {who}: sent to {got.location!r}")
            if foreign and view == "change":
                nothing = estate.call(who, "get", f"{base}999999999/change/")
                if (got.status, got.location) != (nothing.status, nothing.location):
                    wrong.append(f"get {address} as {who}: {got.status} differs from an id of nobody's")
            if who.seat == "northwind" and MARKER in got.text:
                wrong.append(f"get {address} as {who} shows Southwind's marker")
            if view != "history" and who.role == "buyer":
                sent = estate.call(who, "post", address, "post=yes&_save=1")
                cells += 1
                if sent.status == 200 and view in ("add", "delete"):
                    wrong.append(f"post {address} as {who}: 200")
                if {table for table in sent.written if not table.startswith("django_")}:
                    wrong.append(f"post {address} as {who} wrote {sorted(sent.written)}")
    assert wrong == []
    assert cells >= 8


def test_no_token_digest_or_password_is_in_the_html_not_even_masked(estate):
    from accounts.models import ApiKey, MetaConnection

    connection = MetaConnection.everything.get(client=estate.northwind)
    page = estate.call("owner", "get", f"/admin/accounts/metaconnection/{connection.pk}/change/").text
    assert connection.token not in page and connection.token[:12] not in page and "id_token" not in page
    key = ApiKey.objects.exclude(digest="0" * 64).first()
    page = estate.call("owner", "get", f"/admin/accounts/apikey/{key.pk}/change/").text
    assert key.digest not in page
    page = estate.call("owner", "get", f"/admin/accounts/user/{estate.users.bob.pk}/change/").text
    assert estate.users.bob.password not in page


@pytest.mark.parametrize("path", ["/admin/", "/admin/search/?s=a", "/admin/accounts/", "/admin/campaigns/"])
@pytest.mark.parametrize("who", PRINCIPALS, ids=str)
def test_the_sites_own_pages_are_for_staff(estate, path, who):
    answer = estate.call(who, "get", path)
    assert answer.good == (str(who) in STAFF) or "/admin/login/" in answer.location
    assert who.seat != "northwind" or MARKER not in answer.text


@pytest.mark.parametrize("who", ["buyer", "owner"])
def test_no_list_answers_a_question_about_a_secret_column(estate, who):
    """`?password__startswith=m` would tell the column letter by letter."""
    asked = {
        "accounts/user": ("password__startswith", "password__regex"),
        "accounts/metaconnection": ("token__startswith", "token", "connected_by__password__startswith"),
        "accounts/apikey": ("digest__startswith", "user__password__startswith"),
        "accounts/invitation": ("digest__startswith",),
        "accounts/pendinggrant": ("token__startswith", "session_key__startswith", "uuid__startswith"),
        "accounts/connectlink": ("uuid__startswith", "made_by__password__startswith"),
        "accounts/outboxmessage": ("body__contains",),
        "accounts/signedrequest": ("digest__startswith",),
    }
    for table, lookups in asked.items():
        for lookup in lookups:
            answer = estate.call(who, "get", f"/admin/{table}/?{lookup}=a")
            assert answer.status in (400, 403) or answer.location.endswith("?e=1"), (
                f"{table} {lookup}: {answer.status}"
            )


def test_ids_that_open_something_and_tokens_are_not_in_the_html(estate):
    from accounts.models import ConnectLink, PendingGrant

    link = ConnectLink.everything.filter(client=estate.northwind).first()
    grant = PendingGrant.everything.filter(client=estate.northwind).first()
    for table, row, secrets in (
        ("connectlink", link, [str(link.uuid)]),
        ("pendinggrant", grant, [str(grant.uuid), grant.token, grant.session_key]),
    ):
        for address in (f"/admin/accounts/{table}/", f"/admin/accounts/{table}/{row.pk}/change/"):
            page = estate.call("owner", "get", address)
            assert page.status == 200
            for secret in secrets:
                assert secret not in page.text
