"""Column types: the stored bytes are looked at, not only what comes back."""

import copy
import json
from datetime import timedelta
from decimal import Decimal

import pytest
from cryptography.fernet import Fernet
from django.conf import settings
from django.core import serializers
from django.core.exceptions import FieldError, ValidationError
from django.db import connection, transaction
from django.db.models import F, Value
from django.db.models.functions import Concat

from accounts import sealing
from accounts.fields import Sealed, Swapped, Unreadable, bound
from accounts.models import AdAccount, Client, MetaConnection, PendingGrant
from tests.conftest import START

SECRET = "EAAcanaryTokenThatMustNeverBeSeen000"


def stored(row):
    with connection.cursor() as cursor:
        cursor.execute("SELECT token FROM accounts_metaconnection WHERE id = %s", [row.pk])
        raw = cursor.fetchone()[0]
    raw = bytes(raw) if not isinstance(raw, str) else raw.encode()
    assert SECRET.encode() not in raw
    key, sealed = raw.split(b":", 1)
    assert key.decode() == sealing.key_id(settings.FERNET_KEYS[0])
    bound, secret = json.loads(Fernet(settings.FERNET_KEYS[0]).decrypt(sealed))
    assert bound == ["accounts_metaconnection", "token", str(row.client_id), row.meta_user_id]
    return secret


@pytest.fixture
def row(agency):
    return MetaConnection.everything.create(
        client=agency.northwind, meta_user_id="1", token=SECRET, connected_at=START
    )


def test_create_save_and_update_store_a_fernet_token_of_the_value(row):
    assert stored(row) == SECRET
    row.token = SECRET + "a"
    row.save()
    assert stored(row) == SECRET + "a"
    MetaConnection.everything.filter(pk=row.pk).update(token=bound(row, SECRET + "b"))
    assert stored(row) == SECRET + "b"
    assert MetaConnection.everything.get(pk=row.pk).token == SECRET + "b"
    assert MetaConnection.everything.defer("token").get(pk=row.pk).token == SECRET + "b"


def test_without_its_row_a_value_is_neither_read_nor_written(row):
    sealed = MetaConnection.everything.values_list("token", flat=True).get(pk=row.pk)
    assert repr(sealed) == "<sealed>"
    with pytest.raises(FieldError), transaction.atomic():
        MetaConnection.everything.filter(pk=row.pk).update(token=SECRET + "c")
    assert stored(row) == SECRET


def test_a_wiped_token_leaves_no_ciphertext(row):
    MetaConnection.everything.filter(pk=row.pk).update(token="")
    with connection.cursor() as cursor:
        cursor.execute("SELECT token FROM accounts_metaconnection WHERE id = %s", [row.pk])
        assert bytes(cursor.fetchone()[0]) == b""
    assert MetaConnection.everything.get(pk=row.pk).token == ""


def test_no_repr_and_no_dump_shows_the_secret(row):
    loaded = MetaConnection.everything.get(pk=row.pk)
    assert SECRET not in repr([loaded.token, loaded.__dict__, vars(row)["state"]])
    assert loaded.token == SECRET
    assert SECRET not in serializers.serialize("json", [loaded])
    assert copy.deepcopy(loaded).token == SECRET


def test_a_row_keeps_no_opened_copy(row):
    loaded = MetaConnection.everything.get(pk=row.pk)
    assert loaded.token == SECRET
    assert all(SECRET not in str(value) for value in vars(loaded).values())


@pytest.mark.fault("F90")
def test_a_ciphertext_of_another_row_is_refused_and_never_gives_the_value(row, agency):
    other = MetaConnection.everything.create(
        client=agency.southwind, meta_user_id="1", token="EAAcharliesToken", connected_at=START
    )
    stolen = MetaConnection.everything.values_list("token", flat=True).get(pk=row.pk)
    MetaConnection.everything.filter(pk=other.pk).update(token=stolen)
    loaded = MetaConnection.everything.get(pk=other.pk)
    with pytest.raises(Swapped) as refusal:
        loaded.token
    assert SECRET not in str(refusal.value)
    with pytest.raises(Swapped), transaction.atomic():
        loaded.save()
    assert MetaConnection.everything.get(pk=row.pk).token == SECRET


