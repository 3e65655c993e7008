"""Whom an alert reaches by mail, and how often: those it concerns, once per alert, stage and address."""

from __future__ import annotations

import re
import threading
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from django.core import mail
from django.db import connections

from accounts import alerts, outbox, sentinel
from accounts import connections as metaads_connections
from accounts.models import (
    AdAccount,
    Alert,
    ConnectionState,
    Membership,
    MetaConnection,
    OutboxMessage,
    Role,
    User,
)
from config.env import ROOT
from tests.architecture.source import modules
from tests.conftest import PASSWORD, START

pytestmark = pytest.mark.django_db
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def people(agency: Any) -> Any:
    """Every role at Northwind, and one buyer who was switched off."""
    for name, role, active in (
        ("mandy", Role.MANAGER, True),
        ("anna", Role.ANALYST, True),
        ("dora", Role.BUYER, False),
    ):
        user = User.objects.create_user(f"{name}@example.com", PASSWORD, name=name.title(), is_active=active)
        Membership.objects.create(user=user, client=agency.northwind, role=role)
    return agency


@pytest.fixture
def connection(people: Any) -> MetaConnection:
    row: MetaConnection = MetaConnection.everything.create(
        client=people.northwind, meta_user_id="1", meta_user_name="Ann", token="t",
        connected_at=START, checked_at=START,
    )  # fmt: skip
    return row


def trouble(agency: Any, *, now: datetime = START, **more: Any) -> Alert:
    fields = {
        "client": agency.northwind,
        "key": "k",
        "title": "It broke",
        "advice": "Mend it.",
        "severity": "warning",
    }
    return alerts.open_(**{**fields, **more}, now=now)


def told(now: datetime = START) -> list[tuple[str, str]]:
    """(address, subject) of what leaves now, by address."""
    mail.outbox.clear()
    outbox.deliver(now=now)
    return sorted((one.to[0], one.subject) for one in mail.outbox)


def addresses(now: datetime = START) -> list[str]:
    return [address for address, _ in told(now)]


@pytest.mark.parametrize("severity", ["warning", "critical"])
def test_owners_managers_and_buyers_are_told_and_nobody_of_the_client(people: Any, severity: str) -> None:
    trouble(people, severity=severity)
    assert addresses() == ["alice@example.com", "bob@example.com", "mandy@example.com"]


def test_what_is_only_worth_knowing_is_not_mailed(people: Any) -> None:
    trouble(people, severity="info")
    assert told() == []


def test_the_installations_own_trouble_reaches_owners_only(people: Any) -> None:
    trouble(people, client=None, severity="critical")
    assert told() == [("alice@example.com", "metaads: It broke")]


def test_nobody_is_told_about_an_archived_client(people: Any) -> None:
    people.northwind.archived_at = START
    people.northwind.save()
    trouble(people)
    assert told() == []


def test_a_renewed_alert_does_not_mail_again(people: Any) -> None:
    trouble(people)
    assert len(told()) == 3
    for hours in range(1, 100):
        trouble(people, now=START + hours * HOUR, title=f"It broke {hours} hours ago")
    assert told(START + 100 * HOUR) == []


def test_each_stage_is_told_once_however_often_it_comes(people: Any) -> None:
    for at, stage in enumerate(["7", "3", "3", "7", "3", "1"]):
        trouble(people, stage=stage, now=START + at * HOUR)
        outbox.deliver(now=START + at * HOUR)
    stages = [one.key.split(":")[2] for one in OutboxMessage.everything.filter(address="bob@example.com")]
    assert sorted(stages) == ["1", "3", "7"]


def test_worse_is_told_and_milder_is_not(people: Any) -> None:
    trouble(people)
    assert len(told()) == 3
    trouble(people, severity="critical", now=START + HOUR)
    assert len(told(START + HOUR)) == 3
    trouble(people, severity="warning", now=START + 2 * HOUR)
    trouble(people, severity="critical", now=START + 3 * HOUR)
    assert told(START + 3 * HOUR) == []


