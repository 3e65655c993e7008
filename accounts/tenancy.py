"""Who asks, and the manager that refuses to answer without knowing.

A tenant's rows are reached through `Model.objects.for_(principal)` or `Model.objects.of(client)`; plain
`Model.objects` raises `Unscoped`, so a forgotten scope is a crash and never a leak. `Model.everything` (also
the base manager) serves migrations, admin plumbing and scanners; a test lists its uses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from django.db import models

Row = TypeVar("Row", bound=models.Model)


class Unscoped(RuntimeError):
    """A tenant's table was read without saying for whom."""


@dataclass(frozen=True)
class Principal:
    """Who acts: a person, an API key, or the product itself for one client.

    `roles` holds (client id, role); client id `None` means every client (an owner). `scopes` narrows an API
    key further (`None`: not narrowed). The name is for the ledger's reader, never a secret.
    """

    kind: str  # "person" | "key" | "acting" | "system" | "nobody"
    user_id: int | None
    name: str
    roles: tuple[tuple[int | None, str], ...] = ()
    scopes: frozenset[str] | None = None

    @property
    def everywhere(self) -> bool:
        return any(client_id is None for client_id, _ in self.roles)

    @property
    def client_ids(self) -> frozenset[int]:
        return frozenset(client_id for client_id, _ in self.roles if client_id is not None)

    def roles_at(self, client_id: int) -> frozenset[str]:
        return frozenset(role for at, role in self.roles if at is None or at == client_id)


NOBODY = Principal(kind="nobody", user_id=None, name="nobody")


class ScopedManager(models.Manager[Row]):
    """The manager of a tenant's table. `path` leads from the row to the client's id, e.g. ``client_id``."""

    use_in_migrations = False

    def __init__(self, path: str = "client_id") -> None:
        super().__init__()
        self.path = path

    def get_queryset(self) -> models.QuerySet[Row]:
        raise Unscoped(f"{self.model.__name__}.objects needs .for_(principal) or .of(client).")

    def for_(self, principal: Principal) -> models.QuerySet[Row]:
        """Rows of every client that `principal` belongs to."""
        rows = super().get_queryset()
        if principal.everywhere:
            return rows
        return rows.filter(**{f"{self.path}__in": principal.client_ids})

    def of(self, client: Any) -> models.QuerySet[Row]:
        """Rows of one client (a `Client` or its id)."""
        return super().get_queryset().filter(**{self.path: getattr(client, "pk", client)})


class AccountFactsManager(models.Manager[Row]):
    """The manager of facts and rollups, which hold an ad account's id and no client's.

    Whoever holds an `AdAccount` row got it from `accounts.access`, so the account is the scope.
    """

    use_in_migrations = False

    def get_queryset(self) -> models.QuerySet[Row]:
        raise Unscoped(f"{self.model.__name__}.objects needs .of(ad_account).")

    def of(self, ad_account: Any) -> models.QuerySet[Row]:
        """Rows of one ad account (an `AdAccount` or its id)."""
        return super().get_queryset().filter(ad_account_id=getattr(ad_account, "pk", ad_account))


class Tenant(models.Model):
    """Abstract base of a tenant's table: both managers, in the order that makes the scoped one the default."""

    objects = ScopedManager[Any]()
    everything = models.Manager[Any]()

    class Meta:
        abstract = True
        base_manager_name = "everything"


class AccountFacts(models.Model):
    """Abstract base of facts and rollups."""

    ad_account_id = models.BigIntegerField()

    objects = AccountFactsManager[Any]()
    everything = models.Manager[Any]()

    class Meta:
        abstract = True
        base_manager_name = "everything"
