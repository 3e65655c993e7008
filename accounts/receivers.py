"""What this floor does when something happened outside: it asks Meta about the tokens that it may touch.

    permissions, user (a grant given, narrowed or taken back) -> every connection of that Meta user, checked soon
    a person signs in -> their clients' connections that nothing was heard of for ten minutes, behind the answer

A notice is a reason to ask and never an answer: nothing it says is stored. The rows are marked as unchecked first,
so that the sentinel finds them when the queue does not answer.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from django.contrib.auth.signals import user_logged_in
from django.db import transaction
from django.dispatch import receiver

import accounts.access as access
from accounts.leases import turn
from accounts.models import ConnectionState, MetaConnection, User
from accounts.tasks import check_connection, recheck
from metaads.clock import now
from metaads.signals import webhook_received

#: Kinds of notices whose entries are Meta users.
ABOUT_PEOPLE: Final = frozenset({"permissions", "user"})
#: Seconds between two questions about one connection, however many notices come.
QUIET: Final = 60.0


@receiver(webhook_received, dispatch_uid="accounts.check_grants")
def check_grants(object: str, entries: tuple[str, ...] = (), **_: Any) -> None:
    """Sent after commit. Meta names its user, who may be connected at several clients."""
    if object not in ABOUT_PEOPLE:
        return
    ended = (ConnectionState.REVOKED, ConnectionState.DELETING)
    rows = MetaConnection.everything.filter(meta_user_id__in=entries).exclude(state__in=ended)
    found = list(rows.values_list("pk", flat=True))
    rows.filter(pk__in=found).update(checked_at=None)
    for connection_id in found:
        wait = turn(name=f"check:{connection_id}", quiet=QUIET, now=now())
        if wait is not None:
            check_connection.apply_async((connection_id,), countdown=wait or None)


@receiver(user_logged_in, dispatch_uid="accounts.recheck_at_sign_in")
def recheck_at_sign_in(user: User, **_: Any) -> None:
    """The page that the person is about to see tells the truth about their connections, or soon will."""
    mine = [client.pk for client in access.clients(access.principal_of(user))]
    if mine:
        # After commit and robust: neither Meta nor a queue that is away may keep anybody from signing in.
        start = partial(recheck.apply_async, (mine,), retry=False)
        transaction.on_commit(start, robust=True)
