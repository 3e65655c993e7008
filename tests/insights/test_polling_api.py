"""How often an account is looked at is read by all who see it, and set by those who connect."""

import pytest

from accounts.models import AdAccount, AuditLine
from insights.poll import tick
from insights.trust import STOPPED, STOPPED_ALL

pytestmark = pytest.mark.django_db


@pytest.fixture
def ask(client, synced):
    def asking(who, status=200, **body):
        client.force_login(getattr(synced.users, who))
        path = f"/api/meta/polling/{synced.ad_account.act_id}"
        answer = client.post(path, body, content_type="application/json") if body else client.get(path)
        assert answer.status_code == status, answer.content
        return answer.json()

    return asking


def today_s_trust(client, synced):
    return client.get(f"/api/meta/realtime/{synced.ad_account.act_id}").json()["trust"]


def test_stopping_is_said_on_every_number_of_today_at_once_and_starting_mends_it(ask, client, synced, clock):
    tick(now=clock.now())
    assert ask("vic")["looks"] == "running"
    assert today_s_trust(client, synced) == {"state": "ready", "reasons": []}
    stopped = ask("alice", looks="stop")
    assert (stopped["looks"], stopped["next_check_at"]) == ("stopped", None)
    trust = today_s_trust(client, synced)
    assert trust["state"] == "stale" and trust["reasons"][-1] == STOPPED
    page = client.get(f"/a/{synced.ad_account.act_id}/").content.decode()
    assert STOPPED in page and "Start the looks" in page
    assert ask("alice", looks="start")["looks"] == "running"
    clock.advance(31)
    tick(now=clock.now())
    assert today_s_trust(client, synced)["state"] == "ready"


def test_an_installation_that_does_not_poll_says_so_on_every_number_of_today(
    ask, client, synced, clock, settings
):
    tick(now=clock.now())
    ask("vic")
    settings.POLLING = False
    clock.advance(31)
    assert tick(now=clock.now()) == 0
    got = ask("vic")
    assert (got["looks"], got["next_check_at"], got["reason"]) == ("stopped", None, STOPPED_ALL)
    assert today_s_trust(client, synced)["reasons"][-1] == STOPPED_ALL
    settings.POLLING = True
    assert tick(now=clock.now()) == 1
    assert today_s_trust(client, synced)["state"] == "ready"


def test_an_account_has_a_pace_of_its_own_until_it_is_taken_back(ask, synced, agency, clock):
    assert ask("alice", poll_seconds=120)["poll_seconds"] == 120
    tick(now=clock.now())
    got = ask("vic")
    assert (got["own_seconds"], got["next_check_at"]) == (120, "2026-11-18T15:02:00Z")
    clock.advance(100)
    assert tick(now=clock.now()) == 0
    clock.advance(20)
    assert tick(now=clock.now()) == 1
    back = ask("alice", poll_seconds=None)
    assert (back["own_seconds"], back["poll_seconds"]) == (None, 30)
    verbs = AuditLine.objects.of(agency.northwind).values_list("verb", flat=True)
    assert list(verbs).count("set_polling_interval") == 2


@pytest.mark.parametrize("seconds", [29, 5, 0, -30, 86_401])
def test_a_pace_below_30_seconds_is_refused_with_what_to_do(ask, synced, seconds):
    answer = ask("alice", 400, poll_seconds=seconds)
    assert f"not every {seconds}" in str(answer) and "30 to 86400 seconds" in str(answer)
    assert AdAccount.everything.get(pk=synced.ad_account.pk).poll_seconds is None


@pytest.mark.parametrize("body", [{"looks": "pause"}, {"poll_seconds": "soon"}, {"nothing": 1}])
def test_what_is_not_understood_changes_nothing(ask, body):
    ask("alice", 400, **body)
    assert ask("alice")["looks"] == "running"


def test_buyers_and_viewers_read_it_and_do_not_set_it_and_others_do_not_see_it(ask):
    for who in ("bob", "vera", "vic"):
        assert ask(who)["poll_seconds"] == 30
        ask(who, 403, looks="stop")
    ask("charlie", 404)
    ask("charlie", 404, looks="stop")
