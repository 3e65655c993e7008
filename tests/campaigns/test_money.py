"""Amounts all the way, for each currency of Meta's table: wire -> Decimal -> text -> column -> wire, digit by digit."""

from __future__ import annotations

import random
from decimal import Decimal
from fractions import Fraction

import pytest

import metaads.graph.money as money
import metaads.sandbox.money as theirs
from accounts.fields import MoneyField
from campaigns.changes.guards import HIGHEST
from campaigns.states import Field, canonical, canonical_amount

CURRENCIES = sorted(money.OFFSETS)
COLUMN = MoneyField()
#: Per currency; CI runs the few with each suite, `make prove` the many.
FEW, MANY = 200, 10_000


def amounts(currency: str, count: int) -> list[int]:
    """Minor units of every size up to the highest budget, and those that arithmetic gets wrong first."""
    chance, most = random.Random(currency), int(HIGHEST) * money.OFFSETS[currency]
    odd = [
        1,
        9,
        10,
        11,
        29,
        99,
        100,
        101,
        999,
        1_000,
        1_001,
        1_010,
        110_000,
        2**31,
        2**33 + 1,
        most - 1,
        most,
    ]
    return odd + [
        chance.randrange(1, 10 ** chance.randint(1, len(str(most)) - 1)) for _ in range(count - len(odd))
    ]


def round_trip(currency: str, minor: int) -> None:
    major = money.from_minor(str(minor), currency)
    assert Fraction(major) == Fraction(minor, money.OFFSETS[currency])
    text = canonical_amount(major)
    assert canonical(Field.DAILY_BUDGET, text) == text and Decimal(text) == major
    assert text == theirs.major_text(minor, currency).removesuffix(".00"), "as the other side writes it"
    stored = COLUMN.get_prep_value(Decimal(text))
    assert (
        COLUMN.from_db_value(stored, None, None) == major
        and stored * money.OFFSETS[currency] == minor * 10**6
    )
    assert str(money.to_minor(Decimal(text), currency)) == str(minor)


def rounding(currency: str, minor: int, chance: random.Random) -> None:
    """A raise by any share rounds down and a cut up, by less than one minor unit: rounding never widens a change."""
    unit, before = money.minor_unit(currency), money.from_minor(minor, currency)
    share = Decimal(chance.randrange(-9_999, 20_000)) / 10_000
    exact = before * (1 + share)
    raised, cut = (money.whole(exact, currency, towards=way) for way in ("down", "up"))
    assert exact - unit < raised <= exact <= cut < exact + unit
    for one in (raised, cut):
        assert money.from_minor(money.to_minor(one, currency), currency) == one
    if exact != raised:
        with pytest.raises(money.NotWholeMinorUnit):
            money.to_minor(exact, currency)


def through(count: int) -> int:
    done = 0
    for currency in CURRENCIES:
        chance = random.Random(currency)
        for minor in amounts(currency, count):
            round_trip(currency, minor)
            rounding(currency, minor, chance)
            done += 1
    return done


@pytest.mark.fault("F69", "F71")
def test_no_digit_is_lost_or_made_up_on_the_way_of_an_amount():
    assert through(FEW) == FEW * len(CURRENCIES)


@pytest.mark.prove
@pytest.mark.fault("F69", "F71")
def test_no_digit_is_lost_or_made_up_on_the_way_of_ten_thousand_amounts_of_each_currency():
    assert through(MANY) == MANY * len(CURRENCIES) >= 600_000


@pytest.mark.fault("F71")
def test_the_two_tables_agree_but_for_what_is_unknown_here():
    """Two readings of Meta's page that share nothing; what only the sandbox knows is refused by the product."""
    for currency in CURRENCIES:
        assert theirs.offset(currency) == money.OFFSETS[currency]
    assert (theirs.WHOLE | theirs.HUNDREDTHS) - set(CURRENCIES) == {"LKR"}
