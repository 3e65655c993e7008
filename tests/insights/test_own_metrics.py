"""A client's own metrics through the API: checked when written, exact when read, and nobody else's."""

import json
from decimal import Decimal

import pytest

from accounts.models import AuditLine
from insights.metrics import rounded
from insights.models import CustomMetric
from insights.store.write import Read, upsert
from insights.windows import DAY
from tests.insights.conftest import NOW, TODAY, row

pytestmark = pytest.mark.django_db
PATH = "/api/metrics/own?client=northwind"


@pytest.fixture
def call(client, agency, clock):
    def calling(who, method, path, status, body=None):
        client.force_login(getattr(agency.users, who))
        data = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
        answer = getattr(client, method)(path, **data)
        assert answer.status_code == status, answer.content
        return json.loads(answer.content, parse_float=Decimal) if answer.content else None

    return calling


GOOD = {
    "name": "cost_per_visit",
    "label": "Cost per visit",
    "expression": "spend /  landing_page_views",
    "good": "down",
}


def test_what_bob_writes_vic_reads_as_a_number_of_every_path(call, ad_account, agency):
    made = call("bob", "post", PATH, 201, GOOD)
    assert (made["name"], made["formula"], made["unit"]) == (
        "my.cost_per_visit",
        "spend / landing_page_views",
        "money",
    )
    assert made["summable"] is False
    visits = [{"action_type": "landing_page_view", "value": "8"}]
    upsert(
        ad_account=ad_account,
        rows=[row(day=TODAY - DAY, spend="30.00", impressions="100", actions=visits)],
        slices=[Read("day", "ad", TODAY - DAY)],
        now=NOW,
    )
    path = f"/api/meta/performance/{ad_account.act_id}?date_preset=yesterday&metrics=my.cost_per_visit,spend"
    body = call("vic", "get", path, 200)
    assert (body["my.cost_per_visit"], body["spend"]) == (rounded(Decimal(30) / 8), 30)
    assert body["previous"]["my.cost_per_visit"] is None
    insight = call("vic", "get", path.replace("performance", "insights") + "&level=ad", 200)["insights"][0]
    assert insight["my.cost_per_visit"] == Decimal("3.75")
    listed = call("vic", "get", PATH, 200)["metrics"]
    assert [one["label"] for one in listed] == ["Cost per visit"]
    assert AuditLine.objects.of(agency.northwind).get(verb="save_metric").detail["formula"] == made["formula"]


@pytest.mark.parametrize(
    "change, words",
    [
        ({"expression": "spend + clicks"}, "different things"),
        ({"expression": "purchases + leads"}, "different results"),
        ({"expression": "spned / clicks"}, "Did you mean spend"),
        ({"expression": ""}, "blank"),
        ({"name": "roas"}, "no metric's already"),
        ({"name": "hook_rate"}, "no metric's already"),
        ({"name": "Bad Name"}, "does not match"),
        ({"percent": True}, "no percent"),
        ({"decimals": 9}, "6"),
        ({"good": "sideways"}, "not a valid choice"),
    ],
)
def test_what_would_be_nonsense_is_refused_and_nothing_is_kept(call, agency, change, words):
    body = call("bob", "post", PATH, 400, GOOD | change)
    assert words in json.dumps(body)
    assert not CustomMetric.objects.of(agency.northwind).exists()


def test_a_name_is_given_once_per_client_and_another_client_has_its_own(call, agency):
    call("bob", "post", PATH, 201, GOOD)
    assert call("bob", "post", PATH, 409, GOOD)["code"] == "metric_exists"
    call("charlie", "post", "/api/metrics/own?client=southwind", 201, GOOD | {"expression": "spend / clicks"})
    assert call("vic", "get", PATH, 200)["metrics"][0]["formula"] == "spend / landing_page_views"


def test_another_client_s_metric_is_unknown_here(call, ad_account, agency):
    call("charlie", "post", "/api/metrics/own?client=southwind", 201, GOOD)
    path = f"/api/meta/performance/{ad_account.act_id}?metrics=my.cost_per_visit"
    assert "none yet" in json.dumps(call("bob", "get", path, 400))
    call("charlie", "get", PATH, 404)
    call("charlie", "delete", "/api/metrics/own/my.cost_per_visit?client=northwind", 404)


def test_who_may_not_see_costs_neither_writes_nor_reads_a_metric_on_profit(call, ad_account, agency):
    call("bob", "post", PATH, 201, GOOD | {"name": "gain", "expression": "profit / clicks"})
    path = f"/api/meta/performance/{ad_account.act_id}?metrics=my.gain"
    call("bob", "get", path, 200)
    assert call("vic", "get", path, 403)["code"] == "may_not_see_costs"
    for who in ("vic", "vera", "ivan"):
        assert call(who, "post", PATH, 403, GOOD)["code"] == "may_not_edit_metrics"


def test_a_deleted_metric_is_gone_and_a_second_delete_says_so(call, agency):
    call("bob", "post", PATH, 201, GOOD)
    call("bob", "delete", "/api/metrics/own/my.cost_per_visit?client=northwind", 204)
    call("bob", "delete", "/api/metrics/own/my.cost_per_visit?client=northwind", 404)
    assert call("bob", "get", PATH, 200) == {"metrics": []}
