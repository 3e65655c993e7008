"""Benchmarks: against the account's own past where there is enough of it, and against others without naming any."""

import itertools
import json
from datetime import timedelta
from decimal import Decimal as D

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.access import principal_of
from accounts.models import AdAccount, Client, Membership, Role, User
from campaigns.models import AdSet, Campaign
from insights.benchmarks import NAMES, benchmarks
from insights.models import DayRow, Slice
from insights.results import MIXED
from insights.spread import blurred, quartiles, standing
from insights.store.write import Read, upsert
from insights.windows import DAY
from tests.insights.conftest import NOW, TODAY, row

pytestmark = pytest.mark.django_db
LEVELS = ("ad", "campaign", "account")
_numbers = itertools.count(500)


def account_of(
    client, *, clicks, currency="USD", objective="OUTCOME_SALES", days=40, bought=2, event="PURCHASE"
):
    """An ad account of 40 days: 1,000 impressions a day, so many clicks, 10 spent, `bought` purchases."""
    number = str(next(_numbers))
    account = AdAccount.everything.create(
        client=client, meta_id=number, name=f"Shop {number}", currency=currency,
        timezone_name="America/New_York", enabled_at=NOW,
    )  # fmt: skip
    Campaign.everything.create(
        client=client, ad_account=account, meta_id=f"10{number}", name="Sales", objective=objective,
        status="ACTIVE", effective_status="ACTIVE", seen_at=NOW,
    )  # fmt: skip
    campaign = Campaign.everything.get(ad_account=account)
    AdSet.everything.create(
        client=client, ad_account=account, campaign=campaign, meta_id=f"20{number}", name="Set", status="ACTIVE",
        effective_status="ACTIVE", seen_at=NOW, optimization_goal="OFFSITE_CONVERSIONS", conversion_event=event,
    )  # fmt: skip
    campaign = campaign.meta_id
    ads = [
        row(
            day=TODAY - DAY * age, campaign_id=campaign, adset_id=f"20{number}", impressions=1000, clicks=clicks,
            spend="10.00", actions=[{"action_type": "omni_purchase", "value": str(bought)}],
        )
        for age in range(1, days + 1)
    ]  # fmt: skip
    reads = [Read("day", level, TODAY - DAY * age) for age in range(1, days + 1) for level in LEVELS]
    upsert(ad_account=account, rows=ads, slices=reads, now=NOW)
    return account


def client_named(name):
    return Client.objects.create(name=name, slug=name.lower(), result_action="omni_purchase")


@pytest.fixture
def mine(agency):
    return account_of(agency.northwind, clicks=20)


@pytest.fixture
def others():
    """Six accounts of three other clients, with CTRs of 1.1, 1.3, 1.7, 2.3, 3.1 and 4.7 percent."""
    clients = [client_named(f"Client{n}") for n in range(3)]
    return [account_of(clients[n % 3], clicks=clicks) for n, clicks in enumerate((11, 13, 17, 23, 31, 47))]


def ask(account, who, **more):
    return benchmarks(account, who=who, now=NOW, **more)


def test_other_accounts_are_shown_as_a_middle_half_that_is_nobody_s_number(agency, mine, others):
    found = ask(mine, agency.principals.bob).portfolio["ctr"]
    assert (found.value, found.at_least, found.why) == (D(2), 5, "")
    assert found.low < found.median < found.high and found.place == "within"
    own = {D(one) / 10 for one in (11, 13, 17, 23, 31, 47)}
    assert not own & {found.low, found.median, found.high}
    for one in (found.low, found.median, found.high):
        assert len(one.as_tuple().digits) <= 2


@pytest.mark.parametrize("gone", [1, 2])
def test_a_group_that_is_too_small_is_not_shown_at_all(agency, mine, others, gone):
    """Four accounts, or two clients: nothing is told, in either number."""
    if gone == 1:
        AdAccount.everything.filter(pk__in=[one.pk for one in others[:2]]).update(archived_at=NOW)
    else:
        AdAccount.everything.filter(pk__in=[others[0].pk, others[3].pk]).update(client=others[1].client)
    for one in ask(mine, agency.principals.bob).portfolio.values():
        assert (one.low, one.median, one.high, one.at_least, one.place) == (None, None, None, 0, "")
    assert "give somebody's numbers away" in ask(mine, agency.principals.bob).portfolio["ctr"].why


