"""The command that compares kept sums with their rows: equal after a sync, and it names what somebody broke."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from insights.models import AccountDay, AccountHour, AdSetMonth, CampaignDay, CampaignWeek, WindowSum

pytestmark = pytest.mark.django_db


def test_after_a_sync_all_sums_are_equal(synced):
    said = StringIO()
    call_command("checksum", stdout=said)
    assert f"{synced.ad_account.act_id}  equal" in said.getvalue()
    assert WindowSum.objects.of(synced.ad_account).exists()


@pytest.mark.parametrize("model", [AccountDay, AccountHour, CampaignWeek, WindowSum])
@pytest.mark.parametrize("how", ["changed", "missing"])
def test_a_sum_that_somebody_broke_is_named_with_advice(synced, model, how):
    one = model.objects.of(synced.ad_account).filter(impressions__gt=0).first()
    row = model.everything.filter(pk=one.pk)
    if how == "changed":
        row.update(impressions=one.impressions + 1)
    else:
        row.delete()
    said = StringIO()
    with pytest.raises(CommandError, match="Stop automation"):
        call_command("checksum", ad_account=synced.ad_account.act_id, stdout=said)
    # A changed row differs on both sides, a missing one only among the facts.
    count = 2 if how == "changed" else 1
    assert f"{model._meta.db_table}: {count} rows differ" in said.getvalue()


def test_days_of_an_ad_set_or_a_campaign_that_somebody_broke_are_named(synced):
    month = AdSetMonth.objects.of(synced.ad_account).first()
    AdSetMonth.everything.filter(pk=month.pk).update(days=month.days ^ 1)
    CampaignDay.objects.of(synced.ad_account).filter(impressions__gt=0)[:1].get().delete()
    said = StringIO()
    with pytest.raises(CommandError, match="Stop automation"):
        call_command("checksum", ad_account=synced.ad_account.act_id, stdout=said)
    assert "insights_adsetmonth: 2 rows differ" in said.getvalue()
    assert "insights_campaignday: 1 rows differ" in said.getvalue()


def test_an_unknown_account_is_refused(synced):
    with pytest.raises(CommandError, match="There is no ad account act_5"):
        call_command("checksum", ad_account="act_5")
