"""The API answers for the past: as known then, refusing what cannot be, and nobody else's."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest

from insights.store.write import Read, upsert
from insights.windows import DAY
from tests.insights.conftest import NOW, TODAY, row

pytestmark = pytest.mark.django_db
YESTERDAY = TODAY - DAY


@pytest.fixture
def ask(client):
    def asking(user, path, status=200, **query):
        client.force_login(user)
        answer = client.get(path, query)
        assert answer.status_code == status, answer.content
        return json.loads(answer.content, parse_float=Decimal, parse_int=Decimal)

    return asking


def restated(account, clock):
    for minutes, spend in ((-120, "5.00"), (-30, "6.50")):
        upsert(
            ad_account=account,
            rows=[row(day=YESTERDAY, spend=spend, impressions="1000")],
            slices=[Read("day", "ad", YESTERDAY)],
            now=NOW + timedelta(minutes=minutes),
        )


def test_the_number_that_was_shown_an_hour_ago_can_be_read_again(ad_account, agency, ask, clock):
    restated(ad_account, clock)
    path = f"/api/meta/known-at/{ad_account.act_id}"
    query = {"since": str(YESTERDAY), "until": str(YESTERDAY), "metrics": "spend,cpm", "level": "campaign"}
    body = ask(agency.users.vic, path, at="2026-11-18T14:00:00Z", **query)
    assert [(one["id"], one["spend"], one["cpm"]) for one in body["rows"]] == [("10", 5, 5)]
    assert (body["known_at"], body["answers_for"], body["unread_days"]) == (
        "2026-11-18T14:00:00Z",
        "2026-11-18T14:00:00Z",
        0,
    )
    now = ask(agency.users.vic, path, at="2026-11-18T10:00:00-05:00", **query)
    assert now["rows"][0]["spend"] == Decimal("6.5")


@pytest.mark.parametrize(
    "at, words",
    [
        ("", "not an instant"),
        ("yesterday", "not an instant"),
        ("2026-11-18T14:00:00", "no time zone"),
        ("2026-11-19T14:00:00Z", "future"),
    ],
)
def test_an_instant_that_cannot_be_answered_for_is_refused_with_a_reason(
    ad_account, agency, ask, clock, at, words
):
    body = ask(agency.users.bob, f"/api/meta/known-at/{ad_account.act_id}", 400, at=at)
    assert words in body["detail"]


def test_curves_are_served_with_what_is_not_learned(ad_account, agency, ask, clock):
    body = ask(agency.users.vic, f"/api/meta/completeness/{ad_account.act_id}")
    assert body["curves"] == []
    assert "purchases" in body["not_learned"]


def test_another_client_s_past_is_not_there(ad_account, agency, ask, clock):
    for path in ("known-at", "completeness"):
        ask(agency.users.charlie, f"/api/meta/{path}/{ad_account.act_id}", 404, at="2026-11-18T14:00:00Z")