def test_who_was_told_of_a_critical_one_is_told_that_it_is_solved(people: Any) -> None:
    trouble(people, severity="critical")
    told()
    User.objects.filter(email="bob@example.com").update(is_active=False)
    late = User.objects.create_user("late@example.com", PASSWORD, name="Late")
    Membership.objects.create(user=late, client=people.northwind, role=Role.BUYER)
    alerts.close(client=people.northwind, key="k", now=START + HOUR)
    assert told(START + HOUR) == [
        ("alice@example.com", "Solved: Northwind: It broke"),
        ("mandy@example.com", "Solved: Northwind: It broke"),
    ]


def test_a_warning_ends_quietly(people: Any) -> None:
    trouble(people)
    told()
    alerts.close(client=people.northwind, key="k", now=START + HOUR)
    assert told(START + HOUR) == []


def test_what_is_over_before_a_mail_left_is_not_mailed_at_all(people: Any) -> None:
    trouble(people, severity="critical")
    alerts.close(client=people.northwind, key="k", now=START + timedelta(seconds=10))
    assert told(START + HOUR) == []


def test_only_the_latest_stage_arrives_when_the_mail_server_was_away(people: Any, settings: Any) -> None:
    settings.EMAIL_BACKEND = "tests.accounts.test_outbox.MailServer"
    from tests.accounts.test_outbox import MailServer

    MailServer.answers = [ConnectionRefusedError()] * 9
    trouble(people, stage="7")
    for minute in range(3):
        outbox.deliver(now=START + timedelta(minutes=minute))
    trouble(people, stage="3", now=START + DAY)
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    assert len(told(START + DAY)) == 3
    alerts.close(client=people.northwind, key="k", now=START + DAY)


@pytest.mark.fault("F146")
def test_trouble_that_flickers_is_one_alert_and_one_mail(people: Any) -> None:
    for minute in range(0, 60, 10):
        trouble(people, now=START + timedelta(minutes=minute))
        outbox.deliver(now=START + timedelta(minutes=minute))
        alerts.close(client=people.northwind, key="k", now=START + timedelta(minutes=minute + 5))
    assert Alert.everything.count() == 1
    assert OutboxMessage.everything.filter(address="bob@example.com").count() == 1
    trouble(people, now=START + 3 * HOUR)
    assert Alert.everything.count() == 2, "after an hour of quiet it is another one"
    assert len(told(START + 3 * HOUR)) == 3


def test_a_critical_one_that_comes_back_is_told_again_since_it_was_called_solved(people: Any) -> None:
    trouble(people, severity="critical")
    told()
    alerts.close(client=people.northwind, key="k", now=START + timedelta(minutes=1))
    told(START + timedelta(minutes=1))
    trouble(people, severity="critical", now=START + timedelta(minutes=2))
    assert len(told(START + timedelta(minutes=2))) == 3


def test_a_mail_says_what_to_do_where_and_who_sent_it(people: Any, settings: Any) -> None:
    settings.PUBLIC_URL = "https://ads.example.com"
    trouble(people, key="connection:1", title="Ann & Bob's <shop> has to be reconnected", severity="critical")
    outbox.deliver(now=START)
    body = next(one.body for one in mail.outbox if one.to == ["bob@example.com"])
    assert body == (
        "Hello Bob,\n\n"
        "Ann & Bob's <shop> has to be reconnected.\n\n"
        "Mend it.\n\n"
        "Client: Northwind\n"
        "Since: 18 November 2026, 15:00 UTC\n\n"
        "https://ads.example.com/connections/?client=northwind\n\n"
        "-- \n"
        "You get this mail because you look after Northwind. Please do not reply: "
        "nobody reads this mailbox.\n"
    )


def test_a_name_with_a_line_break_writes_no_second_header(people: Any) -> None:
    trouble(people, title="Ann\r\nBcc: all@example.com\r\n\r\nlost")
    outbox.deliver(now=START)
    assert len(mail.outbox) == 3
    assert all(one.message()["Bcc"] is None for one in mail.outbox)


