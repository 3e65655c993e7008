"""What a Meta user asks for at facebook.com: that our app is removed, or that what we hold about them is deleted.

    signed_request -> read      both app secrets, no I/O; forged or malformed: `Invalid`, and nothing is kept
    receive        one transaction, once per signed request: a repeat finds the same code and starts nothing
      deauthorize  every connection of that Meta user, at every client: revoked, token wiped, alert
      deletion     the same at once, in the state *deleting*; then
    sweep          the floors above see `pending` and report `part_done`; ours comes last: rows and names -> done

Automation stops with the connection's state: no token leaves in *revoked* or *deleting*. A connection that its
person makes anew while a deletion is open is a new grant, and stays.
Source: docs/meta.md, section 2.6.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.urls import reverse
from django.utils.crypto import salted_hmac

import accounts.access as access
import accounts.alerts as alerts
import accounts.audit as audit
import accounts.connections as connections
import metaads.inbox as inbox
from accounts.errors import Invalid, NotFound
from accounts.models import (
    READABLE,
    AdAccount,
    Alert,
    AuditLine,
    ConnectionState,
    MetaConnection,
    OutboxMessage,
    SignedRequest,
    UserRequest,
    UserRequestPart,
)
from metaads.graph.webhooks import BadSignedRequest, parse_signed_request

DEAUTHORIZE: Final = UserRequest.Kind.DEAUTHORIZE
DELETION: Final = UserRequest.Kind.DELETION
OURS: Final = "accounts"
#: What stands where a person's number or name was.
NOBODY: Final = "a deleted Meta user"

#: Part -> what it deletes, for the person who asked. Floors above add theirs with `expect`.
_parts: dict[str, str] = {OURS: "Your connection to Meta with its access token, and your name"}


def expect(*, part: str, words: str) -> None:
    """Add a part that every later deletion waits for; called once, when a floor above starts."""
    _parts[part] = words


def read(signed_request: str) -> Mapping[str, Any]:
    """The payload. Raises `Invalid`, which quotes nothing; with no app secret nothing is good."""
    try:
        return parse_signed_request(signed_request, inbox.secrets())
    except BadSignedRequest:
        raise Invalid("This is no signed request of our Meta app.", code="bad_signed_request") from None


def receive(*, kind: str, signed_request: str, now: datetime) -> UserRequest:
    """File what Meta passes on, and stop at once what it is about. The same request again: the same row.

    Raises `Invalid` for a request that is not Meta's. Of an unknown user nothing is stopped, and there is a code.
    """
    payload = read(signed_request)
    digest = _digest(kind, payload, now)
    try:
        with transaction.atomic():
            return _file(kind=kind, digest=digest, meta_user_id=payload["user_id"], now=now)
    except IntegrityError:  # the same, or another of this user, was being filed at this moment
        with transaction.atomic():
            return _file(kind=kind, digest=digest, meta_user_id=payload["user_id"], now=now)


def find(code: str) -> UserRequest:
    """The deletion with this confirmation code."""
    row = UserRequest.objects.filter(code=code, kind=DELETION).first()
    if row is None:
        raise NotFound("There is no deletion with this code.", advice="Look at the code that Facebook shows.")
    return row


def status_address(request: UserRequest) -> str:
    """Where a person sees how far it is."""
    return f"{settings.PUBLIC_URL}{reverse('data_deletion_status', args=[request.code])}"


def progress(request: UserRequest) -> list[tuple[str, datetime | None]]:
    """(what is deleted, when it was) of each part."""
    return [(_parts.get(row.part, row.part), row.done_at) for row in request.parts.order_by("pk")]


def pending(*, part: str) -> list[UserRequest]:
    """Open deletions whose `part` is to be done; `meta_user_id` says whose."""
    waiting = UserRequestPart.objects.filter(part=part, done_at__isnull=True, request__done_at__isnull=True)
    return [row.request for row in waiting.select_related("request").order_by("pk")]


def part_done(*, request: UserRequest, part: str, now: datetime) -> None:
    """A floor reports that it holds nothing about this Meta user any more."""
    request.parts.filter(part=part, done_at__isnull=True).update(done_at=now)


def waits_for(*, request: UserRequest, part: str) -> bool:
    """Whether another part of this deletion is still to be done."""
    return bool(request.parts.filter(part=part, done_at__isnull=True).exists())


def scrub(rows: models.QuerySet[Any], *, columns: Sequence[str], meta_user_id: str) -> int:
    """Take a Meta user's number out of texts that quote Meta; how many texts. Longer numbers that contain it stay."""
    number = re.compile(rf"(?<![0-9]){re.escape(meta_user_id)}(?![0-9])")
    scrubbed = 0
    for column in columns:
        found = rows.filter(**{f"{column}__contains": meta_user_id}).values_list("pk", column)
        for pk, text in list(found):
            words = number.sub(NOBODY, text)
            scrubbed += rows.filter(pk=pk, **{column: text}).update(**{column: words}) if words != text else 0
    return scrubbed


