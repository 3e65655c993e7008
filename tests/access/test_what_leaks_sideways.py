"""What could be told about another client without showing a row: counts, ids in sequence, mails to the wrong people."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.core import mail

from tests.access.matrix import ROUTES
from tests.access.world import MARKER

pytestmark = [pytest.mark.django_db, pytest.mark.fault("N20"), pytest.mark.fault("F112")]

READS = tuple(
    {
        route.path: route
        for route in ROUTES
        if route.kind in ("api", "page") and "get" in route.rules and not route.rules["get"].writes
    }.values()
)
_FRESH = re.compile(r'(csrfmiddlewaretoken" value|nonce|name="csrf" content|request_id"?)[=:]\s*"[^"]*"')


def answers(estate: Any, who: str) -> dict[str, str]:
    return {
        route.path: _FRESH.sub(r"\1", estate.call(who, "get", route.address(estate.ids)).text)
        for route in READS
        if route.name not in ("api_session", "readyz")
    }


@pytest.mark.parametrize("who", ["buyer", "viewer"])
def test_no_answer_to_northwind_moves_when_southwind_grows(estate, who):
    from accounts.alerts import open_
    from accounts.models import AuditLine
    from campaigns.models import Campaign, Change
    from strategies.models import Proposal, Strategy

    before = answers(estate, who)
    for number in range(30):
        open_(
            client=estate.southwind, key=f"grows:{number}", title=f"{MARKER} {number}", advice="", severity="critical",
            now=estate.clock.now(),
        )  # fmt: skip
    grown = 0
    for model in (Campaign, Change, Proposal, Strategy, AuditLine):
        row = model.everything.filter(client=estate.southwind).first()
        for number in range(3):
            copied = {
                field.attname: getattr(row, field.attname)
                for field in model._meta.concrete_fields
                if not field.primary_key and field.name not in ("uuid", "meta_id", "key", "digest", "name")
            }
            unique = {
                name: f"7710034500{number}{grown:03}"
                for name in ("meta_id", "key", "digest", "object_id", "name")
                if name in {field.name for field in model._meta.concrete_fields}
            }
            model.everything.create(**{**copied, **unique})
            grown += 1
    assert grown == 15
    after = answers(estate, who)
    assert [path for path in before if before[path] != after[path]] == []


_PUBLIC = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?:act_)?\d{10,40}|[a-z]+[a-z_.-]*[a-z0-9_.:-]*|"
)


def identities(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if re.fullmatch(r"id|uuid|.*_id|.*Id", str(name)) and not isinstance(inner, dict | list):
                yield f"{path}.{name}", inner
            else:
                yield from identities(inner, f"{path}.{name}")
    elif isinstance(value, list):
        for inner in value:
            yield from identities(inner, f"{path}[]")


@pytest.mark.parametrize("who", ["buyer", "integrator-key"])
def test_no_id_of_ours_is_a_number_in_sequence(estate, who):
    seen, wrong = 0, []
    for route in READS:
        answer = estate.call(who, "get", route.address(estate.ids))
        if route.kind != "api" or answer.status != 200:
            continue
        # An export is a document a line.
        lines = answer.text.splitlines() if "ndjson" in answer.headers["Content-Type"] else [answer.text]
        for path, value in identities([json.loads(line) for line in lines]):
            seen += 1
            if value is not None and not (isinstance(value, str) and _PUBLIC.fullmatch(value)):
                wrong.append(f"{route}{path}: {value!r}")
    assert seen > 50
    assert sorted(set(wrong)) == []


def test_mails_about_southwind_reach_southwinds_people_and_owners_only(estate):
    from accounts.alerts import open_
    from accounts.models import Membership, OutboxMessage
    from accounts.outbox import deliver

    now = estate.clock.now()
    for client in (estate.northwind, estate.southwind):
        for severity in ("critical", "warning", "info"):
            open_(
                client=client, key=f"mail:{severity}", title=f"Trouble at {client.name}",
                advice="Look at it.", severity=severity, now=now,
            )  # fmt: skip
    deliver(now=now)
    ours = set(Membership.objects.filter(client=estate.northwind).values_list("user__email", flat=True)) | {
        "guest@example.com"
    }
    owners = set(Membership.objects.filter(client=None).values_list("user__email", flat=True))
    sent = [(address, f"{one.subject}\n{one.body}") for one in mail.outbox for address in one.recipients()]
    sent += [
        (one.address, f"{one.subject}\n{one.body}")
        for one in OutboxMessage.everything.exclude(subject=MARKER)
    ]
    assert {address for address, text in sent if MARKER in text} & owners, "nobody was told about Southwind"
    assert {address for address, text in sent if "Northwind" in text} & (ours - owners), "nor about Northwind"
    for address, text in sent:
        if address in ours - owners:
            assert MARKER not in text, f"{address} was told about Southwind: {text[:300]}"
        if address not in ours | owners:
            assert "Northwind" not in text, f"{address} was told about Northwind: {text[:300]}"
