"""`manage.py sync`: rows, requests and seconds; exit 0 only when all of it was read; the next run goes on."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

pytestmark = pytest.mark.django_db


def sync(account, *more):
    out = StringIO()
    call_command("sync", "--ad-account", account, *more, stdout=out)
    return out.getvalue()


def test_it_fetches_everything_and_says_what_it_cost(connected, clock):
    told = json.loads(sync(connected.ad_account.act_id, "--days", "14", "--json"))
    assert told["complete"]
    assert (told["structure"], told["insights"], told["days"]) == ("complete", "done", 14)
    assert told["rows"] > 14 * 4
    assert 0 < told["requests"] < 40
    assert told["stored"]["day_rows"] > 14 * 4


def test_people_read_progress_and_a_last_line(connected, clock):
    lines = sync(connected.ad_account.meta_id, "--days", "3").splitlines()
    assert any("0 of 3 days read" in line for line in lines)
    assert lines[-1].startswith(f"{connected.ad_account.act_id}: ")


def test_a_throttled_sync_is_no_success_and_the_next_one_finishes(connected, sandbox, clock):
    sandbox.faults.arm("throttle", match={"edge": "insights"}, times=1, at=0.0)
    with pytest.raises(CommandError, match="Not complete"):
        sync(connected.ad_account.act_id, "--days", "3")
    clock.advance(1800)
    assert json.loads(sync(connected.ad_account.act_id, "--days", "3", "--json"))["complete"]


@pytest.mark.parametrize("days", ["0", "5000"])
def test_a_wrong_number_of_days_is_said(connected, days):
    with pytest.raises(CommandError, match="--days takes"):
        sync(connected.ad_account.act_id, "--days", days)


def test_an_unknown_account_is_said_with_those_there_are(connected):
    with pytest.raises(CommandError, match=connected.ad_account.act_id):
        sync("act_404")


def test_a_revoked_connection_is_said_with_what_to_do(connected):
    from accounts.models import MetaConnection

    MetaConnection.objects.of(connected.northwind).update(state="revoked")
    with pytest.raises(CommandError, match="revoked"):
        sync(connected.ad_account.act_id)
