"""Mails leave once, from the row that their reason wrote, and without a broker."""

from __future__ import annotations

import smtplib
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connection, transaction

from accounts import outbox
from accounts.errors import Conflict, Forbidden
from accounts.models import AuditLine, OutboxMessage
from tests.conftest import START

LINK = "https://ads.example.com/invitations/one-time-secret/"
HERE = f"{__name__}.MailServer"


class MailServer(BaseEmailBackend):
    """The far side: says what it is told to say, and keeps what it took."""

    taken: list[Any] = []
    answers: list[Exception | None] = []

    def send_messages(self, messages: Any) -> int:
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        self.taken.extend(messages)
        return len(messages)


@pytest.fixture
def server(settings: Any) -> type[MailServer]:
    settings.EMAIL_BACKEND = HERE
    MailServer.taken, MailServer.answers = [], []
    return MailServer


def say(key: str = "k", address: str = "bob@example.com", **more: Any) -> bool:
    return outbox.send(key=key, address=address, subject="Hello", body=f"Open {LINK}\n", now=START, **more)


def row(key: str = "k") -> OutboxMessage:
    return OutboxMessage.everything.get(key=key)


@pytest.mark.django_db
def test_a_mail_leaves_once_with_its_text_and_the_row_forgets_the_link() -> None:
    assert say()
    assert outbox.deliver(now=START) == 1
    [sent] = mail.outbox
    assert (sent.to, sent.subject, LINK in sent.body) == (["bob@example.com"], "Hello", True)
    assert (row().body, row().sent_at, row().tries) == ("", START, 1)
    assert outbox.deliver(now=START + timedelta(days=1)) == 0


@pytest.mark.django_db
def test_the_same_thing_is_said_once() -> None:
    assert say()
    assert not say(address="other@example.com")
    assert row().address == "bob@example.com"


@pytest.mark.django_db
def test_what_was_overtaken_is_taken_back_and_what_has_left_is_not() -> None:
    say("alert:1:a")
    outbox.deliver(now=START)
    for key in ("alert:1:b", "alert:2:a"):
        say(key)
    outbox.withdraw(prefix="alert:1:")
    assert outbox.tried(prefix="alert:1:") == {"alert:1:a"}
    assert set(OutboxMessage.everything.values_list("key", flat=True)) == {"alert:1:a", "alert:2:a"}


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_was_never_said() -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        assert say()
        raise RuntimeError("the reason was undone")
    assert outbox.deliver(now=START) == 0
    assert say()


@pytest.mark.django_db
def test_a_repeat_inside_the_callers_transaction_leaves_it_usable() -> None:
    with transaction.atomic():
        assert say()
        assert not say()
        assert say("second")
    assert OutboxMessage.everything.count() == 2


@pytest.mark.django_db
def test_a_waiting_link_is_not_readable_in_the_database() -> None:
    say()
    with connection.cursor() as cursor:
        cursor.execute("SELECT body FROM accounts_outboxmessage")
        raw = bytes(cursor.fetchone()[0])
    assert b"secret" not in raw and raw


