"""Walk A: from the button to a first sync, through Meta's dialog, and nothing stored before a person confirms."""

from __future__ import annotations

import pytest
from allauth.socialaccount.models import SocialAccount, SocialToken
from django.db import connection
from django.test import Client as Browser

from accounts.models import AdAccount, MetaConnection, PendingGrant
from campaigns.models import Campaign
from insights.analytics import account_today, totals
from tests.conftest import PASSWORD
from tests.walks.dance import at_meta, begin, come_back


@pytest.fixture
def alice(agency):
    browser = Browser()
    assert browser.login(email="alice@example.com", password=PASSWORD)
    return browser


def tables_hold(text: str) -> list[str]:
    """Names of the tables in which any column holds `text` as plain text."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            if any(
                text in str(bytes(cell) if isinstance(cell, memoryview) else cell)
                for row in cursor.fetchall()
                for cell in row
            ):
                found.append(table)
    return found


def test_alice_connects_northwind_and_its_numbers_arrive(
    alice, agency, sandbox, clock, django_capture_on_commit_callbacks
):
    dialog = begin(alice, client="northwind")
    assert "/dialog/oauth?" in dialog and "ads_management" in dialog
    confirm = come_back(alice, at_meta(sandbox, dialog))
    grant = PendingGrant.objects.of(agency.northwind).get()
    assert not MetaConnection.objects.of(agency.northwind).exists()
    assert not SocialAccount.objects.exists() and not SocialToken.objects.exists()
    assert tables_hold(grant.token) == []

    page = alice.get(confirm).content.decode()
    assert "Northwind" in page and grant.meta_user_id in page and grant.token not in page
    account = sandbox.ad_accounts()[0]
    assert account in page

    with django_capture_on_commit_callbacks(execute=True):
        done = alice.post(confirm, {"enable": [account]})
    assert done.status_code == 302 and done["Location"] == "/c/northwind/"
    made = MetaConnection.objects.of(agency.northwind).get()
    assert made.state == "connected" and "ads_management" in made.scopes
    assert tables_hold(made.token) == []
    assert [grant.token for grant in PendingGrant.objects.of(agency.northwind)] == [""]

    stored = AdAccount.objects.of(agency.northwind).get(meta_id=account.removeprefix("act_"))
    assert stored.enabled
    assert not AdAccount.objects.of(agency.southwind).exists()


def test_the_first_sync_follows_an_enabled_account(connected, clock):
    from insights.tasks import first_sync_account

    first_sync_account(connected.ad_account.pk)
    assert Campaign.objects.of(connected.northwind).count() >= 2
    today = account_today(connected.ad_account, clock.now())
    seven = totals(
        connected.ad_account, since=today.replace(day=1), until=today, metrics=["spend"], now=clock.now()
    )
    assert seven.values["spend"] and seven.values["spend"] > 0


def test_a_confirmation_cannot_be_used_twice_or_by_another_person(alice, agency, sandbox):
    confirm = come_back(alice, at_meta(sandbox, begin(alice, client="northwind")))
    charlie = Browser()
    assert charlie.login(email="charlie@example.com", password=PASSWORD)
    assert charlie.get(confirm).status_code == 404
    assert charlie.post(confirm, {"enable": sandbox.ad_accounts()}).status_code == 404
    assert alice.post(confirm, {"enable": []}).status_code == 302
    assert alice.post(confirm, {"enable": []}).headers["Location"] == "/c/northwind/"
    assert MetaConnection.objects.of(agency.northwind).count() == 1


def test_a_person_who_cancels_at_meta_reads_why_and_nothing_is_stored(alice, agency, sandbox):
    answer = alice.get(at_meta(sandbox, begin(alice, client="northwind"), decision="cancel"))
    assert answer.status_code == 403
    assert "Permission was not given" in answer.content.decode()
    assert not PendingGrant.objects.of(agency.northwind).exists()


def test_a_state_of_another_session_is_refused(alice, agency, sandbox):
    path = at_meta(sandbox, begin(alice, client="northwind"))
    other = Browser()
    assert other.login(email="alice@example.com", password=PASSWORD)
    answer = other.get(path)
    assert answer.status_code == 403 and "begun elsewhere" in answer.content.decode()
    assert not PendingGrant.objects.of(agency.northwind).exists()


def test_without_ads_management_the_connection_reads_and_never_writes(alice, agency, sandbox, clock):
    from accounts.errors import NoConnection
    from accounts.tokens import reader, write_token

    path = at_meta(sandbox, begin(alice, client="northwind"), without="ads_management")
    confirm = come_back(alice, path)
    assert "read-only" in alice.get(confirm).content.decode()
    alice.post(confirm, {"enable": sandbox.ad_accounts()})
    account = AdAccount.objects.of(agency.northwind).select_related("client").first()
    assert reader(account).node(account.act_id, ["name"])["name"]
    with pytest.raises(NoConnection, match="read-only"):
        write_token(account)
