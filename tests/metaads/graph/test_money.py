"""Minor units by Meta's own table, exact in both directions, refused where unknown."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaads.graph import money

CURRENCIES = sorted(money.OFFSETS)
MINOR = st.integers(min_value=-(10**17), max_value=10**17)
AMOUNTS = st.decimals(min_value=-(10**9), max_value=10**9, places=4, allow_nan=False)


@given(currency=st.sampled_from(CURRENCIES), minor=MINOR)
def test_minor_units_survive_the_round_trip_in_every_currency(currency: str, minor: int) -> None:
    major = money.from_minor(minor, currency)
    assert money.from_minor(str(minor), currency) == major
    assert money.to_minor(major, currency) == minor
    assert major == Decimal(minor) / money.OFFSETS[currency]


@given(currency=st.sampled_from(CURRENCIES), amount=AMOUNTS)
def test_rounding_goes_only_where_it_is_told(currency: str, amount: Decimal) -> None:
    low = money.whole(amount, currency, towards="down")
    high = money.whole(amount, currency, towards="up")
    assert low <= amount <= high
    assert high - low in (Decimal(0), money.minor_unit(currency))
    assert money.from_minor(money.to_minor(low, currency), currency) == low
    assert money.from_minor(money.to_minor(high, currency), currency) == high


@given(currency=st.sampled_from(CURRENCIES), amount=AMOUNTS)
def test_to_minor_never_rounds(currency: str, amount: Decimal) -> None:
    try:
        minor = money.to_minor(amount, currency)
    except money.NotWholeMinorUnit:
        assert amount % money.minor_unit(currency) != 0
    else:
        assert money.from_minor(minor, currency) == amount


@pytest.mark.parametrize(
    "currency", ["CLP", "COP", "CRC", "HUF", "IDR", "ISK", "JPY", "KRW", "PYG", "TWD", "VND"]
)
def test_eleven_currencies_have_no_minor_unit_at_meta(currency: str) -> None:
    assert money.to_minor(Decimal(5000), currency) == 5000
    assert money.minor_unit(currency) == Decimal(1)
    with pytest.raises(money.NotWholeMinorUnit):
        money.to_minor(Decimal("5000.5"), currency)


@pytest.mark.parametrize("currency", ["USD", "EUR", "BHD", "JOD", "GBP"])
def test_hundredths_hold_even_where_iso_has_thousandths(currency: str) -> None:
    assert money.to_minor(Decimal("50.01"), currency) == 5001
    assert money.from_minor("5001", currency) == Decimal("50.01")


@pytest.mark.parametrize("currency", ["XXX", "usd", "", "BTC", "KWD", "TND", "LKR", "US", "USDT"])
def test_an_unlisted_currency_is_refused_everywhere(currency: str) -> None:
    assert not money.known(currency)
    for call in (
        lambda: money.to_minor(Decimal(1), currency),
        lambda: money.from_minor(1, currency),
        lambda: money.minor_unit(currency),
        lambda: money.whole(Decimal(1), currency, towards="down"),
    ):
        with pytest.raises(money.UnknownCurrency):
            call()


def test_the_table_has_the_sixty_odd_currencies_of_metas_page() -> None:
    assert len([code for code, offset in money.OFFSETS.items() if offset == 1]) == 11
    assert set(money.OFFSETS.values()) == {1, 100}


@pytest.mark.fault("F37")
@pytest.mark.parametrize(
    "value", ["", " 5", "5.0", "1e3", "NaN", "0x5", "٥", "5" * 19, None, True, 5.0, Decimal(5)]
)
def test_what_is_no_integer_is_no_minor_amount(value: object) -> None:
    with pytest.raises(money.MalformedMoney):
        money.from_minor(value, "USD")  # type: ignore[arg-type]


@pytest.mark.fault("F37")
@pytest.mark.parametrize("amount", [Decimal("NaN"), Decimal("Infinity"), Decimal("1e30"), 5.0, 5, "5"])
def test_what_is_no_finite_decimal_never_reaches_the_wire(amount: object) -> None:
    with pytest.raises(money.MalformedMoney):
        money.to_minor(amount, "USD")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("128.47", "128.47"),
        ("0", "0"),
        ("-3.5", "-3.5"),
        ("0.319577", "0.319577"),
        (128.47, "128.47"),
        (7, "7"),
        ("1e3", "1000"),
    ],
)
def test_insights_money_is_read_as_it_stands(value: object, expected: str) -> None:
    assert money.parse_major(value) == Decimal(expected)


@pytest.mark.fault("F37")
@pytest.mark.parametrize(
    "value",
    ["", " ", "NaN", "Infinity", "-", ".", "1.", ".5", "1e99", "1E+10", "9" * 31, "1,000", "1 000", "0x1", "١", "12\n",
     None, True, [], {}, float("nan"), float("inf"), 10**31, "1" * 20 + "." + "1" * 20],
)  # fmt: skip
def test_insights_money_that_is_odd_is_none(value: object) -> None:
    assert money.parse_major(value) is None


@pytest.mark.fault("F37")
@given(st.text(max_size=40) | st.floats() | st.integers())
def test_insights_money_never_raises(value: object) -> None:
    number = money.parse_major(value)
    assert number is None or number.is_finite()
