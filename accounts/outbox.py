"""Mails that are to leave: a row in the transaction of its reason, sent by a loop that needs no broker.

    send      one row per key, in the caller's transaction: what is rolled back was never said
    deliver   due rows -> claimed -> handed to the mail server -> sent, body wiped
                                                               -> refused: due again in 1, 5, 30 min, 2 h, 12 h
                                                               -> refused six times: given up (the sentinel's alert)

A claim is a guarded UPDATE that moves `due_at` ten minutes on, so of two loops one sends. A loop that is killed
between the server's yes and the row leaves the claim behind: after it the mail goes out once more. That is one
duplicate per kill, with the same Message-ID, and never a lost mail. Bodies hold one-time links: the column is
encrypted, and empty once the mail has left.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from smtplib import SMTPAuthenticationError, SMTPConnectError, SMTPException, SMTPServerDisconnected
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.template import Context, Engine

import accounts.audit as audit
from accounts.errors import Conflict, Forbidden
from accounts.models import Client, OutboxMessage
from accounts.redaction import redact
from accounts.tenancy import Principal
from metaads.clock import monotonic
from metaads.counters import mails

log = logging.getLogger(__name__)

BACK_OFF: Final = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=12),
)
#: Longer than a round and one mail's time-outs together, so that no claim ends while its mail is on the way.
CLAIM: Final = timedelta(minutes=10)
ROUND_SECONDS: Final = 30.0
#: After so many refusals of one mail a person should know; the fourth try is 36 minutes after the first.
TROUBLED: Final = 3
#: How long a mail that was given up may be sent again; its body, and with it any link, goes then.
KEEP_GIVEN_UP: Final = timedelta(days=7)
KEEP_SENT: Final = timedelta(days=180)
_AT_ONCE: Final = 100
_WAITING: Final = Q(sent_at__isnull=True, given_up_at__isnull=True)


def render(name: str, **context: Any) -> tuple[str, str]:
    """(subject, body) of the template `accounts/mail/<name>.txt`, whose first line is ``Subject: …``.

    `public_url` is given to every template. Plain text: nothing is escaped, and a subject is one line.
    """
    template = Engine.get_default().get_template(f"accounts/mail/{name}.txt")
    text = template.render(Context({"public_url": settings.PUBLIC_URL, **context}, autoescape=False))
    subject, _, body = text.strip().partition("\n")
    return " ".join(subject.removeprefix("Subject:").split()), body.strip() + "\n"


def send(
    *, key: str, address: str, subject: str, body: str, now: datetime, client: Client | None = None
) -> bool:
    """Write a mail into the caller's transaction; False when something was said under that key before."""
    if len(key) > 200:
        raise ValueError("an outbox key has 200 characters at most")
    try:
        with transaction.atomic():
            OutboxMessage.objects.of(client).create(
                client=client,
                key=key,
                address=address.strip(),
                subject=" ".join(subject.split())[:300],
                body=body,
                created_at=now,
                due_at=now,
            )
    except IntegrityError:
        return False
    return True


def tried(*, prefix: str) -> frozenset[str]:
    """Keys with that beginning whose mails have left, or may have."""
    rows = OutboxMessage.everything.filter(key__startswith=prefix, tries__gt=0)
    return frozenset(rows.values_list("key", flat=True))


def withdraw(*, prefix: str) -> None:
    """Take back what still waits under keys with that beginning; it was overtaken."""
    OutboxMessage.everything.filter(_WAITING, key__startswith=prefix).delete()


def deliver(*, now: datetime) -> int:
    """Send what is due; how many mails the server took. Ends after half a minute, or when the server is away."""
    due = OutboxMessage.everything.filter(_WAITING, due_at__lte=now).order_by("due_at", "pk")
    sent, until = 0, monotonic() + ROUND_SECONDS
    for pk in list(due.values_list("pk", flat=True)[:_AT_ONCE]):
        if monotonic() >= until:
            break
        message = _claim(pk, now)
        if message is None:
            continue
        try:
            _hand_over(message)
        except Exception as error:  # whatever one mail suffers, the others are to leave
            _refused(message, error, now)
            if _server_is_away(error):
                break
        else:
            _left(message, now)
            sent += 1
    return sent