@pytest.mark.django_db(transaction=True)
def test_two_that_see_the_same_trouble_at_once_open_one_alert_and_send_one_mail_each(people: Any) -> None:
    """The watchdog and a worker both reconcile."""
    for number, stage in enumerate(["", "7", "7", "3"]):
        start = threading.Barrier(4)

        def look(start: threading.Barrier = start, stage: str = stage, number: int = number) -> None:
            try:
                start.wait(30)
                trouble(people, stage=stage, now=START + number * HOUR)
            finally:
                connections.close_all()

        threads = [threading.Thread(target=look) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        outbox.deliver(now=START + number * HOUR)
    assert Alert.everything.count() == 1
    keys = OutboxMessage.everything.filter(address="bob@example.com").values_list("key", flat=True)
    assert sorted(key.split(":")[2] for key in keys) == ["3", "7", "warning"]


# --- warnings before a connection ends


def ending(connection: MetaConnection, *, token: Any = None, data: Any = None) -> None:
    MetaConnection.everything.filter(pk=connection.pk).update(expires_at=token, data_access_expires_at=data)


def run(first: datetime, last: datetime, step: timedelta) -> list[tuple[float, str]]:
    """Move the clock from `first` to `last`; (days left before `last`, subject) of Bob's mails."""
    found, at = [], first
    while at <= last:
        sentinel.reconcile(now=at)
        found += [
            ((last - at) / DAY, subject) for address, subject in told(at) if address == "bob@example.com"
        ]
        at += step
    return found


@pytest.mark.parametrize("which", ["token", "data"])
def test_either_end_is_warned_of_14_7_3_and_1_days_before_and_each_once(connection: Any, which: str) -> None:
    end = START + 20 * DAY
    ending(connection, **{which: end})
    assert run(START, end, 2 * HOUR) == [
        (14, "Northwind: The connection of Ann ends in 14 days"),
        (7, "Northwind: The connection of Ann ends in 7 days"),
        (3, "Northwind: The connection of Ann ends in 3 days"),
        (1, "Northwind: The connection of Ann ends in 1 day"),
    ]
    assert Alert.everything.count() == 1


def test_the_nearer_of_the_two_ends_counts(connection: Any) -> None:
    ending(connection, token=START + 60 * DAY, data=START + 6 * DAY)
    sentinel.reconcile(now=START)
    alert = Alert.everything.get()
    assert (alert.stage, alert.severity) == ("7", "warning")
    assert "permission to read data ends on 24 November 2026 at 15:00 UTC" in alert.advice


def test_a_clock_that_jumped_over_stages_tells_the_one_it_landed_in(connection: Any) -> None:
    end = START + 20 * DAY
    ending(connection, token=end)
    assert run(START, end, timedelta(days=18)) == [(2, "Northwind: The connection of Ann ends in 2 days")]


def test_after_weeks_away_the_first_word_is_that_it_has_ended(connection: Any) -> None:
    ending(connection, token=START - 3 * DAY)
    sentinel.reconcile(now=START)
    assert ("bob@example.com", "Northwind: The connection of Ann has ended") in told()


@pytest.mark.parametrize("hours", [-11, -3.5, 0, 5.75, 14])
def test_a_warning_comes_at_its_instant_in_every_zone(connection: Any, hours: float) -> None:
    zone = timezone(timedelta(hours=hours))
    ending(connection, token=(START + 14 * DAY).astimezone(zone))
    sentinel.reconcile(now=(START - timedelta(seconds=1)).astimezone(zone))
    assert not Alert.everything.exists()
    sentinel.reconcile(now=START.astimezone(zone))
    assert "ends on 2 December 2026 at 15:00 UTC" in Alert.everything.get().advice


def test_a_clock_a_little_behind_tells_nothing_again(connection: Any) -> None:
    ending(connection, token=START + 7 * DAY)
    for seconds in (0, -30, 5, -3, 0):
        sentinel.reconcile(now=START + timedelta(seconds=seconds))
    assert (Alert.everything.get().stage, len(told())) == ("7", 3)


def test_a_reconnect_closes_it_and_the_next_end_is_warned_of_anew(connection: Any) -> None:
    ending(connection, token=START + 2 * DAY)
    sentinel.reconcile(now=START)
    told()
    ending(connection, token=START + 62 * DAY)
    sentinel.reconcile(now=START + HOUR)
    assert Alert.everything.get().closed_at == START + HOUR
    assert ("bob@example.com", "Solved: Northwind: The connection of Ann ends in 2 days") in told(
        START + HOUR
    )
    assert len(run(START + 40 * DAY, START + 62 * DAY, HOUR)) == 4


def test_a_renewal_for_a_few_days_is_warned_of_by_its_own_end(connection: Any) -> None:
    ending(connection, token=START + 6 * DAY)
    sentinel.reconcile(now=START)
    told()
    ending(connection, token=START + 10 * DAY)
    assert [days for days, _ in run(START + HOUR, START + 10 * DAY, HOUR)] == [10 - 1 / 24, 7, 3, 1]


def test_a_token_without_an_end_is_never_warned_of(connection: Any) -> None:
    assert run(START, START + 400 * DAY, 10 * DAY) == []


@pytest.mark.parametrize("state", [ConnectionState.REVOKED, ConnectionState.PAUSED, ConnectionState.DELETING])
def test_what_is_not_in_use_is_not_warned_of(connection: Any, state: str) -> None:
    ending(connection, token=START + DAY)
    MetaConnection.everything.update(state=state)
    sentinel.reconcile(now=START)
    assert told() == []


def test_after_the_end_one_more_mail_asks_to_reconnect(connection: Any) -> None:
    ending(connection, token=START + DAY)
    sentinel.reconcile(now=START)
    told()
    MetaConnection.everything.update(state=ConnectionState.REAUTH_NEEDED, reason="The token has ended.")
    sentinel.reconcile(now=START + DAY)
    assert ("bob@example.com", "Northwind: Ann has to be reconnected") in told(START + DAY)
    assert Alert.everything.count() == 1


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (ConnectionState.REAUTH_NEEDED, "Meta says so."),
        (ConnectionState.REVOKED, metaads_connections.REMOVED_AT_META),
    ],
)
def test_a_connection_that_ends_twice_near_its_end_is_told_of_twice(
    connection: Any, state: str, reason: str
) -> None:
    """In between it lives, with a warning of its own: the second end is not the one that was told before."""
    ending(connection, token=START + 6 * DAY)
    ends = []
    for day in range(5):
        dead = day % 2 == 1
        MetaConnection.everything.update(
            state=state if dead else ConnectionState.CONNECTED, reason=reason if dead else ""
        )
        sentinel.reconcile(now=START + day * DAY)
        ends += [
            subject
            for address, subject in told(START + day * DAY)
            if address == "bob@example.com" and dead and not subject.startswith("Solved")
        ]
    assert len(ends) == 2, ends


