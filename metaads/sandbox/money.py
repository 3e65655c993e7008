"""Currency offsets and money texts as Meta writes them.

Minor units = major units x offset. The offsets are Meta's own table (graph-api reference 6.2), which differs
from ISO 4217. Inside the sandbox every amount is an ``int`` of minor units.
"""

from __future__ import annotations

WHOLE = frozenset(["CLP", "COP", "CRC", "HUF", "IDR", "ISK", "JPY", "KRW", "PYG", "TWD", "VND"])
HUNDREDTHS = frozenset(
    [
        "AED",
        "ARS",
        "AUD",
        "BDT",
        "BGN",
        "BHD",
        "BOB",
        "BRL",
        "CAD",
        "CHF",
        "CNY",
        "CZK",
        "DKK",
        "DZD",
        "EGP",
        "EUR",
        "FBZ",
        "GBP",
        "GTQ",
        "HKD",
        "HNL",
        "HRK",
        "ILS",
        "INR",
        "JOD",
        "KES",
        "LKR",
        "LTL",
        "LVL",
        "MOP",
        "MXN",
        "MYR",
        "NGN",
        "NIO",
        "NOK",
        "NZD",
        "PEN",
        "PHP",
        "PKR",
        "PLN",
        "QAR",
        "RON",
        "RSD",
        "RUB",
        "SAR",
        "SEK",
        "SGD",
        "SKK",
        "THB",
        "TRY",
        "UAH",
        "USD",
        "UYU",
        "VEF",
        "VES",
        "ZAR",
    ]
)

# Smallest daily budget by currency, minor units (USD from the reference's fixture; the rest set to the same worth).
_MINIMUM = {"USD": 100, "EUR": 100, "GBP": 100, "JPY": 110, "KRW": 1200, "HUF": 350, "IDR": 15000, "TWD": 30}


class UnknownCurrency(ValueError):
    """The currency is in neither column of Meta's table."""


def offset(currency: str) -> int:
    """Minor units in one major unit: 1 or 100."""
    if currency in WHOLE:
        return 1
    if currency in HUNDREDTHS:
        return 100
    raise UnknownCurrency(currency)


def major_text(minor: int, currency: str) -> str:
    """``12847`` USD -> ``"128.47"``; ``12847`` JPY -> ``"12847"``: how insights print money."""
    unit = offset(currency)
    if unit == 1:
        return str(minor)
    sign = "-" if minor < 0 else ""
    whole, rest = divmod(abs(minor), unit)
    return f"{sign}{whole}.{rest:02d}" if (whole or rest) else "0"


def ratio_text(numerator: int, denominator: int, places: int = 6) -> str:
    """``numerator / denominator`` rounded half up to ``places`` decimals, trailing zeros dropped, exact in integers."""
    scaled = (2 * numerator * 10**places + denominator) // (2 * denominator)
    whole, rest = divmod(scaled, 10**places)
    tail = f"{rest:0{places}d}".rstrip("0")
    return f"{whole}.{tail}" if tail else str(whole)


def minimum_daily_budget(currency: str) -> int:
    """Smallest daily budget that the account accepts, in minor units."""
    return _MINIMUM.get(currency, 100)
