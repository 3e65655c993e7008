"""Rows of Meta become ad accounts: whatever shape a field has, money is right or unknown, never guessed."""

from decimal import Decimal

import pytest

from accounts.claims import apply_row, claim, meta_id_of
from accounts.models import AdAccount, ConnectionState, MetaConnection
from tests.conftest import START

ROW = {
    "id": "act_17",
    "account_id": "17",
    "name": "Shop",
    "currency": "USD",
    "timezone_name": "America/New_York",
    "account_status": 1,
    "amount_spent": "123456",
    "spend_cap": "0",
    "min_daily_budget": 100,
    "is_personal": 1,
    "user_tasks": ["ANALYZE"],
    "business": {"id": "9", "name": "Shop Ltd"},
}


def applied(**change):
    account = AdAccount(meta_id="17")
    apply_row(account, {**ROW, **change})
    return account


def test_a_plain_row():
    account = applied()
    assert (account.name, account.business_name, account.timezone_name) == (
        "Shop",
        "Shop Ltd",
        "America/New_York",
    )
    assert (account.amount_spent, account.spend_cap, account.min_daily_budget) == (
        Decimal("1234.56"),
        None,
        Decimal(1),
    )
    assert account.is_personal
    assert account.user_tasks == ["ANALYZE"]


@pytest.mark.parametrize(
    "currency, minor, major",
    [
        ("JPY", "500", Decimal(500)),
        ("HUF", "500", Decimal(500)),
        ("BHD", "500", Decimal(5)),
        ("XXX", "500", None),
    ],
)
def test_money_follows_metas_own_table_and_an_unknown_currency_is_unknown(currency, minor, major):
    assert applied(currency=currency, amount_spent=minor).amount_spent == major


@pytest.mark.parametrize("value", [None, "", "12.5", 12.5, True, [], "1" * 40])
def test_money_that_is_no_minor_unit_is_unknown(value):
    assert applied(amount_spent=value).amount_spent is None


def test_what_meta_leaves_out_keeps_its_value():
    account = applied()
    apply_row(account, {"id": "act_17", "name": "New name"})
    assert (account.name, account.currency, account.amount_spent) == ("New name", "USD", Decimal("1234.56"))
    assert account.is_personal


def test_odd_shapes_do_not_break_the_reading():
    account = applied(
        account_status="3", is_personal=0, business="x", user_tasks=None, disable_reason="?", name=7
    )
    assert (account.account_status, account.is_personal, account.business_name, account.name) == (
        3,
        False,
        "",
        "7",
    )


@pytest.mark.parametrize(
    "row, found",
    [
        ({"account_id": "5"}, "5"),
        ({"id": "act_5"}, "5"),
        ({"id": "5x"}, ""),
        ({"id": ""}, ""),
        ({}, ""),
        ({"id": "١٢"}, ""),
        ({"id": "1" * 39}, ""),
    ],
)
def test_the_number_of_a_row(row, found):
    assert meta_id_of(row) == found


def test_an_account_moves_to_a_new_connection_only_when_its_own_is_dead(agency):
    rows = {
        key: MetaConnection.everything.create(
            client=agency.northwind, meta_user_id=key, token="t", scopes=["ads_read"], connected_at=START
        )
        for key in ("1", "2")
    }
    assert claim(rows["1"], [ROW], now=START).ad_accounts[0].connection == rows["1"]
    assert claim(rows["2"], [ROW], now=START).ad_accounts[0].connection == rows["1"]
    MetaConnection.everything.filter(pk=rows["1"].pk).update(state=ConnectionState.REVOKED)
    assert claim(rows["2"], [ROW], now=START).ad_accounts[0].connection == rows["2"]
    assert AdAccount.everything.count() == 1
