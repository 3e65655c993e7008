"""The agency's clients: made, renamed, archived; and which one a person looked at last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils.text import slugify

import accounts.access as access
import accounts.audit as audit
from accounts.errors import Conflict, Invalid, NotFound
from accounts.models import AdAccount, Client, User
from accounts.tenancy import Principal


@dataclass(frozen=True)
class Choice:
    """Where a person was last. `ad_account` is one of `client`'s, or None: all of them."""

    client: Client
    ad_account: AdAccount | None


def last_choice(principal: Principal) -> Choice | None:
    """The person's last choice, as far as it is still theirs: what was taken away or archived is no choice."""
    if principal.kind != "person":
        return None
    user = User.objects.filter(pk=principal.user_id or 0).first()
    client = next((row for row in access.clients(principal) if user and row.pk == user.last_client_id), None)
    if user is None or client is None:
        return None
    rows = AdAccount.objects.for_(principal).filter(client=client, archived_at__isnull=True)
    return Choice(client, rows.filter(pk=user.last_ad_account_id or 0).first())


def choose(*, user: User, principal: Principal, client: Client, ad_account: AdAccount | None) -> bool:
    """Remember where the person is now; True when that was news. Whoever acts as somebody else chooses nothing."""
    account_pk = ad_account.pk if ad_account is not None else None
    if principal.kind != "person" or (user.last_client_id, user.last_ad_account_id) == (
        client.pk,
        account_pk,
    ):
        return False
    access.require(principal, "view", client)
    User.objects.filter(pk=user.pk).update(last_client=client, last_ad_account=ad_account)
    user.last_client_id, user.last_ad_account_id = client.pk, account_pk
    return True


def create(*, name: str, principal: Principal, now: datetime) -> Client:
    """Make a client. Only an owner may; the name and the slug made from it are unique."""
    access.require_owner(principal, code="may_not_manage_client")
    name = " ".join(name.split())
    slug = slugify(name)[:50]
    if not slug:
        raise Invalid("A client needs a name with at least one letter or digit.", code="client_name")
    try:
        with transaction.atomic():
            client = Client.objects.create(name=name[:200], slug=_free(slug))
    except IntegrityError:
        raise Conflict(
            f"There is a client called {name} already.", code="client_exists", advice="Choose another name."
        ) from None
    audit.record(principal=principal, client=client, verb="create_client", subject=client.slug, now=now)
    return client


def rename(*, client: Client, name: str, principal: Principal, now: datetime) -> Client:
    """Give a client another name. Its slug, and with it every address, stays."""
    access.require_owner(principal, code="may_not_manage_client")
    name = " ".join(name.split())[:200]
    if not slugify(name):
        raise Invalid("A client needs a name with at least one letter or digit.", code="client_name")
    before = client.name
    try:
        with transaction.atomic():
            Client.objects.filter(pk=client.pk).update(name=name)
    except IntegrityError:
        raise Conflict(
            f"There is a client called {name} already.", code="client_exists", advice="Choose another name."
        ) from None
    client.name = name
    audit.record(
        principal=principal, client=client, verb="rename_client", subject=client.slug, now=now, before=before
    )
    return client


def archive(*, client: Client, principal: Principal, now: datetime) -> Client:
    """Put a client away: nobody sees it any more, its history stays. Its ad accounts have to be switched off first,
    so that nothing goes on being read or changed where nobody looks."""
    access.require_owner(principal, code="may_not_manage_client")
    if AdAccount.objects.of(client).filter(enabled_at__isnull=False, archived_at__isnull=True).exists():
        raise Conflict(
            f"{client.name} has ad accounts that are switched on.",
            code="client_in_use",
            advice="Switch them off on the connections page, then archive the client.",
        )
    if Client.objects.filter(pk=client.pk, archived_at__isnull=True).update(archived_at=now):
        client.archived_at = now
        audit.record(principal=principal, client=client, verb="archive_client", subject=client.slug, now=now)
    return client


def restore(*, client: Client, principal: Principal, now: datetime) -> Client:
    """Take a client out of the archive, with the people and ad accounts that it had."""
    access.require_owner(principal, code="may_not_manage_client")
    if Client.objects.filter(pk=client.pk, archived_at__isnull=False).update(archived_at=None):
        client.archived_at = None
        audit.record(principal=principal, client=client, verb="restore_client", subject=client.slug, now=now)
    return client


def archived(principal: Principal, uuid: str | UUID | None = None) -> list[Client]:
    """Clients in the archive, by name, for owners; with `uuid` that one or `NotFound`."""
    access.require_owner(principal, code="may_not_manage_client")
    rows = list(Client.objects.filter(archived_at__isnull=False))
    if uuid is None:
        return rows
    found = [row for row in rows if str(row.uuid) == str(uuid)]
    if not found:
        raise NotFound("There is no such client.")
    return found


def named(*, name: str, principal: Principal) -> Client:
    """The client by name, slug or UUID, for commands; raises `NotFound`."""
    by_name = next((row for row in access.clients(principal) if row.name.casefold() == name.casefold()), None)
    return by_name or access.client(principal, name)


def _free(slug: str) -> str:
    """`slug`, or `slug-2`, `slug-3` ... — the unique column decides if two ask at once."""
    taken = set(Client.objects.filter(slug__startswith=slug).values_list("slug", flat=True))
    return next(one for one in (slug, *(f"{slug}-{n}" for n in range(2, len(taken) + 3))) if one not in taken)
