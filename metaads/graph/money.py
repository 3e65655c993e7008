"""Money at Meta's door: minor units on the wire, Decimal in major units everywhere else.

Meta's offsets are its own and differ from ISO 4217: COP, CRC, HUF, IDR and TWD have no minor unit here
although ISO gives them two decimals; BHD and JOD have 100 although ISO gives them three. A library that
follows ISO is wrong by a factor of 100 or 10 on real money, so the table is written out and anything that
is not in it is refused.

Budgets, bids and caps are minor units; insights money (spend, cpc, action_values) is already major units
and goes through `parse_major`. Source: Meta's currencies page; docs/meta.md, section 6.2. PURE: no Django,
no clock, no I/O.
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation, localcontext
from typing import Final, Literal

_WITHOUT_MINOR_UNIT: Final = "CLP COP CRC HUF IDR ISK JPY KRW PYG TWD VND"
# LKR is in the SDK's enum but not on Meta's currencies page; it stays unknown until somebody has seen it.
_HUNDREDTHS: Final = (
    "AED ARS AUD BDT BGN BHD BOB BRL CAD CHF CNY CZK DKK DZD EGP EUR FBZ GBP GTQ HKD HNL HRK ILS INR JOD KES"
    " LTL LVL MOP MXN MYR NGN NIO NOK NZD PEN PHP PKR PLN QAR RON RSD RUB SAR SEK SGD SKK THB TRY UAH USD UYU"
    " VEF VES ZAR"
)

OFFSETS: Final[dict[str, int]] = {
    **dict.fromkeys(_WITHOUT_MINOR_UNIT.split(), 1),
    **dict.fromkeys(_HUNDREDTHS.split(), 100),
}

_MINOR: Final = re.compile(r"-?[0-9]{1,18}")
_MAJOR: Final = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9])?")
_MAX_MINOR: Final = 10**18  # fits a BIGINT, and no account owns more


class MoneyError(ValueError):
    """An amount that must not be used."""


class UnknownCurrency(MoneyError):
    """Meta's table does not list this currency, so its minor unit is not known. Never guess it."""


class NotWholeMinorUnit(MoneyError):
    """The amount has more decimals than the currency; rounding is the caller's decision (see `whole`)."""


class MalformedMoney(MoneyError):
    """What should have been minor units is not an integer."""


def known(currency: str) -> bool:
    """Tell whether Meta's table lists the currency (three upper-case letters)."""
    return currency in OFFSETS


def _offset(currency: str) -> int:
    try:
        return OFFSETS[currency]
    except KeyError:
        raise UnknownCurrency(f"no minor unit is known for currency {currency[:8]!r}") from None


def minor_unit(currency: str) -> Decimal:
    """Give the smallest amount that Meta can store, in major units: 0.01 for USD, 1 for JPY and HUF."""
    return Decimal("0.01") if _offset(currency) == 100 else Decimal(1)


def to_minor(amount: Decimal, currency: str) -> int:
    """Convert major units to the integer that goes on the wire. Never rounds: raises NotWholeMinorUnit
    instead."""
    offset = _offset(currency)
    if not isinstance(amount, Decimal):
        raise MalformedMoney("money is a Decimal")
    if not amount.is_finite() or abs(amount) >= _MAX_MINOR // offset:
        raise MalformedMoney("the amount is out of range")
    with localcontext() as context:
        context.prec = 80  # exact for any amount in range, whatever the caller's context says
        minor = amount * offset
        if minor != minor.to_integral_value():
            raise NotWholeMinorUnit(f"{amount} {currency} is not a whole number of minor units")
        return int(minor)


def from_minor(value: int | str, currency: str) -> Decimal:
    """Convert minor units of the wire (int, or the string that Meta sends on reads) to major units."""
    offset = _offset(currency)
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise MalformedMoney("minor units are an integer or a string of digits")
    if isinstance(value, str):
        if not _MINOR.fullmatch(value):
            raise MalformedMoney("minor units are an integer or a string of digits")
        value = int(value)
    if abs(value) >= _MAX_MINOR:
        raise MalformedMoney("the amount is out of range")
    return Decimal(value).scaleb(-2) if offset == 100 else Decimal(value)


def whole(amount: Decimal, currency: str, *, towards: Literal["down", "up"]) -> Decimal:
    """Round to whole minor units. A raise rounds down and a cut rounds up, so that rounding never widens a
    change."""
    unit = minor_unit(currency)
    if not amount.is_finite() or abs(amount) >= _MAX_MINOR:
        raise MalformedMoney("the amount is out of range")
    with localcontext() as context:
        context.prec = 80
        return amount.quantize(unit, rounding=ROUND_FLOOR if towards == "down" else ROUND_CEILING)


def parse_major(value: object) -> Decimal | None:
    """Read money (or any metric) of an insights row: a decimal string in major units, sometimes a bare
    number.

    None for everything that is not a plain finite number: missing, empty, NaN, infinite, over 30 digits,
    absurd exponent.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, (int, float)):
        if isinstance(value, int) and abs(value) >= 10**30:
            return None
        value = repr(value)
    if not isinstance(value, str) or not _MAJOR.fullmatch(value):
        return None
    if sum(character.isdigit() for character in value) > 30:
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
