"""Every address of the product, tried by somebody of another client and by nobody at all.

The list comes from the URL configuration, so an address that is added later is tried without being named here;
if it holds a parameter that this file cannot fill, the test fails and asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client as Browser
from django.urls import URLPattern, URLResolver, get_resolver

#: Addresses that anybody may open, with the reason; allauth and the admin have tests of their own.
PUBLIC = {
    "livez": "a probe",
    "readyz": "a probe",
    "metrics": "decides by address",
    "set_up": "before there are people; afterwards it sends away",
    "meta_webhook": "signed by Meta",
    "meta_deauthorize": "signed by Meta",
    "meta_data_deletion": "signed by Meta",
    "data_deletion_status": "whoever holds the code; shows nobody's name",
    "facebook_callback": "single-use state decides",
    "api_oauth_callback": "session and state decide",
    "invitation": "whoever holds the secret that was mailed; a dead one says nothing",
    "connect_link": "a signed link, sent to the client's own person",
}
NOT_OURS = ("admin/", "accounts/", "_allauth/")


def routes(resolver: Any = None, before: str = "") -> Iterator[tuple[str, str]]:
    """(path with its parameters, name) of every address of ours."""
    for one in (resolver or get_resolver()).url_patterns:
        path = before + str(one.pattern)
        if path.startswith(NOT_OURS):
            continue
        if isinstance(one, URLResolver):
            yield from routes(one, path)
        elif isinstance(one, URLPattern):
            yield path, one.name or ""


ROUTES = list(routes())
PROTECTED = [(path, name) for path, name in ROUTES if name not in PUBLIC]


@pytest.fixture
def northwind(synced: Any, clock: Any) -> Any:
    """Ids of rows that belong to Northwind, by the parameter's name and the first word of the path."""
    from accounts.invitations import invite
    from accounts.models import PendingGrant
    from campaigns.changes.request import Source, file
    from campaigns.models import Ad, AdSet, Campaign, Hold
    from campaigns.states import Field, Level
    from strategies import cycle, drafts
    from strategies.models import Backtest, Decision, Proposal, Strategy

    now, account = clock.now(), synced.ad_account
    campaign = Campaign.objects.of(synced.northwind).order_by("meta_id").first()
    ad_set = AdSet.objects.of(synced.northwind).order_by("meta_id").first()
    ad = Ad.objects.of(synced.northwind).order_by("meta_id").first()
    change = file(
        principal=synced.principals.bob, ad_account=account, level=Level.CAMPAIGN, object_id=campaign.meta_id,
        field=Field.STATUS, target="PAUSED", reason="A secret reason of Northwind", source=Source.PERSON,
        key="tenancy", evidence=None, now=now, batch=uuid4(),
    )  # fmt: skip
    strategy = Strategy.everything.create(
        client=synced.northwind, ad_account=account, name="Secret strategy of Northwind", type="optimization",
        rules={}, actions={}, created_at=now, updated_at=now,
    )  # fmt: skip
    proposal = Proposal.everything.create(
        client=synced.northwind, ad_account=account, strategy=strategy, strategy_version=1, level="campaign",
        object_id=campaign.meta_id, object_name=campaign.name, field="status", action="pause", currency="USD",
        sentence="A secret sentence of Northwind", digest="0" * 64, data_version=1, window_key="w", created_at=now,
        refreshed_at=now, expires_at=now + timedelta(days=1),
    )  # fmt: skip
    judging = drafts.create(
        principal=synced.principals.bob, ad_account=account, now=now,
        data={"name": "Judging", "type": "performance_optimization", "rules": {"minCtr": 1}, "actions": {}},
    )  # fmt: skip
    cycle.run(strategy=judging, now=now)
    decision = Decision.objects.of(synced.northwind).filter(strategy=judging).order_by("pk").first()
    backtest = Backtest.everything.create(
        client=synced.northwind, ad_account=account, strategy=strategy, strategy_version=1, document={"cases": []},
        since=now.date(), until=now.date(), hour=6, every_hours=24, state="done", total=1, created_at=now, result={},
    )  # fmt: skip
    held = Hold.everything.create(
        client=synced.northwind, ad_account=account, level="campaign", object_id=campaign.meta_id, field="status",
        ours="ACTIVE", theirs="PAUSED", reason="secret", held_at=now, until=now + timedelta(days=1),
    )  # fmt: skip
    grant = PendingGrant.everything.create(
        client=synced.northwind, user=synced.users.alice, session_key="x", meta_user_id="9", token="T",
        expires_at=now + timedelta(minutes=10),
    )  # fmt: skip
    invited = invite(
        email="guest.of.northwind@example.com", client=synced.northwind, role="buyer",
        principal=synced.principals.alice, now=now,
    )  # fmt: skip
    synced.ids = {
        "account_id": account.act_id, "act_id": account.act_id, "campaign_id": campaign.meta_id,
        "meta_id": campaign.meta_id, "adset_id": ad_set.meta_id, "object_id": ad.meta_id,
        "slug": synced.northwind.slug,
        "batches": change.batch,
        "changes": change.uuid, "strategies": strategy.uuid, "proposals": proposal.uuid,
        "decisions": decision.uuid, "holds": held.uuid, "backtests": backtest.uuid,
        "connections": grant.uuid, "people": synced.users.vera.uuid, "invitations": invited.uuid,
        "ref": synced.northwind.slug, "name": "my.none",
    }  # fmt: skip
    synced.secrets = [
        account.meta_id, campaign.meta_id, ad_set.meta_id, ad.meta_id, campaign.name, "Northwind",
        str(change.uuid), str(strategy.uuid), str(proposal.uuid), str(decision.uuid), str(held.uuid),
        str(backtest.uuid),
        str(synced.users.vera.uuid), str(invited.uuid), invited.email,
    ]  # fmt: skip
    return synced


