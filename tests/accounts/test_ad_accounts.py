"""Ad accounts: all that the token sees, each status in words, put away and taken back, incidents of their status."""

from decimal import Decimal

import pytest

from accounts import access, ad_accounts, alerts, connections, outbox, sentinel, tokens
from accounts.errors import Conflict, Forbidden, NoConnection
from accounts.models import AdAccount, Alert, AuditLine
from campaigns.models import Campaign
from campaigns.sync import run
from campaigns.tasks import sync_structure
from insights.poll import tick
from metaads.gateway import plugged
from metaads.sandbox.app import Sandbox
from tests.door import WSGIAdapter


@pytest.fixture
def many(agency, clock):
    box = Sandbox(world="many", seed=1, clock=clock)
    adapter = WSGIAdapter(box)
    with plugged(adapter):
        yield box, adapter


def edit(sandbox, account, field, value):
    sandbox.control.handle("POST", "edit", {"object_id": account.act_id, "field": field, "value": value})


def tended(clock):
    sentinel.reconcile(now=clock.now())


def incident(account):
    return Alert.everything.filter(key=f"account-status:{account.act_id}").order_by("-pk").first()


# --- discover


def test_every_page_of_ad_accounts_is_read(many, agency, clock):
    box, adapter = many
    alice = agency.principals.alice
    connections.connect(client=agency.northwind, principal=alice, token=box.token("alice"), now=clock.now())
    assert AdAccount.everything.count() == 230
    assert {row.act_id for row in access.ad_accounts(alice)} == set(box.ad_accounts())
    before = sum("/me/adaccounts" in request.url for request in adapter.requests)
    found = ad_accounts.discover(client=agency.northwind, principal=alice, now=clock.now())
    assert len(found) == 230
    assert sum("/me/adaccounts" in request.url for request in adapter.requests) - before == 3
    assert not any(row.enabled for row in found)


def test_each_status_of_meta_has_words(many, agency, clock):
    box, _ = many
    connections.connect(
        client=agency.northwind, principal=agency.principals.alice, token=box.token("alice"), now=clock.now()
    )
    rows = AdAccount.everything.order_by("meta_id")[:10]
    assert [ad_accounts.standing(row.account_status, row.disable_reason) for row in rows] == [
        "Active",
        "Disabled (payment risk)",
        "Unsettled",
        "Pending risk review",
        "Pending settlement",
        "In grace period",
        "Pending closure",
        "Closed",
        "Any active",
        "Any closed",
    ]
    assert [ad_accounts.tone(row.account_status) for row in rows][:3] == ["ok", "bad", "warn"]


def test_numbers_that_meta_invents_later_are_named_and_not_guessed():
    assert ad_accounts.standing(555, 77) == "Status 555 (reason 77)"
    assert ad_accounts.tone(555) == "warn"
    assert all(ad_accounts.status_advice(code) for code in (*ad_accounts.STATUS, 555))


def test_the_api_looks_for_ad_accounts_again(client, connected, sandbox):
    client.force_login(connected.users.alice)
    AdAccount.everything.update(name="Old name")
    answer = client.post("/api/meta/ad-accounts/discover?client=northwind")
    assert answer.status_code == 200
    assert [row["name"] for row in answer.json()["ad_accounts"]] == ["Tiny Teapots"]


# --- archive


def test_an_archived_account_leaves_the_lists_and_keeps_its_history(client, synced, clock):
    account, alice = synced.ad_account, synced.principals.alice
    client.force_login(synced.users.alice)
    rows = client.get(f"/api/meta/insights/{account.act_id}").json()
    ledger = client.get(f"/api/changes?account={account.act_id}").json()
    client.post(f"/api/meta/ad-accounts/{account.act_id}/archive")
    account.refresh_from_db()
    assert (account.enabled, account.archived_at) == (False, clock.now())
    assert access.ad_accounts(alice) == []
    assert [row.act_id for row in ad_accounts.archived(alice)] == [account.act_id]
    assert client.get("/api/meta/ad-accounts").json()["ad_accounts"] == []
    listed = client.get("/api/meta/ad-accounts?archived=true").json()["ad_accounts"]
    assert [(row["id"], row["archived"], row["enabled"]) for row in listed] == [(account.act_id, True, False)]
    after = client.get(f"/api/meta/insights/{account.act_id}").json()
    assert after["insights"] == rows["insights"] and rows["insights"]
    assert client.get(f"/api/changes?account={account.act_id}").json() == ledger
    page = client.get(f"/a/{account.act_id}/")
    assert page.status_code == 200 and b"archived" in page.content


