"""One open alert per trouble, and the watch that opens and closes them."""

from datetime import timedelta

import pytest

from accounts import ad_accounts, alerts, sentinel
from accounts.models import AdAccount, Alert, ConnectionState, MetaConnection
from metaads import notices
from tests.conftest import START

HOUR = timedelta(hours=1)


def titles(agency):
    return {alert.key.split(":")[0]: alert for alert in alerts.open_alerts(agency.principals.alice)}


@pytest.fixture
def account(agency):
    row = MetaConnection.everything.create(
        client=agency.northwind,
        meta_user_id="1",
        meta_user_name="Ann",
        token="t",
        connected_at=START,
        checked_at=START,
    )
    return AdAccount.everything.create(
        client=agency.northwind,
        meta_id="1",
        name="Shop",
        currency="USD",
        timezone_name="UTC",
        connection=row,
        enabled_at=START,
        last_contact_at=START,
    )


def test_opening_again_renews_and_closing_recovers(agency):
    first = alerts.open_(client=agency.northwind, key="k", title="a", advice="", severity="info", now=START)
    again = alerts.open_(
        client=agency.northwind, key="k", title="b", advice="do", severity="critical", now=START + HOUR
    )
    assert (again.pk, again.title, again.severity, again.opened_at) == (first.pk, "b", "critical", START)
    assert alerts.close(client=agency.northwind, key="k", now=START + HOUR)
    assert not alerts.close(client=agency.northwind, key="k", now=START + HOUR)
    third = alerts.open_(
        client=agency.northwind, key="k", title="c", advice="", severity="info", now=START + 2 * HOUR
    )
    assert third.pk != first.pk
    assert Alert.everything.count() == 2


def test_the_installations_own_alert_is_one_row_too(agency):
    for _ in range(2):
        alerts.open_(client=None, key="k", title="a", advice="", severity="info", now=START)
    assert Alert.everything.filter(closed_at__isnull=True).count() == 1


def test_an_unknown_severity_is_a_mistake_of_ours(agency):
    with pytest.raises(ValueError, match="severity"):
        alerts.open_(client=None, key="k", title="a", advice="", severity="loud", now=START)


def test_all_well_means_no_alert(agency, account):
    sentinel.reconcile(now=START + HOUR)
    assert titles(agency) == {}


@pytest.mark.parametrize(
    "state, severity",
    [(ConnectionState.REAUTH_NEEDED, "critical"), (ConnectionState.DEGRADED, "warning")],
)
def test_a_connection_in_trouble_has_one_alert_until_it_is_well(agency, account, state, severity):
    MetaConnection.everything.update(state=state, reason="Meta says so.")
    for _ in range(3):
        sentinel.reconcile(now=START)
    alert = titles(agency)["connection"]
    assert (alert.severity, "Ann" in alert.title) == (severity, True)
    assert Alert.everything.count() == 1
    MetaConnection.everything.update(state=ConnectionState.CONNECTED)
    sentinel.reconcile(now=START)
    assert titles(agency) == {}


@pytest.mark.parametrize(
    "days, severity", [(13, "warning"), (4, "warning"), (3, "critical"), (1, "critical")]
)
def test_an_ending_grant_says_in_how_many_days(agency, account, days, severity):
    MetaConnection.everything.update(
        state=ConnectionState.EXPIRING,
        expires_at=START + timedelta(days=60),
        data_access_expires_at=START + timedelta(days=days),
    )
    sentinel.reconcile(now=START)
    alert = titles(agency)["connection"]
    assert f"in {days} day" in alert.title
    assert alert.severity == severity


def test_silence_for_six_hours_is_an_alert_and_one_word_ends_it(agency, account):
    sentinel.reconcile(now=START + 6 * HOUR - timedelta(seconds=1))
    assert "silence" not in titles(agency)
    sentinel.reconcile(now=START + 6 * HOUR)
    assert "silence" in titles(agency)
    ad_accounts.heard(ad_account_id=account.pk, now=START + 7 * HOUR)
    sentinel.reconcile(now=START + 7 * HOUR)
    assert "silence" not in titles(agency)


def test_an_account_that_is_switched_off_may_be_silent(agency, account):
    AdAccount.everything.update(enabled_at=None)
    sentinel.reconcile(now=START + 100 * HOUR)
    assert titles(agency) == {}


@pytest.mark.parametrize(
    "status, severity", [(2, "critical"), (3, "warning"), (101, "critical"), (77, "warning")]
)
def test_an_account_that_meta_stopped_is_an_incident_in_words(agency, account, status, severity):
    AdAccount.everything.update(account_status=status)
    sentinel.reconcile(now=START)
    alert = titles(agency)["account-status"]
    assert alert.severity == severity
    assert ad_accounts.status_words(status).lower() in alert.title


def test_a_version_warning_of_metas_is_an_incident_that_owners_see(agency):
    notices.report(kind=notices.VERSION, text="v26.0 ends soon", now=START)
    sentinel.reconcile(now=START)
    assert "v26.0 ends soon" in titles(agency)["notice"].title
    assert alerts.open_alerts(agency.principals.bob) == []
    notices.close(kind=notices.VERSION, now=START)
    sentinel.reconcile(now=START)
    assert titles(agency) == {}


def test_heard_writes_at_most_every_five_seconds(agency, account):
    ad_accounts.heard(ad_account_id=account.pk, now=START + timedelta(seconds=4))
    account.refresh_from_db()
    assert account.last_contact_at == START
    ad_accounts.heard(ad_account_id=account.pk, now=START + timedelta(seconds=5))
    account.refresh_from_db()
    assert account.last_contact_at == START + timedelta(seconds=5)