def _claim(pk: int, now: datetime) -> OutboxMessage | None:
    """The row, if it is ours for the next ten minutes."""
    message: OutboxMessage | None = OutboxMessage.everything.filter(_WAITING, pk=pk, due_at__lte=now).first()
    if message is None:
        return None
    rows = OutboxMessage.everything.filter(_WAITING, pk=pk, due_at=message.due_at, tries=message.tries)
    if message.tries > len(BACK_OFF):  # each try was cut short before it could say how it went
        if rows.update(given_up_at=now, error=message.error or "Every try was cut short."):
            mails.labels("given_up").inc()
        return None
    claimed = {"tries": message.tries + 1, "due_at": now + CLAIM}
    if not rows.update(**claimed):
        return None
    message.tries, message.due_at = message.tries + 1, now + CLAIM
    return message


def _hand_over(message: OutboxMessage) -> None:
    host = urlsplit(settings.PUBLIC_URL).hostname or "localhost"
    headers = {
        "Message-ID": f"<{message.uuid}@{host}>",  # a second copy is the same mail to whoever receives it
        "Auto-Submitted": "auto-generated",  # no holiday replies
    }
    mail = EmailMessage(message.subject, message.body, to=[message.address], headers=headers)
    if not mail.send():
        raise OSError("The mail server took nothing.")


def _left(message: OutboxMessage, now: datetime) -> None:
    # Not guarded by our claim: even if it ended meanwhile, this mail has left and must not leave again.
    OutboxMessage.everything.filter(pk=message.pk).update(sent_at=now, given_up_at=None, body="", error="")
    mails.labels("sent").inc()


def _refused(message: OutboxMessage, error: Exception, now: datetime) -> None:
    words = redact(f"{type(error).__name__}: {error}")[:300]
    fate: dict[str, Any] = {"error": words}
    if message.tries > len(BACK_OFF):
        fate["given_up_at"] = now
    else:
        fate["due_at"] = now + BACK_OFF[message.tries - 1]
    if OutboxMessage.everything.filter(_WAITING, pk=message.pk, tries=message.tries).update(**fate):
        mails.labels("given_up" if "given_up_at" in fate else "refused").inc()
        log.warning("mail %s, try %d: %s", message.uuid, message.tries, words)


def _server_is_away(error: Exception) -> bool:
    """Whether the next mail would suffer the same: nobody answers, or we may not sign in there."""
    if isinstance(error, SMTPException):
        return isinstance(error, SMTPAuthenticationError | SMTPConnectError | SMTPServerDisconnected)
    return isinstance(error, OSError)


# --- what became of them


def troubled(*, now: datetime) -> list[OutboxMessage]:
    """Mails that were refused again and again: they wait for a late try, or were given up within the last week."""
    late, ended = Q(_WAITING, tries__gte=TROUBLED), Q(given_up_at__gte=now - KEEP_GIVEN_UP)
    return list(OutboxMessage.everything.filter(late | ended).defer("body").order_by("created_at", "pk"))


def counts() -> dict[str, int]:
    """How many mails wait, and how many were given up (and not sent again)."""
    rows = OutboxMessage.everything
    return {
        "waiting": rows.filter(_WAITING).count(),
        "given_up": rows.filter(given_up_at__isnull=False).count(),
    }


def again(*, message: OutboxMessage, principal: Principal, now: datetime) -> None:
    """Let a mail that waits or was given up go out at the next round, with all its tries before it. Owners only.

    Raises `Conflict` when it has left or its text is gone.
    """
    if not principal.everywhere or principal.scopes is not None:
        raise Forbidden("Only an owner may send a mail again.", code="may_not_operate")
    with transaction.atomic():
        rows = OutboxMessage.everything.filter(pk=message.pk, sent_at__isnull=True)
        if not message.body or not rows.update(given_up_at=None, tries=0, due_at=now, error=""):
            raise Conflict(
                "This mail cannot be sent again: its text is kept only until it has left.",
                code="mail_gone",
                advice="Ask for a new one where it came from.",
            )
        subject = str(message.uuid)
        audit.record(
            principal=principal, client=message.client, verb="send_mail_again", subject=subject, now=now
        )


def sweep(*, now: datetime) -> None:
    """Wipe what was given up a week ago, delete what left half a year ago."""
    rows = OutboxMessage.everything
    rows.filter(given_up_at__lt=now - KEEP_GIVEN_UP).update(body="")
    rows.filter(Q(sent_at__lt=now - KEEP_SENT) | Q(given_up_at__lt=now - KEEP_SENT)).delete()