# --- silence


def accounts(agency: Any, connection: Any, count: int) -> list[AdAccount]:
    return [
        AdAccount.everything.create(
            client=agency.northwind, meta_id=str(n), name=f"Shop {n}", currency="USD", timezone_name="UTC",
            connection=connection, enabled_at=START, last_contact_at=START,
        )
        for n in range(count)
    ]  # fmt: skip


def test_an_account_that_is_silent_for_six_hours_is_mailed_once(people: Any, connection: Any) -> None:
    accounts(people, connection, 1)
    sentinel.reconcile(now=START + 6 * HOUR - timedelta(seconds=1))
    assert told(START + 6 * HOUR) == []
    for hours in range(6, 30):
        sentinel.reconcile(now=START + hours * HOUR)
    assert [subject for _, subject in told(START + 30 * HOUR)] == [
        "Northwind: No answer from Meta for Shop 0 in 6 hours"
    ] * 3


@pytest.mark.fault("F146")
def test_many_silent_accounts_of_a_client_are_one_mail(people: Any, connection: Any) -> None:
    rows = accounts(people, connection, 12)
    sentinel.reconcile(now=START + 6 * HOUR)
    assert [subject for _, subject in told(START + 6 * HOUR)] == [
        "Northwind: No answer from Meta for 12 ad accounts in 6 hours"
    ] * 3
    assert Alert.everything.filter(key__startswith="silence:").count() == 12, "each still has its own row"
    AdAccount.everything.filter(pk__in=[row.pk for row in rows[2:]]).update(last_contact_at=START + 6 * HOUR)
    sentinel.reconcile(now=START + 7 * HOUR)
    assert sorted({subject for _, subject in told(START + 7 * HOUR)}) == [
        "Northwind: No answer from Meta for Shop 0 in 7 hours",
        "Northwind: No answer from Meta for Shop 1 in 7 hours",
    ], "what is left over is mailed by itself"


