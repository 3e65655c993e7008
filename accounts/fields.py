"""Column types: money as whole micro-units, secrets as Fernet tokens that know their row.

Money is `Decimal` in major units in Python and a BIGINT of micro-units in every database, because SQLite
keeps decimals as floats. The encrypted field is django-fernet-fields' with two changes. At `bulk_update` and
upsert Django hands a field an *expression*, and the original encrypts the expression's text, which destroys the
value. And the original's token opens in any row: ours names its key and its row (`accounts.sealing`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

import fernet_fields
from django.conf import settings
from django.core.exceptions import FieldError, ValidationError
from django.db import models
from django.db.models.expressions import Combinable
from django.db.models.query_utils import DeferredAttribute

import accounts.sealing as sealing
from accounts.errors import NoConnection

MICRO = Decimal(1_000_000)
MAX_MICRO = 2**63 - 1


class MoneyField(models.BigIntegerField):
    """`Decimal` in major units <-> whole micro-units. More than six decimals is an error, never a rounding."""

    description = "money in micro-units"

    # What django-stubs reads: the attribute of a row is a Decimal.
    _pyi_private_set_type: Decimal | int | Combinable  # type: ignore[assignment]
    _pyi_private_get_type: Decimal  # type: ignore[assignment]

    def from_db_value(self, value: int | None, expression: Any, connection: Any) -> Decimal | None:
        return None if value is None else Decimal(value) / MICRO

    def to_python(self, value: Any) -> Decimal | None:
        if value is None or isinstance(value, Decimal):
            return value
        if isinstance(value, float):
            raise ValidationError("Money is never a float.")
        try:
            return Decimal(str(value))
        except ArithmeticError:
            raise ValidationError(f"{value!r} is not an amount of money.") from None

    def get_prep_value(self, value: Any) -> Any:
        if value is None or hasattr(value, "as_sql"):
            return value
        amount = self.to_python(value)
        assert amount is not None
        if not amount.is_finite():
            raise ValidationError("Money is a finite number.")
        micro = amount * MICRO
        whole = int(micro)
        if micro != whole or abs(whole) > MAX_MICRO:
            raise ValidationError(f"{value} has more than six decimals or is too large.")
        return whole

    def formfield(self, **kwargs: Any) -> Any:
        from django import forms

        return forms.DecimalField(
            max_digits=18, decimal_places=6, required=not self.blank, label=kwargs.get("label")
        )


@lru_cache(maxsize=8)
def _ring(keys: tuple[str, ...]) -> sealing.Keyring:
    return sealing.Keyring(keys)


def keyring() -> sealing.Keyring:
    """The installation's keys, as FERNET_KEYS says now. Raises `ValueError` when one is no Fernet key."""
    return _ring(tuple(settings.FERNET_KEYS))


class Unreadable(NoConnection):
    """A stored secret does not open: its key is not in FERNET_KEYS, or it was damaged. Nothing was sent."""

    code = "secret_unreadable"
    advice = "If a key was taken out of FERNET_KEYS, put it back; otherwise reconnect the Meta account."


class Swapped(Unreadable):
    """A stored secret opens and belongs to another row: somebody changed the database by hand."""

    code = "secret_swapped"
    advice = "Reconnect the Meta account, and find out who writes to the database."


@dataclass(frozen=True, repr=False)
class Sealed:
    """A stored secret as it lies in the database. Only a row can open it, by naming itself."""

    raw: bytes

    def __repr__(self) -> str:
        return "<sealed>"


class Secret(str):
    """A secret in use. It knows the row it belongs to, so that whatever writes it binds it there; repr hides it."""

    identity: sealing.Identity

    def __new__(cls, text: str, identity: sealing.Identity = ()) -> Secret:
        made = super().__new__(cls, text)
        made.identity = identity
        return made

    def __repr__(self) -> str:
        return "<secret>"


class SecretAttribute(DeferredAttribute):
    """Opens at each use and keeps nothing open: the row holds what the database holds."""

    field: EncryptedTextField

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        value = super().__get__(instance, cls)
        return value if instance is None else self.field.opened(instance, value)

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self.field.attname] = value


class EncryptedTextField(fernet_fields.EncryptedTextField):
    """Text that only the application can read, bound to its row; lookups on it raise `FieldError`.

    `bound_to` names the columns that tell this row from every other and never change (its natural key, so that
    an upsert keeps it). Reading through a row gives the text or raises `Unreadable` or `Swapped`; `values()`
    gives a `Sealed`, since nobody is there to vouch for the row. The empty text is stored as no bytes at all.
    """

    descriptor_class = SecretAttribute

    def __init__(self, *args: Any, bound_to: Sequence[str] = (), **kwargs: Any) -> None:
        self.bound_to = tuple(bound_to)
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, {**kwargs, "bound_to": self.bound_to}

    def identity(self, values: Iterable[Any]) -> sealing.Identity:
        """The identity of the row whose `bound_to` columns hold `values`."""
        columns = [self.model._meta.get_field(name) for name in self.bound_to]
        own = (str(column.to_python(value)) for column, value in zip(columns, values, strict=True))
        return (self.model._meta.db_table, str(self.column), *own)

    def secret(self, instance: Any, text: str) -> Secret:
        """`text` for a query's `update()`, bound to `instance`."""
        return Secret(text, self.identity(getattr(instance, name) for name in self.bound_to))

    def opened(self, instance: Any, value: Any) -> Any:
        """What the attribute shows: the secret of this row. Raises `Unreadable`, `Swapped`."""
        if not value or hasattr(value, "as_sql"):
            return value
        if not isinstance(value, Sealed):
            return self.secret(instance, str(value))
        identity = self.identity(getattr(instance, name) for name in self.bound_to)
        try:
            return Secret(keyring().open(value.raw, identity), identity)
        except sealing.SomebodyElses:
            raise Swapped(f"The stored {self.name} of {self._row(instance)} is not its own.") from None
        except sealing.Unopened as error:
            why = f"The stored {self.name} of {self._row(instance)} cannot be read: {error}."
            raise Unreadable(why) from None

    def _row(self, instance: Any) -> str:
        return f"{self.model._meta.verbose_name} {instance.pk}"

    def from_db_value(self, value: Any, expression: Any, connection: Any, *args: Any) -> Any:
        if value is None:
            return None
        raw = bytes(value)
        return Sealed(raw) if raw else ""

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        if hasattr(value, "as_sql"):
            # An expression of our own type: its inner Value() comes back here and is encrypted then. A bare
            # Value("text") is a CharField's to prepare and would be stored in clear.
            if not isinstance(getattr(value, "output_field", None), fernet_fields.EncryptedField):
                raise FieldError(
                    f"{self.name} takes a value, or an expression with this field as its output."
                )
            return value
        if value is None:
            return None
        if isinstance(value, Sealed):
            return connection.Database.Binary(value.raw)
        if not value:
            return connection.Database.Binary(b"")
        identity = getattr(value, "identity", ())
        if not identity:
            raise FieldError(f"{self.name} is bound to its row: save the row, or update() with secret().")
        return connection.Database.Binary(keyring().seal(str(value), identity))

    def value_to_string(self, obj: Any) -> str:
        """A dump of the database holds no secret; whoever loads it connects again."""
        return ""


def bound(row: Any, text: str, *, field: str = "token") -> Secret:
    """`text` as the secret of `row`, for an `update()` of exactly that row."""
    column: EncryptedTextField = row._meta.get_field(field)
    return column.secret(row, text)