def test_nothing_is_read_or_changed_in_an_archived_account(client, synced, sandbox, clock):
    account, alice = synced.ad_account, synced.principals.alice
    ad_accounts.archive(ad_account=account, principal=alice, now=clock.now())
    calls = len(sandbox.history)
    clock.advance(3600)
    assert tick(now=clock.now()) == 0
    sync_structure(account.pk)
    assert len(sandbox.history) == calls
    account.refresh_from_db()
    with pytest.raises(NoConnection, match="switched off"):
        tokens.write_token(account)
    client.force_login(synced.users.bob)
    campaign = Campaign.everything.filter(ad_account=account).first()
    answer = client.post(
        f"/api/meta/campaigns/{campaign.meta_id}/status",
        {"status": "PAUSED", "reason": "sold out"},
        content_type="application/json",
    )
    assert answer.status_code in (409, 422), answer.content


def test_a_restored_account_is_back_and_off_until_it_is_switched_on(client, connected):
    account = connected.ad_account
    client.force_login(connected.users.alice)
    for verb, enabled, archived in [
        ("archive", False, True),
        ("archive", False, True),
        ("restore", False, False),
        ("restore", False, False),
        ("enable", True, False),
        ("restore", True, False),
    ]:
        body = client.post(f"/api/meta/ad-accounts/{account.act_id}/{verb}").json()
        assert (body["enabled"], body["archived"]) == (enabled, archived), verb
    verbs = AuditLine.everything.filter(subject=account.act_id).order_by("pk").values_list("verb", flat=True)
    assert list(verbs) == [
        "enable_ad_account",
        "archive_ad_account",
        "restore_ad_account",
        "enable_ad_account",
    ]


def test_an_archived_account_is_not_switched_on_by_accident(connected, clock):
    account, alice = connected.ad_account, connected.principals.alice
    ad_accounts.archive(ad_account=account, principal=alice, now=clock.now())
    with pytest.raises(Conflict, match="Restore it first"):
        ad_accounts.enable(ad_account=account, principal=alice, now=clock.now())
    stale = AdAccount.everything.get(pk=account.pk)
    stale.archived_at = None  # as another process had loaded it
    ad_accounts.enable(ad_account=stale, principal=alice, now=clock.now())
    assert not AdAccount.everything.get(pk=account.pk).enabled


def test_a_new_look_at_meta_does_not_take_an_account_back(connected, clock):
    account, alice = connected.ad_account, connected.principals.alice
    ad_accounts.archive(ad_account=account, principal=alice, now=clock.now())
    ad_accounts.discover(client=connected.northwind, principal=alice, now=clock.now())
    account.refresh_from_db()
    assert account.archived_at is not None and account.enabled_at is None


@pytest.mark.parametrize("who", ["bob", "vera", "vic", "ivan"])
def test_only_those_who_may_connect_put_accounts_away(connected, clock, who):
    for act in (ad_accounts.archive, ad_accounts.restore):
        with pytest.raises(Forbidden):
            act(
                ad_account=connected.ad_account, principal=getattr(connected.principals, who), now=clock.now()
            )


# --- status changes


def test_a_change_of_status_is_an_incident_that_says_what_from_what_and_when(connected, sandbox, clock):
    account = connected.ad_account
    clock.advance(600)
    edit(sandbox, account, "disable_reason", 3)
    edit(sandbox, account, "account_status", 2)
    run(ad_account=account, now=clock.now())
    tended(clock)
    alert = incident(account)
    assert alert.title == "Tiny Teapots is not active at Meta: disabled (payment risk)"
    assert alert.advice.startswith("It was active until 18 Nov 2026 15:10 UTC. Its ads do not run.")
    assert (alert.severity, alert.state, alert.closed_at) == ("critical", "firing", None)
    line = AuditLine.everything.get(verb="ad_account_status")
    assert (line.subject, line.at, line.actor_kind) == (account.act_id, clock.now(), "system")
    assert (line.detail["before"], line.detail["after"]) == ([1, 0], [2, 3])