def filled(path: str, ids: dict[str, Any]) -> str:
    """`path` with each parameter replaced; a KeyError names the parameter that nobody has filled yet."""
    first = path.removeprefix("api/").split("/")[0]

    def value(match: re.Match[str]) -> str:
        kind, name = match[1], match[2]
        return str(ids[first if kind == "uuid" else name])

    return "/" + re.sub(r"<(\w+):(\w+)>", value, path)


def strangers(ids: dict[str, Any]) -> dict[str, Any]:
    """Ids of the same shape that exist nowhere."""
    shaped = {
        name: ("act_999999999999" if str(value).startswith("act_") else "999999999999")
        for name, value in ids.items()
    }
    uuids = {name: uuid4() for name, value in ids.items() if len(str(value)) == 36}
    return {**shaped, **uuids, "slug": "no-such-client"}


def plain(answer: Any, ids: dict[str, Any]) -> str:
    """The body without what differs for good reasons: the ids that were asked for, nonces and tokens."""
    text = answer.content.decode()
    for value in ids.values():
        text = text.replace(str(value), "ID").replace(str(value).removeprefix("act_"), "ID")
    return re.sub(r'(nonce|value|content|instance|request_id)["\']?[=:]\s*"[^"]*"', r"\1", text)


@pytest.mark.django_db
@pytest.mark.parametrize(("path", "name"), PROTECTED, ids=[name or path for path, name in PROTECTED])
def test_nobody_gets_in_without_signing_in(agency: Any, path: str, name: str) -> None:
    """`agency`: there are people, so nothing is to be set up any more."""
    address = re.sub(r"<uuid:\w+>", str(uuid4()), "/" + path)
    address = re.sub(r"<\w+:\w+>", "act_1", address)
    for method in ("get", "post", "put", "patch", "delete"):
        answer = getattr(Browser(), method)(address)
        signed_out = answer.status_code in (401, 403, 405) or (
            answer.status_code == 302 and answer.headers["Location"].startswith("/accounts/login/")
        )
        assert signed_out, f"{method.upper()} {address} answered {answer.status_code}"


@pytest.mark.parametrize("method", ["get", "post"])
def test_somebody_of_another_client_learns_nothing_from_any_address(northwind: Any, method: str) -> None:
    """Charlie manages Southwind. What is Northwind's does not exist for him: the same answer as for an id that is
    nobody's, word for word; and no list names it."""
    charlie = Browser()
    charlie.force_login(northwind.users.charlie)
    wrong = []
    for path, name in PROTECTED:
        address = filled(path, northwind.ids)
        answer = getattr(charlie, method)(
            address, **({"content_type": "application/json", "data": "{}"} if method == "post" else {})
        )
        text = answer.content.decode()
        asked_for = {
            str(value).removeprefix("act_") for value in northwind.ids.values() if str(value) in address
        }
        leaked = [
            secret
            for secret in northwind.secrets
            if secret in text and secret not in asked_for and secret != "Northwind"
        ]
        leaked += ["Northwind"] if "Northwind" in text else []
        if leaked:
            wrong.append(f"{method} {address} ({name}) tells {leaked[:3]}")
        if "<" in path:
            if answer.status_code < 400:
                wrong.append(f"{method} {address} ({name}) answered {answer.status_code}")
            unknown = strangers(northwind.ids)
            other = getattr(charlie, method)(
                filled(path, unknown),
                **({"content_type": "application/json", "data": "{}"} if method == "post" else {}),
            )
            if (answer.status_code, plain(answer, northwind.ids)) != (
                other.status_code,
                plain(other, unknown),
            ):
                wrong.append(
                    f"{method} {address} ({name}): {answer.status_code} differs from a random id's {other.status_code}"
                )
    assert wrong == []


def test_the_owner_is_let_in_where_charlie_is_not(northwind: Any) -> None:
    """Else the test above could pass because every address is broken."""
    alice = Browser()
    alice.force_login(northwind.users.alice)
    opened = [name for path, name in PROTECTED if alice.get(filled(path, northwind.ids)).status_code == 200]
    readable = [name for path, name in PROTECTED if "<" in path and name in opened]
    assert {
        "api_change",
        "api_proposal",
        "api_strategy",
        "decision",
        "account",
        "campaign",
        "api_campaigns",
        "api_performance",
    } <= set(readable)
