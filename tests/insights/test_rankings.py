"""Best and worst by a metric: what is welcome comes first, ties share a rank, and one lucky click leads nothing."""

import json
from decimal import Decimal as D

import pytest

from insights.rankings import rank
from insights.store.write import Read, upsert
from insights.windows import DAY
from tests.insights.conftest import NOW, TODAY, row

pytestmark = pytest.mark.django_db
YESTERDAY = TODAY - DAY


def store(account, **ads):
    """Ad id -> (impressions, clicks, spend, purchases)."""
    rows = [
        row(
            object_id=name.removeprefix("ad"),
            day=YESTERDAY,
            impressions=shown,
            clicks=clicks,
            spend=spend,
            actions=[{"action_type": "omni_purchase", "value": str(bought)}],
        )
        for name, (shown, clicks, spend, bought) in ads.items()
    ]
    upsert(
        ad_account=account,
        rows=rows,
        slices=[Read("day", level, YESTERDAY) for level in ("ad", "campaign", "account")],
        now=NOW,
    )


def ask(account, metric, **more):
    return rank(account, level="ad", since=YESTERDAY, until=YESTERDAY, metric=metric, now=NOW, **more)


def test_an_ad_with_one_click_leads_nothing_and_is_told_why(ad_account):
    store(ad_account, ad1=(10, 1, "1", 0), ad2=(2000, 40, "50", 9), ad3=(4000, 40, "49", 9))
    found = ask(ad_account, "ctr")
    assert [(one.rank, one.object_id, one.value) for one in found.entries] == [(1, "2", D(2)), (2, "3", D(1))]
    assert [(one.object_id, one.why) for one in found.left_out] == [
        ("1", "Too few impressions to rank: 10 of at least 1,000.")
    ]
    assert (found.least, found.least_of, found.of) == (D(1000), "impressions", 2)
    assert [one.share for one in found.entries] == [D(50), D(49)]


def test_best_is_what_is_welcome_and_worst_the_other_end(ad_account):
    store(ad_account, ad1=(2000, 50, "100", 10), ad2=(2000, 50, "200", 10), ad3=(2000, 50, "300", 0))
    assert [one.object_id for one in ask(ad_account, "cpa").entries] == ["1", "2"]
    assert [one.object_id for one in ask(ad_account, "cpa", order="worst").entries] == ["2", "1"]
    spent = ask(ad_account, "cpa").left_out[0]
    assert (spent.object_id, spent.spend) == ("3", D(300)) and "0 of at least 5" in spent.why
    # Spend has no welcome direction: the highest comes first.
    assert [one.object_id for one in ask(ad_account, "spend").entries] == ["3", "2", "1"]


def test_equal_values_share_a_rank_the_larger_spend_first_and_the_cut_says_how_many_more(ad_account):
    store(
        ad_account,
        ad1=(2000, 10, "1", 3), ad2=(2000, 10, "5", 3), ad3=(2000, 10, "3", 7), ad4=(2000, 10, "2", 3),
        ad5=(2000, 10, "2", 1),
    )  # fmt: skip
    found = ask(ad_account, "conversions", most=3)
    assert [(one.rank, one.object_id, one.tied) for one in found.entries] == [
        (1, "3", False),
        (2, "2", True),
        (2, "4", True),
    ]
    assert (found.of, found.beyond) == (5, 1)
    assert [one.rank for one in ask(ad_account, "conversions").entries] == [1, 2, 2, 2, 5]


def test_a_zero_is_ranked_and_an_absent_object_is_not(ad_account):
    store(ad_account, ad1=(2000, 0, "5", 0), ad2=(2000, 4, "5", 0))
    assert [(one.object_id, one.value) for one in ask(ad_account, "ctr", order="worst").entries] == [
        ("1", D(0)),
        ("2", D("0.2")),
    ]
    assert {one.object_id for one in ask(ad_account, "conversions").entries} == {"1", "2"}


def test_a_ratio_over_money_needs_a_share_of_it(ad_account):
    store(ad_account, ad1=(2000, 9, "0.50", 9), ad2=(2000, 9, "99.50", 9))
    found = ask(ad_account, "roas")
    assert [one.object_id for one in found.left_out] == ["1"]
    assert found.left_out[0].why == "Too little spend to rank: 0.5 of at least 1."


def test_nothing_spent_gives_no_share_and_nothing_read_no_ranking(ad_account):
    assert ask(ad_account, "ctr").entries == ()
    store(ad_account, ad1=(2000, 9, "0", 0))
    assert [one.share for one in ask(ad_account, "ctr").entries] == [None]


def test_the_path_names_the_objects_and_refuses_what_it_cannot_rank(synced, client):
    path = f"/api/meta/ranking/{synced.ad_account.act_id}"

    def asks(status=200, who="bob", **query):
        client.force_login(getattr(synced.users, who))
        answer = client.get(path, query)
        assert answer.status_code == status, answer.content
        return json.loads(answer.content, parse_float=D)

    for level in ("campaign", "adset", "ad"):
        body = asks(level=level, metric="cpc", date_preset="last_28d")
        assert body["entries"] and all(one["name"] for one in body["entries"])
        values = [one["value"] for one in body["entries"]]
        assert values == sorted(values)
    shares = asks(level="campaign", metric="spend", date_preset="last_28d")["entries"]
    assert sum(D(one["spend_share_percent"]) for one in shares) == pytest.approx(D(100), abs=D("0.001"))
    asks(400, metric="ctr,cpc")
    asks(400, metric="nonsense")
    asks(400, limit="51")
    asks(403, who="vic", metric="profit")
    asks(404, who="charlie")
