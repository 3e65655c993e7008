"""Column types: money as whole micro-units, secrets as Fernet tokens.

Money is `Decimal` in major units in Python and a BIGINT of micro-units in every database, because SQLite
keeps decimals as floats. The encrypted fields are django-fernet-fields' with one repair: at `bulk_update` and
upsert Django hands a field an *expression*, and the original encrypts the expression's text, which destroys the value.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import fernet_fields
from django.core.exceptions import FieldError, ValidationError
from django.db import models
from django.db.models.expressions import Combinable

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


class SafeEncrypted(fernet_fields.EncryptedField):
    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        if hasattr(value, "as_sql"):
            # An expression of our own type: its inner Value() comes back here and is encrypted then. A bare
            # Value("text") is a CharField's to prepare and would be stored in clear.
            if not isinstance(getattr(value, "output_field", None), fernet_fields.EncryptedField):
                raise FieldError(
                    f"{self.name} takes a value, or an expression with this field as its output."
                )
            return value
        return super().get_db_prep_save(value, connection)


class EncryptedTextField(SafeEncrypted, fernet_fields.EncryptedTextField):
    """Text that only the application can read; lookups on it raise `FieldError`."""


class EncryptedJSONField(EncryptedTextField):
    """JSON that only the application can read."""

    def from_db_value(self, value: Any, expression: Any, connection: Any, *args: Any) -> Any:
        text = super().from_db_value(value, expression, connection, *args)
        return None if text is None else json.loads(text)

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        if value is None or hasattr(value, "as_sql"):
            return super().get_db_prep_save(value, connection)
        return super().get_db_prep_save(json.dumps(value, sort_keys=True), connection)