def test_one_client_may_not_be_most_of_the_group(agency, mine, others):
    big = others[0].client
    for _ in range(3):
        account_of(big, clicks=12)
    assert ask(mine, agency.principals.bob).portfolio["ctr"].at_least == 0


def test_what_the_viewer_sees_is_not_in_the_group_so_it_cannot_be_taken_away_from_it(agency, mine, others):
    """Whoever reads several clients would know all but a few: the few are not told."""
    user = User.objects.create_user("many@example.com", "correct horse battery", name="Many")
    for client in (agency.northwind, others[0].client):
        Membership.objects.create(user=user, client=client, role=Role.ANALYST)
    assert ask(mine, principal_of(user)).portfolio["ctr"].at_least == 0
    # With more clients of others the rest is large enough, and it is the same from both of their accounts.
    for name in ("More1", "More2"):
        account_of(client_named(name), clicks=29)
    cache.clear()
    from_mine = ask(mine, principal_of(user)).portfolio["ctr"]
    from_theirs = ask(others[0], principal_of(user)).portfolio["ctr"]
    assert from_mine.at_least == 5
    assert (from_mine.low, from_mine.median, from_mine.high) == (
        from_theirs.low, from_theirs.median, from_theirs.high,
    )  # fmt: skip


def test_own_accounts_of_the_client_never_move_what_is_told_of_others(agency, mine, others):
    before = ask(mine, agency.principals.bob).portfolio["ctr"]
    account_of(agency.northwind, clicks=900)
    cache.clear()
    assert ask(mine, agency.principals.bob).portfolio["ctr"] == before


def test_an_owner_who_reads_every_client_is_told_of_all_the_others(agency, mine, others):
    assert ask(mine, agency.principals.alice).portfolio["ctr"].at_least == 5


def test_money_is_compared_within_a_currency_and_results_of_one_kind(agency, mine, others):
    AdAccount.everything.filter(pk__in=[one.pk for one in others[:2]]).update(currency="JPY")
    cache.clear()
    found = ask(mine, agency.principals.bob).portfolio
    assert found["ctr"].at_least == 5 and found["cpc"].at_least == 0
    assert "currency" in found["cpc"].why
    assert found["conversion_rate"].at_least == 5
    Client.objects.filter(pk=others[2].client_id).update(result_action="lead")
    cache.clear()
    found = ask(mine, agency.principals.bob).portfolio
    assert (found["conversion_rate"].at_least, found["ctr"].at_least) == (0, 5)


def test_clients_that_name_no_result_are_compared_by_what_their_ad_sets_are_optimised_for(
    agency, mine, others
):
    """The default: nobody says what counts, so what is bought counts where purchases are what is optimised for."""
    named = ask(mine, agency.principals.bob).portfolio
    Client.objects.update(result_action="")
    cache.clear()
    found = ask(mine, agency.principals.bob).portfolio
    for name in ("cpa", "conversion_rate"):
        assert found[name] == named[name] and (found[name].at_least, found[name].why) == (5, "")
    # One client says purchases itself: the same thing. Two accounts are after leads: another.
    Client.objects.filter(pk=others[0].client_id).update(result_action="omni_purchase")
    cache.clear()
    assert ask(mine, agency.principals.bob).portfolio["cpa"] == named["cpa"]
    AdSet.everything.filter(ad_account__in=others[1:3]).update(conversion_event="LEAD")
    cache.clear()
    found = ask(mine, agency.principals.bob).portfolio
    assert (found["cpa"].at_least, found["ctr"].at_least) == (0, 5) and "give somebody's" in found["cpa"].why


def test_an_account_of_several_results_is_told_that_and_counts_in_no_group(agency, mine, others):
    Client.objects.update(result_action="")
    mine.client.refresh_from_db()
    second = AdSet.everything.get(ad_account=mine)
    second.pk, second.meta_id, second.conversion_event = None, "209", "LEAD"
    second.save()
    campaign = Campaign.everything.get(ad_account=mine).meta_id
    rows = [
        row(object_id="99", day=TODAY - DAY * age, campaign_id=campaign, adset_id="209", spend="1.00")
        for age in (9, 44)
    ]
    upsert(ad_account=mine, rows=rows, slices=[], now=NOW)
    found = ask(mine, agency.principals.bob).portfolio
    assert (found["cpa"].why, found["cpa"].value, found["ctr"].at_least) == (MIXED, None, 5)
    # It ran before these weeks, not in them: what is compared has one result.
    rows = [
        row(
            object_id="98",
            day=TODAY - DAY * 9,
            campaign_id=campaign,
            adset_id=f"20{mine.meta_id}",
            spend="1.00",
        )
    ]
    DayRow.objects.of(mine).filter(object_id="99", day=TODAY - DAY * 9).delete()
    upsert(ad_account=mine, rows=rows, slices=[], now=NOW + timedelta(minutes=1))
    cache.clear()
    assert ask(mine, agency.principals.bob).portfolio["cpa"].at_least == 5
    # Of days that were not read nothing is known, the result neither.
    Slice.objects.of(mine).filter(day=TODAY - DAY * 9).update(complete=False)
    cache.clear()
    assert ask(mine, agency.principals.bob).portfolio["cpa"].why == "Not all days of these weeks were read."


