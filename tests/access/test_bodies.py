"""What stands inside a request's body: ids of another client, and fields that nobody offered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import models

from tests.access.matrix import ROUTES, Route
from tests.access.people import PRINCIPALS, Answer
from tests.access.world import MARKER, lost, rolled_back, tenant_models

pytestmark = pytest.mark.django_db

#: Every writing method of the API.
WRITES = [
    (route, method)
    for route in ROUTES
    if route.kind == "api"
    for method in ("post", "put", "patch", "delete")
    if method in route.rules
]
#: Fields that decide whose a row is, who may what, and what was approved.
FIELDS = (
    "tenant", "client", "client_id", "client_slug", "ad_account", "ad_account_id", "user", "user_id", "owner",
    "role", "is_staff", "is_superuser", "is_active", "scopes", "cap", "spend_cap", "state", "status", "approved",
    "approved_by", "approved_by_id", "requested_by", "requested_by_id", "source", "by", "actor_id", "dry_run",
    "dryRun", "force", "override", "uuid", "id", "pk", "digest", "expires_at", "created_at", "applied_at",
    "enabled_at", "archived_at", "connection", "connection_id", "token", "held", "mfa_required",
)  # fmt: skip


class Watched(dict[str, str]):
    """Ids that remember which were asked for."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return super().__getitem__(name)


def ids_in(route: Route, method: str, ids: dict[str, str]) -> set[str]:
    body = route.rules[method].body
    watched = Watched(ids)
    if body is not None:
        body(watched)
    return watched.asked - {"digest", "batch_digest", "proposal_digest", "token"}


def rightful(route: Route, method: str) -> str:
    """Somebody of Northwind who may, the owner where only owners may."""
    names = [
        str(who)
        for who in PRINCIPALS
        if who.by == "session" and who.seat == "northwind" and who.role in route.rules[method].may
    ]
    return next((name for name in ("manager", "buyer") if name in names), "owner")


@pytest.mark.fault("F109")
@pytest.mark.parametrize(("route", "method"), WRITES, ids=[f"{route}-{method}" for route, method in WRITES])
def test_a_foreign_id_in_the_body_is_as_good_as_an_id_of_nobody(estate, route, method):
    who = rightful(route, method)
    if who == "owner":  # sees both clients: nothing is foreign
        return
    before = southwind(estate)
    strange = lost(estate.ids)
    for name in ids_in(route, method, estate.ids) & set(estate.theirs):
        answers: list[Answer] = []
        for other in (estate.theirs[name], strange[name]):
            body = route.rules[method].body({**estate.ids, name: other})
            with rolled_back():
                answers.append(estate.call(who, method, route.address(estate.ids), body))
        foreign, nothing = answers
        assert foreign.status in (400, 404), f"{name}: {foreign.text[:300]}"
        assert foreign.without_trace({name: estate.theirs[name]}) == nothing.without_trace(
            {name: strange[name]}
        )
        assert MARKER not in foreign.text.replace(estate.theirs[name], "")
        assert not foreign.written
    assert southwind(estate) == before


@pytest.mark.fault("F110")
@pytest.mark.parametrize(("route", "method"), WRITES, ids=[f"{route}-{method}" for route, method in WRITES])
def test_a_field_that_nobody_offered_changes_nothing(estate, published, route, method):
    body = route.rules[method].body
    given = dict(body(estate.ids)) if body is not None else {}
    offered = offers(published, route, method) | set(given)
    more = {name: value for name, value in values(estate).items() if name not in offered}
    assert len(more) > 20

    def outcome(sent: dict[str, Any]) -> tuple[Answer, Any]:
        with rolled_back():
            answer = estate.call("owner", method, route.address(estate.ids), sent)
            return answer, facts(estate)

    plain, facts_of_plain = outcome(given)
    assert plain.status in route.rules[method].fine, plain.text[:300]
    rich, facts_of_rich = outcome({**given, **more})
    if rich.status == 400:
        assert not rich.written
        return
    assert (rich.status, without_ids(rich.text)) == (plain.status, without_ids(plain.text))
    assert facts_of_rich == facts_of_plain