@pytest.mark.django_db
def test_refused_six_times_over_half_a_day_it_is_given_up(server: type[MailServer]) -> None:
    say()
    at, waits = START, []
    for _ in range(6):
        server.answers = [smtplib.SMTPDataError(451, b"try later")]
        assert outbox.deliver(now=at - timedelta(seconds=1)) == 0
        assert outbox.deliver(now=at) == 0
        if row().given_up_at is None:
            waits.append(row().due_at - at)
            at = row().due_at
    assert [int(wait.total_seconds() // 60) for wait in waits] == [1, 5, 30, 120, 720]
    assert (row().given_up_at, row().tries) == (at, 6)
    assert "451" in row().error
    assert outbox.deliver(now=at + timedelta(days=2)) == 0
    assert server.taken == []


@pytest.mark.django_db
def test_one_bad_address_holds_nobody_else_back(server: type[MailServer]) -> None:
    say("a", "nobody@example.com")
    say("b")
    server.answers = [smtplib.SMTPRecipientsRefused({"nobody@example.com": (550, b"no such user")})]
    assert outbox.deliver(now=START) == 1
    assert row("a").sent_at is None and row("b").sent_at == START


@pytest.mark.django_db
def test_a_mail_that_cannot_even_be_written_holds_nobody_back() -> None:
    say("a", "two\nlines@example.com")
    say("b")
    assert outbox.deliver(now=START) == 1
    assert "BadHeaderError" in row("a").error


@pytest.mark.django_db
def test_a_server_that_is_away_is_asked_once_a_round(server: type[MailServer]) -> None:
    for name in "abc":
        say(name)
    server.answers = [ConnectionRefusedError("refused")]
    assert outbox.deliver(now=START) == 0
    assert [row(name).tries for name in "abc"] == [1, 0, 0]
    assert outbox.deliver(now=START + timedelta(seconds=30)) == 2
    assert outbox.deliver(now=START + timedelta(seconds=61)) == 1


@pytest.mark.django_db
def test_killed_after_the_servers_yes_it_leaves_at_most_once_more(server: type[MailServer]) -> None:
    class Killed(BaseException):
        pass

    class KilledAfterYes(list):
        def extend(self, messages: Any) -> None:
            super().extend(messages)
            raise Killed

    say()
    server.taken = KilledAfterYes()
    with pytest.raises(Killed):
        outbox.deliver(now=START)
    server.taken = list(server.taken)
    assert outbox.deliver(now=START + outbox.CLAIM - timedelta(seconds=1)) == 0
    assert outbox.deliver(now=START + outbox.CLAIM) == 1
    assert outbox.deliver(now=START + timedelta(days=1)) == 0
    first, second = (one.message()["Message-ID"] for one in server.taken)
    assert first == second, "a mail client sees one mail"


@pytest.mark.django_db
def test_a_mail_that_kills_its_loop_each_time_ends_too(server: type[MailServer]) -> None:
    say()
    OutboxMessage.everything.update(tries=6, due_at=START)
    assert outbox.deliver(now=START) == 0
    assert (row().given_up_at, server.taken) == (START, [])


@pytest.mark.django_db
def test_passwords_of_the_mail_server_never_reach_the_row(server: type[MailServer]) -> None:
    say()
    server.answers = [smtplib.SMTPAuthenticationError(535, b"password=hunter2 is wrong")]
    outbox.deliver(now=START)
    assert "hunter2" not in row().error and "535" in row().error


@pytest.mark.django_db
def test_an_owner_sends_again_what_was_given_up_and_nobody_else_does(agency: Any) -> None:
    say(client=agency.northwind)
    OutboxMessage.everything.update(given_up_at=START, tries=6, error="no")
    with pytest.raises(Forbidden):
        outbox.again(message=row(), principal=agency.principals.charlie, now=START)
    outbox.again(message=row(), principal=agency.principals.alice, now=START)
    assert outbox.deliver(now=START) == 1
    assert AuditLine.everything.filter(verb="send_mail_again", client=agency.northwind).count() == 1
    with pytest.raises(Conflict):
        outbox.again(message=row(), principal=agency.principals.alice, now=START)


@pytest.mark.django_db
def test_what_was_given_up_loses_its_link_after_a_week(agency: Any) -> None:
    say()
    OutboxMessage.everything.update(given_up_at=START)
    outbox.sweep(now=START + outbox.KEEP_GIVEN_UP)
    assert row().body != ""
    outbox.sweep(now=START + outbox.KEEP_GIVEN_UP + timedelta(seconds=1))
    assert row().body == ""
    with pytest.raises(Conflict):
        outbox.again(message=row(), principal=agency.principals.alice, now=START)


@pytest.mark.django_db
def test_half_a_year_later_the_row_goes() -> None:
    say()
    outbox.deliver(now=START)
    outbox.sweep(now=START + outbox.KEEP_SENT)
    assert OutboxMessage.everything.exists()
    outbox.sweep(now=START + outbox.KEEP_SENT + timedelta(seconds=1))
    assert not OutboxMessage.everything.exists()