def test_another_objective_and_too_little_volume_are_other_groups(agency, mine, others):
    Campaign.everything.filter(ad_account__in=others[:2]).update(objective="OUTCOME_AWARENESS")
    assert ask(mine, agency.principals.bob).portfolio["ctr"].at_least == 0
    lone = account_of(agency.northwind, clicks=20, objective="OUTCOME_LEADS")
    assert ask(lone, agency.principals.bob).objective == "OUTCOME_LEADS"


def test_an_account_that_was_not_read_whole_is_not_in_the_group(agency, mine, others):
    for one, left in ((others[0], 5), (others[1], 0)):
        Slice.everything.filter(ad_account_id=one.pk, day=TODAY - DAY * 9).update(complete=False)
        cache.clear()
        assert ask(mine, agency.principals.bob).portfolio["ctr"].at_least == left


def test_a_repeat_reads_no_fact_of_anybody(agency, mine, others):
    first = ask(mine, agency.principals.bob)
    with CaptureQueriesContext(connection) as seen:
        assert ask(mine, agency.principals.bob) == first
    facts = ("campaignday", "accountday", "dayrow", "periodreach")
    assert not [one["sql"] for one in seen if any(name in one["sql"] for name in facts)]


def test_the_own_past_places_the_last_days_among_earlier_windows(agency):
    account = account_of(agency.northwind, clicks=20, days=7 * 8 + 3)
    upsert(
        ad_account=account,
        rows=[
            row(day=TODAY - DAY * age, campaign_id="10", impressions=1000, clicks=30, spend="10.00")
            for age in range(1, 8)
        ],
        slices=[Read("day", level, TODAY - DAY * age) for age in range(1, 8) for level in LEVELS],
        now=NOW,
    )
    own = ask(account, agency.principals.bob, days=7).own
    assert (own["ctr"].value, own["ctr"].percentile, own["ctr"].windows) == (D(3), D(100), 7)
    assert float(own["ctr"].median) == pytest.approx(2)
    assert own["cpa"].percentile is None and own["cpa"].why.startswith("Not comparable yet")
    few = ask(account, agency.principals.bob, days=28).own["ctr"]
    assert few.percentile is None and few.why == "1 earlier window of 28 days with a value; 6 are needed."
    assert (few.low, few.median, few.high) == (None, None, None)


def test_quartiles_weigh_all_values_and_standing_counts_ties_half():
    assert [float(one) for one in quartiles([D(3)] * 5)] == pytest.approx([3.0, 3.0, 3.0])
    low, middle, high = quartiles([D(n) for n in range(1, 101)])
    assert float(low) == pytest.approx(25.5, abs=0.6) and float(middle) == pytest.approx(50.5, abs=0.1)
    assert float(high) == pytest.approx(75.5, abs=0.6)
    assert [blurred(D(one)) for one in ("0", "1.2345", "0.0996", "1234", "99.9")] == [
        D(0), D("1.2"), D("0.10"), D("1200"), D("100"),
    ]  # fmt: skip
    assert standing(D(2), [D(1), D(2), D(3), D(4)]) == D("37.5")


def test_the_path_answers_for_ones_own_and_names_no_other_client(agency, mine, others, client):
    def asks(who, status=200, **query):
        client.force_login(getattr(agency.users, who))
        answer = client.get(f"/api/meta/benchmark/{mine.act_id}", query)
        assert answer.status_code == status, answer.content
        return answer.content.decode()

    from metaads.clock import using

    with using(lambda: NOW):
        for who in ("alice", "bob", "vic"):
            body = asks(who)
            for other in others:
                assert other.meta_id not in body and other.client.name not in body
            assert set(json.loads(body)["portfolio"]) == set(NAMES)
        asks("charlie", 404)
        asks("bob", 400, days="3")
