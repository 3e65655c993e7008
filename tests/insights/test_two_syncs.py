"""Two syncs of one account at once, for real: threads, and the database as the referee."""

from datetime import timedelta

import pytest

from insights.analytics import account_today, totals
from insights.fetch import first_sync
from insights.models import AccountDay, DayRow, Revision, Slice
from insights.store.rollups import checksum
from insights.store.write import Read, upsert
from insights.windows import DAY
from tests.insights.conftest import NOW, TODAY, row
from tests.racing import at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault("F61")]


def test_of_two_syncs_of_an_account_one_reads_and_the_other_waits(connected, sandbox, clock):
    account, now = connected.ad_account, clock.now()
    runs = at_once(
        lambda: first_sync(ad_account=account, days=2, now=now, kind="manual"),
        lambda: first_sync(ad_account=account, days=2, now=now, kind="manual"),
    )
    assert sorted(run.state for run in runs) == ["done", "waiting"]
    [beside] = [run for run in runs if run.state == "waiting"]
    assert beside.requests == 0 and "Another fetch" in beside.sentence
    today = account_today(account, now)
    found = sandbox.truth.totals(account.act_id, since=today - DAY, until=today, now=now.timestamp())
    got = totals(account, since=today - DAY, until=today, metrics=["spend"], now=now)
    assert got.values["spend"] * 100 == found[account.act_id]["spend"] > 0
    assert not any(checksum(account_id=account.pk).values())


@pytest.mark.parametrize("turn", range(3))
def test_of_two_answers_stored_at_once_the_later_one_stands_as_a_whole(ad_account, turn):
    """Generations of the same slice, each with its own objects: never one's rows under the other's sums."""

    def store(generation):
        moment, spend = NOW + timedelta(minutes=generation), f"{generation + 1}.00"
        rows = [row(object_id=str(30 + generation), spend=spend), row(object_id="40", spend=spend)]
        return upsert(ad_account=ad_account, rows=rows, slices=[Read("day", "ad", TODAY)], now=moment)

    generations = [(turn + step) % 4 for step in range(4)]
    at_once(*[lambda number=number: store(number) for number in generations])
    stored = {one.object_id: one.spend for one in DayRow.objects.of(ad_account).filter(level="ad")}
    assert stored == {"33": 4, "40": 4}
    assert AccountDay.objects.of(ad_account).get().spend == 8
    assert Slice.objects.of(ad_account).get(level="ad").fetched_at == NOW + timedelta(minutes=3)
    assert not any(checksum(account_id=ad_account.pk).values())
    for old in Revision.objects.of(ad_account):
        assert old.known_from < old.known_to