@pytest.mark.fault("F146")
def test_silence_that_a_broken_connection_explains_is_shown_and_not_mailed(
    people: Any, connection: Any
) -> None:
    accounts(people, connection, 2)
    MetaConnection.everything.update(state=ConnectionState.REAUTH_NEEDED, reason="Meta says so.")
    sentinel.reconcile(now=START + 6 * HOUR)
    assert {subject for _, subject in told(START + 6 * HOUR)} == {"Northwind: Ann has to be reconnected"}
    assert Alert.everything.filter(key__startswith="silence:").count() == 2


def test_what_is_switched_on_again_has_its_hours_to_answer(people: Any, connection: Any) -> None:
    accounts(people, connection, 1)
    AdAccount.everything.update(enabled_at=START + 30 * DAY)
    sentinel.reconcile(now=START + 30 * DAY)
    assert told(START + 30 * DAY) == []
    assert not Alert.everything.exists()
    sentinel.reconcile(now=START + 30 * DAY + 6 * HOUR)
    assert {subject for _, subject in told(START + 30 * DAY + 6 * HOUR)} == {
        "Northwind: No answer from Meta for Shop 0 in 6 hours"
    }


def test_a_round_over_what_is_well_asks_the_same_few_questions_however_many_there_are(
    people: Any, connection: Any, django_assert_max_num_queries: Any
) -> None:
    accounts(people, connection, 40)
    with django_assert_max_num_queries(9):
        sentinel.reconcile(now=START)


def test_an_account_that_lost_its_connection_is_mailed_too(people: Any, connection: Any) -> None:
    accounts(people, connection, 2)
    AdAccount.everything.filter(name="Shop 0").update(connection=None)
    MetaConnection.everything.update(state=ConnectionState.REVOKED, reason="Disconnected here.")
    sentinel.reconcile(now=START + 6 * HOUR)
    assert len(told(START + 6 * HOUR)) == 6, "two accounts, three people"


def test_after_a_reconnect_the_account_has_an_hour_to_answer_before_its_silence_is_mailed(
    people: Any, connection: Any
) -> None:
    accounts(people, connection, 1)
    MetaConnection.everything.update(state=ConnectionState.REAUTH_NEEDED, reason="Meta says so.")
    sentinel.reconcile(now=START + 6 * HOUR)
    told(START + 6 * HOUR)
    MetaConnection.everything.update(state=ConnectionState.CONNECTED, reason="")
    sentinel.reconcile(now=START + 8 * HOUR)
    sentinel.reconcile(now=START + 9 * HOUR - timedelta(seconds=1))
    assert {subject for _, subject in told(START + 9 * HOUR)} == {
        "Solved: Northwind: Ann has to be reconnected"
    }
    sentinel.reconcile(now=START + 9 * HOUR)
    assert {subject for _, subject in told(START + 9 * HOUR)} == {
        "Northwind: No answer from Meta for Shop 0 in 9 hours"
    }


# --- mails that do not leave


def test_mails_that_do_not_leave_are_an_alert_and_end_with_it(people: Any, settings: Any) -> None:
    from tests.accounts.test_outbox import MailServer

    settings.EMAIL_BACKEND = "tests.accounts.test_outbox.MailServer"
    MailServer.answers, MailServer.taken = [ConnectionRefusedError("nobody listens")] * 99, []
    outbox.send(key="k", address="bob@example.com", subject="s", body="b", now=START)
    for minutes in (0, 1, 6):
        outbox.deliver(now=START + timedelta(minutes=minutes))
    sentinel.reconcile(now=START + timedelta(minutes=6))
    [alert] = alerts.open_alerts(people.principals.alice)
    assert "1 mail waits" in alert.title and "nobody listens" in alert.advice
    MailServer.answers = []
    outbox.deliver(now=START + HOUR)
    sentinel.reconcile(now=START + HOUR)
    assert alerts.open_alerts(people.principals.alice) == []


# --- the list


def test_the_operators_list_names_every_alert_that_there_is() -> None:
    opening = [module for module in modules() if "alerts.open_(" in module.text]
    keys = {
        key
        for module in opening
        for key in re.findall(r'\b(?:key ?|PREFIX: Final )= ?f?"([a-z-]+)[:"]', module.text)
    }
    table = (ROOT / "docs/operations.md").read_text().partition("### Alerts")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE)) == keys
