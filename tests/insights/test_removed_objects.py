"""What was deleted or archived still counts for the days it delivered on: parts add up to the whole, or it is said."""

import pytest

from insights.analytics import account_today, table, totals
from insights.fetch import first_sync
from insights.models import DayRow, Slice
from insights.windows import last

pytestmark = pytest.mark.django_db


def edit(sandbox, meta_id, word):
    sandbox.control.handle(
        "POST",
        "edit",
        {"object_id": meta_id, "field": "status", "value": word, "actor": "Hanna Human"},
    )


@pytest.mark.parametrize("word", ["ARCHIVED", "DELETED"])
@pytest.mark.parametrize("level", ["ad", "campaign"])
def test_a_removed_spender_stays_in_the_sum_of_every_level(synced, sandbox, clock, word, level):
    account = synced.ad_account
    period = last(7, account_today(account, clock.now()))
    days = {"day__range": (period.since, period.until)}
    spender = DayRow.objects.of(account).filter(level=level, breakdown="", spend__gt=0, **days).first()
    edit(sandbox, spender.object_id, word)
    clock.advance(60)
    for model in (DayRow, Slice):
        model.objects.of(account).delete()
    assert first_sync(ad_account=account, days=8, now=clock.now(), kind="manual").state == "done"
    asked = {"since": period.since, "until": period.until, "metrics": ["spend"], "now": clock.now()}
    whole = totals(account, **asked)
    assert whole.header.trust.state == "ready"
    for one in ("campaign", "adset", "ad"):
        found = table(account, level=one, **asked)
        assert sum(row.values["spend"] for row in found.rows) == whole.values["spend"], one
    assert DayRow.objects.of(account).filter(level=level, object_id=spender.object_id, **days).exists()
    assert not Slice.objects.of(account).filter(agrees=False).exists()


def test_parts_that_do_not_add_up_say_so_on_their_day(synced, clock, monkeypatch):
    """As if Meta left out what is removed: the status that is asked for does not name it."""
    import insights.questions as questions

    account = synced.ad_account
    period = last(1, account_today(account, clock.now()))
    monkeypatch.setattr(questions, "STATUSES", ("PAUSED",))
    Slice.objects.of(account).filter(day=period.since).delete()
    first_sync(ad_account=account, days=2, now=clock.now(), kind="manual")
    assert Slice.objects.of(account).filter(day=period.since, agrees=False).exists()
    found = totals(account, since=period.since, until=period.until, metrics=["spend"], now=clock.now())
    assert found.header.trust.state == "partial"
    assert "do not add up" in found.header.trust.reasons[0]