def sweep(*, now: datetime) -> int:
    """Do our own part wherever every other one is done; how many requests came to their end."""
    finished = 0
    for request in pending(part=OURS):
        if not request.parts.exclude(part=OURS).filter(done_at__isnull=True).exists():
            with transaction.atomic():
                _forget(request.meta_user_id)
                part_done(request=request, part=OURS, now=now)
                # The number itself goes last: what is left is a code and three dates.
                finished += UserRequest.objects.filter(pk=request.pk, done_at__isnull=True).update(
                    done_at=now, meta_user_id=""
                )
    _close_alerts(now)
    return finished


def _digest(kind: str, payload: Mapping[str, Any], now: datetime) -> str:
    """What a repeat has in common with the first. Keyed, so that no user's number can be guessed from it."""
    # Meta dates each request; should a date be missing, the same words on another day are another request.
    day = "" if "issued_at" in payload else now.date().isoformat()
    text = json.dumps([kind, payload, day], sort_keys=True)
    return salted_hmac("accounts.deletions", text, algorithm="sha256").hexdigest()


def _file(*, kind: str, digest: str, meta_user_id: str, now: datetime) -> UserRequest:
    seen = SignedRequest.objects.select_related("request").filter(digest=digest).first()
    if seen is not None:
        return seen.request
    request = UserRequest.objects.filter(kind=kind, meta_user_id=meta_user_id, done_at__isnull=True).first()
    if request is None:
        request = _begin(kind=kind, meta_user_id=meta_user_id, now=now)
    SignedRequest.objects.create(digest=digest, request=request, received_at=now)
    return request


def _begin(*, kind: str, meta_user_id: str, now: datetime) -> UserRequest:
    deleting = kind == DELETION
    request = UserRequest.objects.create(
        code=secrets.token_hex(10),
        kind=kind,
        # A removed app leaves nothing to do later, so nobody has to be remembered.
        meta_user_id=meta_user_id if deleting else "",
        received_at=now,
        done_at=None if deleting else now,
    )
    if deleting:
        UserRequestPart.objects.bulk_create([UserRequestPart(request=request, part=part) for part in _parts])
    for connection in connections.ended_at_meta(meta_user_id=meta_user_id, deleting=deleting, now=now):
        _tell(request, connection, now)
    return request


def _tell(request: UserRequest, connection: MetaConnection, now: datetime) -> None:
    """One alert and one audit line per client, without a name when the name is to be forgotten."""
    deleting = request.kind == DELETION
    name = connection.meta_user_name or connection.meta_user_id
    alerts.open_(
        client=connection.client,
        key=f"deletion:{request.code}" if deleting else f"connection:{connection.uuid}",
        title="A Meta user had their data deleted" if deleting else removed_title(name),
        advice="Their connection is gone. Connect another Meta user; changes rest until then."
        if deleting
        else REMOVED_ADVICE,
        severity="critical",
        now=now,
    )
    audit.record(
        principal=access.system(connection.client),
        client=connection.client,
        verb=f"meta_{request.kind}",
        subject=str(connection.uuid),
        now=now,
        code=request.code,
    )


REMOVED_ADVICE: Final = "Reconnect the Meta account on the connections page; changes rest until then."


def removed_title(name: str) -> str:
    """The alert's words while a removed connection waits to be made anew."""
    return f"{name} removed the app at Facebook"


def _forget(meta_user_id: str) -> None:
    """Delete what this floor holds about a Meta user: connections, sign-in link, and their name in old lines."""
    rows = MetaConnection.everything.filter(meta_user_id=meta_user_id, state=ConnectionState.DELETING)
    keys = [f"connection:{uuid}" for uuid in rows.values_list("uuid", flat=True)]
    told = Alert.everything.filter(key__in=keys)
    for uuid in told.values_list("uuid", flat=True):
        OutboxMessage.everything.filter(key__startswith=f"alert:{uuid}:").delete()  # its subject has the name
    told.delete()
    rows.delete()
    SocialAccount.objects.filter(provider="facebook", uid=meta_user_id).delete()
    AuditLine.everything.filter(subject__endswith=f"({meta_user_id})").update(subject=NOBODY)


def _close_alerts(now: datetime) -> None:
    """A client whose switched-on ad accounts all have a live connection again needs no person any more."""
    for alert in Alert.everything.filter(key__startswith="deletion:", closed_at__isnull=True):
        enabled = AdAccount.objects.of(alert.client_id).filter(
            enabled_at__isnull=False, archived_at__isnull=True
        )
        if not enabled.exclude(connection__state__in=READABLE).exists():
            alerts.close(client=alert.client, key=alert.key, now=now)
