"""The agency's clients: made, renamed, archived; and which one a person looked at last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils.text import slugify

import accounts.access as access
import accounts.audit as audit
from accounts.errors import Conflict, Forbidden, Invalid
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
    user = User.objects.filter(pk=principal.user_id).first()
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
    if not principal.everywhere:
        raise Forbidden("Only an owner may add clients.", code="may_not_manage_client")
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


def named(*, name: str, principal: Principal) -> Client:
    """The client by name, slug or UUID, for commands; raises `NotFound`."""
    by_name = next((row for row in access.clients(principal) if row.name.casefold() == name.casefold()), None)
    return by_name or access.client(principal, name)


def _free(slug: str) -> str:
    """`slug`, or `slug-2`, `slug-3` ... — the unique column decides if two ask at once."""
    taken = set(Client.objects.filter(slug__startswith=slug).values_list("slug", flat=True))
    return next(one for one in (slug, *(f"{slug}-{n}" for n in range(2, len(taken) + 3))) if one not in taken)