def values(estate: Any) -> dict[str, Any]:
    southwind_ids = {
        "client", "client_slug", "tenant", "ad_account", "ad_account_id", "client_id", "connection", "connection_id",
    }  # fmt: skip
    found: dict[str, Any] = {}
    for name in FIELDS:
        if name in ("client", "client_slug", "tenant"):
            found[name] = estate.southwind.slug
        elif name == "client_id":
            found[name] = estate.southwind.pk
        elif name in southwind_ids:
            found[name] = estate.theirs["account" if name.startswith("ad_") else "connection"]
        elif name in ("role", "owner"):
            found[name] = "owner"
        elif name in ("state", "status"):
            found[name] = "APPROVED"
        elif name.endswith("_at"):
            found[name] = "2001-01-01T00:00:00Z"
        elif name.endswith("_id") or name in ("id", "pk", "user", "by", "approved_by", "requested_by"):
            found[name] = estate.users.charlie.pk
        elif name == "uuid":
            found[name] = "00000000-0000-4000-8000-00000000abcd"
        else:
            found[name] = True
    return found


@pytest.fixture(scope="module")
def published() -> Any:
    from tests.api.published import Published

    return Published.generate()


def offers(published: Any, route: Route, method: str) -> set[str]:
    """The properties that the published description offers for this body."""

    shapes = published.document["components"]["schemas"]
    found: set[str] = set()
    for template, operations in published.document["paths"].items():
        pattern = re.compile(re.sub(r"\{[^}]+\}", "[^/]+", template) + "$")
        if method not in operations or not pattern.match(route.path.partition("?")[0]):
            continue
        content = operations[method].get("requestBody", {}).get("content", {}).get("application/json", {})
        found |= set(_properties(content.get("schema", {}), shapes))
    return found


def _properties(schema: dict[str, Any], shapes: dict[str, Any]) -> Iterator[str]:
    if "$ref" in schema:
        yield from _properties(shapes[schema["$ref"].rpartition("/")[2]], shapes)
    yield from schema.get("properties", {})
    for part in ("allOf", "oneOf", "anyOf"):
        for one in schema.get(part, ()):
            yield from _properties(one, shapes)


_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
#: What is made anew for each request: keyed digests, signed links.
_ANEW = re.compile(r"[0-9a-f]{16,}|(?<=\")https?://[^\"]+")


def without_ids(text: str) -> str:
    return _ANEW.sub("ANEW", _UUID.sub("UUID", text))


def facts(estate: Any) -> dict[str, Any]:
    """Everything that decides about rights and money, without what is new in each run."""
    from accounts.models import (
        AdAccount,
        ApiKey,
        Client,
        Invitation,
        Membership,
        MetaConnection,
        RolePolicy,
        User,
    )
    from campaigns.models import Change, Hold, Switch
    from strategies.models import Proposal, Strategy

    found: dict[str, Any] = {}
    for model in (
        AdAccount, ApiKey, Change, Client, Hold, Invitation, Membership, MetaConnection, Proposal, RolePolicy,
        Strategy, Switch, User,
    ):  # fmt: skip
        manager: Any = getattr(model, "everything", model._default_manager)
        columns = [
            field.attname
            for field in model._meta.concrete_fields
            if not field.primary_key
            and not isinstance(field, models.UUIDField)
            and field.name not in ("digest", "token", "fingerprint", "key", "created_at", "last_login")
            and (not isinstance(field, models.ForeignKey) or field.related_model in (Client, AdAccount, User))
        ]
        found[model.__name__] = sorted(repr(row) for row in manager.values_list(*columns))
    found["southwind"] = southwind(estate)
    return found


def southwind(estate: Any) -> dict[str, list[str]]:
    found = {}
    for model in tenant_models():
        columns = [
            field.attname
            for field in model._meta.concrete_fields
            if not field.primary_key and not getattr(field, "auto_now_add", False) and field.name != "uuid"
        ]
        own = (
            {"client_id": estate.southwind.pk}
            if "client_id" in columns
            else {"ad_account_id": estate.planted["AdAccount"].pk}
        )
        manager: Any = model.everything  # type: ignore[attr-defined]
        found[model.__name__] = [
            without_ids(repr(row)) for row in manager.filter(**own).order_by("pk").values_list(*columns)
        ]
    return found