def test_the_incident_follows_the_status_and_closes_on_recovery(client, connected, sandbox, clock):
    account = connected.ad_account
    for status, words in [(9, "in grace period"), (3, "unsettled")]:
        clock.advance(600)
        edit(sandbox, account, "account_status", status)
        run(ad_account=account, now=clock.now())
        tended(clock)
        assert incident(account).title.endswith(words)
    assert "It was in grace period until 18 Nov 2026 15:20 UTC." in incident(account).advice
    assert Alert.everything.filter(key=f"account-status:{account.act_id}").count() == 1
    clock.advance(600)
    edit(sandbox, account, "account_status", 1)
    run(ad_account=account, now=clock.now())
    tended(clock)
    assert incident(account).closed_at == clock.now()
    assert AuditLine.everything.filter(verb="ad_account_status").count() == 3
    client.force_login(connected.users.vic)
    page = client.get("/alerts/").content.decode()
    assert "Tiny Teapots is not active at Meta: unsettled" in page  # among those that have gone


def test_each_new_status_is_mailed_once(connected, sandbox, clock, mailoutbox):
    for status in (9, 9, 3, 3):
        clock.advance(600)
        edit(sandbox, connected.ad_account, "account_status", status)
        run(ad_account=connected.ad_account, now=clock.now())
        tended(clock)
        outbox.deliver(now=clock.now())
    told = [mail.subject for mail in mailoutbox if "bob@example.com" in mail.to]
    assert len(told) == 2
    assert told[0].endswith("not active at Meta: in grace period")
    assert told[1].endswith("not active at Meta: unsettled")


def test_an_unchanged_status_writes_no_line(connected, clock):
    for _ in range(3):
        clock.advance(900)
        run(ad_account=connected.ad_account, now=clock.now())
    assert not AuditLine.everything.filter(verb="ad_account_status").exists()


def test_two_reads_at_once_note_one_change(connected, clock):
    first, second = (AdAccount.everything.get(pk=connected.ad_account.pk) for _ in range(2))
    row = {"account_id": first.meta_id, "account_status": 3}
    for one in (first, second):
        ad_accounts.refresh_from(ad_account=one, row=row, now=clock.now())
    assert AuditLine.everything.filter(verb="ad_account_status").count() == 1


def test_connecting_again_notes_a_change_as_well(connected, sandbox, clock):
    edit(sandbox, connected.ad_account, "account_status", 7)
    ad_accounts.discover(client=connected.northwind, principal=connected.principals.alice, now=clock.now())
    assert AuditLine.everything.get(verb="ad_account_status").detail["after"] == [7, 0]


def test_archiving_closes_the_accounts_incidents_and_they_stay_closed(connected, sandbox, clock):
    account, alice = connected.ad_account, connected.principals.alice
    AdAccount.everything.update(account_status=2)
    clock.advance(7 * 3600)
    tended(clock)
    assert len(alerts.open_alerts(alice)) == 2  # status and silence
    stale = AdAccount.everything.select_related("client").get(pk=account.pk)
    ad_accounts.archive(ad_account=account, principal=alice, now=clock.now())
    assert alerts.open_alerts(alice) == []
    sentinel._status(stale, clock.now())  # a round that had loaded the account before
    assert len(alerts.open_alerts(alice)) == 1
    tended(clock)
    assert alerts.open_alerts(alice) == []


def test_money_and_tasks_are_told_by_the_api(client, connected, sandbox):
    edit(sandbox, connected.ad_account, "spend_cap", 250_000)
    client.force_login(connected.users.alice)
    row = client.post("/api/meta/ad-accounts/discover?client=northwind").json()["ad_accounts"][0]
    assert Decimal(str(row["spend_cap"])) == Decimal(2500)
    assert "MANAGE" in row["user_tasks"]