@pytest.mark.fault("F90")
def test_the_ciphertext_of_another_column_or_another_client_is_refused(row, agency):
    MetaConnection.everything.filter(pk=row.pk).update(client=agency.southwind)
    with pytest.raises(Swapped):
        MetaConnection.everything.get(pk=row.pk).token
    grant = PendingGrant.everything.create(
        client=agency.northwind, user=agency.users.bob, meta_user_id="1", token="EAAgrant", expires_at=START
    )
    sealed = PendingGrant.everything.values_list("token", flat=True).get()
    MetaConnection.everything.filter(pk=row.pk).update(client=agency.northwind, token=sealed)
    with pytest.raises(Swapped):
        MetaConnection.everything.get(pk=row.pk).token
    assert PendingGrant.everything.get(pk=grant.pk).token == "EAAgrant"


@pytest.mark.fault("F90")
@pytest.mark.parametrize("change", ["damaged", "cut", "plain", "no such key"])
def test_a_value_that_does_not_open_is_unreadable(row, change):
    raw = MetaConnection.everything.values_list("token", flat=True).get(pk=row.pk).raw
    changed = {
        "damaged": raw[:40] + bytes([raw[40] ^ 1]) + raw[41:],
        "cut": raw[:-10],
        "plain": SECRET.encode(),
        "no such key": b"00000000" + raw[8:],
    }[change]
    MetaConnection.everything.filter(pk=row.pk).update(token=Sealed(changed))
    with pytest.raises(Unreadable) as refusal:
        MetaConnection.everything.get(pk=row.pk).token
    assert not isinstance(refusal.value, Swapped) and SECRET not in str(refusal.value)


def test_bulk_update_stores_the_value_and_not_the_text_of_the_expression(row):
    row.token = SECRET + "bulk"
    MetaConnection.everything.bulk_update([row], ["token"])
    assert stored(row) == SECRET + "bulk"


def test_an_upsert_stores_the_value(row):
    again = MetaConnection(
        client=row.client, meta_user_id="1", token=SECRET + "upsert", connected_at=START + timedelta(days=1)
    )
    MetaConnection.everything.bulk_create(
        [again],
        update_conflicts=True,
        unique_fields=["client", "meta_user_id"],
        update_fields=["token", "connected_at"],
    )
    assert stored(row) == SECRET + "upsert"


def test_a_bare_expression_that_would_be_stored_in_clear_is_refused(row):
    for expression in (Value(SECRET + "v"), Concat("meta_user_id", Value(SECRET))):
        with pytest.raises(FieldError), transaction.atomic():
            MetaConnection.everything.filter(pk=row.pk).update(token=expression)
    assert stored(row) == SECRET


def test_an_expression_of_the_fields_own_type_keeps_the_value(row):
    field = MetaConnection._meta.get_field("token")
    MetaConnection.everything.filter(pk=row.pk).update(
        token=Value(bound(row, SECRET + "v"), output_field=field)
    )
    assert stored(row) == SECRET + "v"
    MetaConnection.everything.filter(pk=row.pk).update(token=F("token"))
    assert stored(row) == SECRET + "v"


def test_looking_up_by_the_secret_is_refused(row):
    with pytest.raises(FieldError):
        MetaConnection.everything.filter(token=SECRET).exists()


@pytest.mark.parametrize("amount", ["0", "0.01", "12.50", "-3", "0.000001", "9223372036854.775807"])
def test_money_comes_back_to_the_last_digit_and_is_stored_in_micro_units(agency, amount):
    agency.northwind.target_cpa = Decimal(amount)
    agency.northwind.save()
    assert Client.objects.get(pk=agency.northwind.pk).target_cpa == Decimal(amount)
    with connection.cursor() as cursor:
        cursor.execute("SELECT target_cpa FROM accounts_client WHERE id = %s", [agency.northwind.pk])
        assert cursor.fetchone()[0] == int(Decimal(amount) * 1_000_000)


@pytest.mark.parametrize(
    "amount", [Decimal("0.0000001"), Decimal("NaN"), Decimal("Infinity"), 1.5, "many", Decimal(10) ** 13]
)
def test_money_that_would_be_rounded_or_is_none_is_refused(agency, amount):
    agency.northwind.target_cpa = amount
    with pytest.raises(ValidationError):
        agency.northwind.save()


def test_money_can_be_compared_and_bulk_updated(agency):
    account = AdAccount.everything.create(
        client=agency.northwind,
        meta_id="1",
        name="a",
        currency="USD",
        timezone_name="UTC",
        spend_cap=Decimal("10.01"),
    )
    assert AdAccount.everything.filter(spend_cap__gt=Decimal("10")).get() == account
    account.spend_cap = Decimal("7.77")
    AdAccount.everything.bulk_update([account], ["spend_cap"])
    account.refresh_from_db()
    assert account.spend_cap == Decimal("7.77")
