"""The brief's paths answer with the brief's fields: golden requests and answers, and a table of names and types.

The goldens hold every digit. The table stands beside them, so that rewriting a golden cannot drop a field."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

import tests.api.goldens as goldens
from tests.api.paths import BRIEF, CALLBACK, PATHS, READS
from tests.walks.dance import at_meta, begin

pytestmark = pytest.mark.django_db

NUMBER, TEXT, FLAG = Decimal, str, bool
COUNT = int

#: The brief's interfaces, with its own types. `business_name?` is optional there and always sent here.
AD_ACCOUNT = {
    "id": TEXT, "name": TEXT, "account_status": COUNT, "currency": TEXT, "timezone_name": TEXT,
    "business_name": TEXT, "account_type": TEXT,
}  # fmt: skip
CAMPAIGN = {
    "id": TEXT, "name": TEXT, "status": TEXT, "objective": TEXT, "daily_budget": NUMBER,
    "lifetime_budget": NUMBER, "spend": NUMBER, "impressions": COUNT, "clicks": COUNT, "ctr": NUMBER,
    "cpc": NUMBER, "created_time": TEXT, "updated_time": TEXT,
}  # fmt: skip
INSIGHTS = {
    "date_start": TEXT, "date_stop": TEXT, "spend": NUMBER, "impressions": COUNT, "clicks": COUNT,
    "ctr": NUMBER, "cpc": NUMBER, "cpm": NUMBER, "reach": COUNT, "frequency": NUMBER,
}  # fmt: skip
STRATEGY = {
    "id": TEXT, "accountId": TEXT, "name": TEXT, "type": TEXT, "status": TEXT, "rules": dict, "actions": dict,
    "createdAt": TEXT, "updatedAt": TEXT,
}  # fmt: skip
RULES = {"minCtr": NUMBER, "maxCpc": NUMBER, "targetCpm": NUMBER, "budgetThreshold": NUMBER}
ACTIONS = {"pauseLowPerforming": FLAG, "increaseBudget": FLAG, "adjustBidding": FLAG, "expandAudience": FLAG}
#: Meta gives a campaign one budget or none: the other is null.
NULLABLE = {"daily_budget", "lifetime_budget"}


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_the_answer_is_the_golden_one_and_as_published(full_house, call, published, path):
    where, body = path.fill(full_house)
    answer = call(path.who).send(path.method, where, body)
    assert answer.status == path.status, answer.text
    assert published.wrong(path.method, path.template, answer) == []
    if body is not None:
        assert published.wrong_body(path.method, path.template, body) == []
    kept = ("Content-Type", "Location")
    goldens.compare(
        path.name,
        request={
            "method": path.method.upper(),
            "path": where,
            "by": path.who,
            "body": goldens.read(json.dumps(body)),
        },
        response={
            "status": goldens.Number(answer.status),
            "headers": {name: answer.headers[name] for name in kept if name in answer.headers},
            "body": goldens.read(answer.text),
        },
    )


def test_the_callback_takes_meta_s_redirect_to_the_page_that_confirms(agency, sandbox, call):
    alice = call("alice").http
    alice.handler.enforce_csrf_checks = False
    back = at_meta(sandbox, begin(alice, client="northwind")).replace("/auth/meta/callback", CALLBACK)
    answer = alice.get(back)
    goldens.compare(
        "callback",
        request={"method": "GET", "path": back, "by": "alice", "body": None},
        response={
            "status": goldens.Number(answer.status_code),
            "headers": {"Location": answer.headers["Location"]},
            "body": answer.content.decode(),
        },
    )
    assert alice.get(answer.headers["Location"]).status_code == 200


def test_every_path_of_the_brief_has_one_golden_file_and_no_other_file_lies_there():
    files = {file.stem for file in goldens.FOLDER.glob("*.json")}
    assert files == {path.name for path in PATHS} | {"callback"}
    assert len(BRIEF) == 17


def test_a_golden_with_one_other_digit_fails(monkeypatch):
    monkeypatch.delenv("UPDATE_GOLDEN", raising=False)
    golden = goldens.read((goldens.FOLDER / "performance.json").read_text())
    spend = golden["response"]["body"]["spend"]
    number = goldens.Number
    for other in (
        number(spend + "0"),
        number(spend[:-1] + str(9 - int(spend[-1]))),
        str.__str__(spend),
        None,
    ):
        body = {**golden["response"]["body"], "spend": other}
        with pytest.raises(AssertionError, match="differs"):
            goldens.compare(
                "performance", request=golden["request"], response={**golden["response"], "body": body}
            )


def holds(row: dict[str, Any], table: dict[str, type]) -> None:
    """Every field of `table` is there, with its JSON type: a number is no text, a flag no number."""
    for name, kind in table.items():
        assert name in row, f"{name} is missing"
        value = row[name]
        if value is None:
            assert name in NULLABLE, f"{name} is null"
        elif kind is NUMBER:
            assert isinstance(value, int | Decimal) and not isinstance(value, bool), f"{name}: {value!r}"
        else:
            assert type(value) is kind, f"{name}: {value!r}"


def test_the_fields_of_the_brief_are_there_with_their_types(full_house, call):
    bob = call("bob")

    def body(name: str, query: str = "") -> Any:
        path = next(path for path in READS if path.name == name)
        return bob.get(path.fill(full_house)[0] + query).body

    for row in body("ad-accounts")["ad_accounts"]:
        holds(row, AD_ACCOUNT)
        assert row["account_type"] in ("PERSONAL", "BUSINESS")
    campaigns = body("campaigns")["campaigns"]
    assert len(campaigns) == 2
    for row in campaigns:
        holds(row, CAMPAIGN)
    assert next(row for row in campaigns if row["name"] == "Teapots - Sales")["daily_budget"] == 100
    for row in body("ad-sets")["ad_sets"] + body("ads")["ads"]:
        holds(
            row, {name: CAMPAIGN[name] for name in ("id", "name", "status", "created_time", "updated_time")}
        )
        holds(row, {name: kind for name, kind in INSIGHTS.items() if not name.startswith("date_")})
    for query in ("", "?time_increment=1", "?level=ad"):
        rows = body("insights", query)["insights"]
        assert rows
        for row in rows:
            holds(row, INSIGHTS)
    for name in ("performance", "realtime"):
        holds(body(name), INSIGHTS | {"currency": TEXT})
    (strategy,) = body("strategies")["strategies"]
    holds(strategy, STRATEGY)
    holds(strategy["rules"], RULES)
    holds(strategy["actions"], ACTIONS)
    assert strategy["type"] in ("budget_optimization", "performance_optimization", "audience_expansion")
    assert strategy["status"] in ("active", "paused", "completed")
