"""Changing the key: killed wherever it may be, every token stays readable; the old key goes when no row uses it."""

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from io import StringIO
from itertools import count

import pytest
from cryptography.fernet import Fernet
from django.core.checks import Tags, run_checks
from django.core.management import CommandError, call_command
from django.db import connection

from accounts import connections, rotation, sealing
from accounts import tokens as token_use
from accounts.errors import NoConnection
from accounts.fields import Sealed, Unreadable, bound
from accounts.models import (
    AdAccount,
    ConnectionState,
    GrantedAsset,
    MetaConnection,
    OutboxMessage,
    PendingGrant,
)
from tests.conftest import START

ROWS = 12


def new_key():
    return Fernet.generate_key().decode()


@pytest.fixture
def old(settings):
    settings.FERNET_KEYS = [new_key()]
    return settings.FERNET_KEYS[0]


@pytest.fixture
def tokens(agency, old):
    """Twelve connections at two clients, one of them wiped, and two grants that wait: what each row must give."""
    for number in range(ROWS):
        MetaConnection.everything.create(
            client=agency.northwind if number % 2 else agency.southwind,
            meta_user_id=str(number),
            token=f"EAAtoken{number}" if number else "",
            connected_at=START,
        )
    for number in range(2):
        PendingGrant.everything.create(
            client=agency.northwind,
            user=agency.users.bob,
            meta_user_id=str(number),
            token=f"EAAgrant{number}",
            expires_at=START + timedelta(minutes=10),
        )
    return readable()


def readable():
    return {
        (type(row).__name__, row.pk): str(row.token)
        for model in (MetaConnection, PendingGrant)
        for row in model.everything.order_by("pk")
    }


def rotate_command(**options):
    out = StringIO()
    call_command("rotate_keys", stdout=out, **options)
    return out.getvalue()


class Killed(BaseException):
    """Nothing in the product may catch it."""


def killed_at(statement):
    """Ends the run before the n-th statement that it sends to the database."""
    numbers = count(1)

    def wrapper(execute, sql, params, many, context):
        if next(numbers) == statement:
            raise Killed
        return execute(sql, params, many, context)

    return connection.execute_wrapper(wrapper)


@pytest.mark.fault("F89")
@pytest.mark.parametrize("batch, least", [(1, 40), (3, 30)])
def test_killed_before_any_statement_every_token_stays_readable_and_the_next_run_finishes(
    settings, tokens, old, batch, least
):
    """Before and after each batch, and between reading and writing of each row."""
    points, halfway = 0, 0
    for statement in count(1):
        before = settings.FERNET_KEYS[0]
        settings.FERNET_KEYS = [new_key(), before]
        with killed_at(statement):
            try:
                list(rotation.rotate(batch=batch))
                break
            except Killed:
                points += 1
        assert readable() == tokens
        halfway += 0 < rotation.rows_per_key()[sealing.key_id(before)] < 13
        list(rotation.rotate(batch=batch))
        assert rotation.rows_per_key()[sealing.key_id(before)] == 0
        settings.FERNET_KEYS = settings.FERNET_KEYS[:1]
        assert readable() == tokens
    assert points >= least and halfway >= least // 3, (points, halfway)


@pytest.mark.fault("F89")
def test_the_old_key_may_go_when_no_row_uses_it(settings, tokens, old):
    new = new_key()
    settings.FERNET_KEYS = [new, old]
    before = rotate_command(status=True)
    assert f"Keep key 2 of FERNET_KEYS ({sealing.key_id(old)}): 13 rows need it." in before
    after = rotate_command(batch=5)
    assert f"No row uses key 2 of FERNET_KEYS ({sealing.key_id(old)})" in after
    assert f"{sealing.key_id(new)}      13 rows  key 1 of FERNET_KEYS (newest)" in after
    assert old not in before + after and new not in before + after
    settings.FERNET_KEYS = [new]
    assert readable() == tokens
    settings.FERNET_KEYS = [old]
    with pytest.raises(Unreadable):
        readable()


@pytest.mark.fault("F89")
def test_a_mail_that_waits_is_moved_with_the_tokens(settings, tokens, old):
    mail = OutboxMessage.everything.create(
        key="invitation:1",
        address="a@example.com",
        subject="s",
        body="one-time link",
        created_at=START,
        due_at=START,
    )
    settings.FERNET_KEYS = [new_key(), old]
    assert rotation.rows_per_key()[sealing.key_id(old)] == 14
    assert sum(rotation.rotate(batch=5)) == 14
    settings.FERNET_KEYS = settings.FERNET_KEYS[:1]
    assert rotation.rows_per_key()[sealing.key_id(settings.FERNET_KEYS[0])] == 14
    assert OutboxMessage.everything.get(pk=mail.pk).body == "one-time link"


def test_a_second_run_moves_nothing(settings, tokens, old):
    settings.FERNET_KEYS = [new_key(), old]
    assert sum(rotation.rotate(batch=4)) == 13
    assert list(rotation.rotate(batch=4)) == []


@pytest.mark.fault("F89")
def test_a_token_that_is_replaced_meanwhile_keeps_its_new_value(settings, tokens, old):
    settings.FERNET_KEYS = [new_key(), old]
    steps = rotation.rotate(batch=3)
    next(steps)
    row = MetaConnection.everything.order_by("-pk").first()
    MetaConnection.everything.filter(pk=row.pk).update(token=bound(row, "EAArefreshed"))
    list(steps)
    row.refresh_from_db()
    assert row.token == "EAArefreshed"


@pytest.mark.fault("F90")
@pytest.mark.parametrize("how", ["swapped", "damaged", "key lost"])
def test_one_row_that_cannot_be_read_refuses_the_whole_rotation(settings, tokens, old, how):
    last = MetaConnection.everything.order_by("-pk").first()
    other = MetaConnection.everything.order_by("pk")[3]
    raw = MetaConnection.everything.values_list("token", flat=True).get(pk=other.pk).raw
    changed = {"swapped": raw, "damaged": raw[:-4] + b"AAAA", "key lost": b"00000000" + raw[8:]}[how]
    MetaConnection.everything.filter(pk=last.pk).update(token=Sealed(changed))
    settings.FERNET_KEYS = [new_key(), old]
    with pytest.raises(CommandError, match=f"Nothing was changed.*row {last.pk}") as refusal:
        rotate_command(batch=2)
    assert "EAA" not in str(refusal.value)
    assert rotation.rows_per_key()[rotation.keyring().newest] == 0


@pytest.mark.fault("F90")
def test_with_a_wrong_key_the_start_is_refused_with_a_sentence_and_no_token_leaves(settings, tokens, old):
    account = AdAccount.everything.create(
        client=MetaConnection.everything.get(meta_user_id="1").client,
        meta_id="1",
        name="a",
        currency="USD",
        timezone_name="UTC",
        connection=MetaConnection.everything.get(meta_user_id="1"),
        enabled_at=START,
    )
    GrantedAsset.everything.create(
        client=account.client, connection=account.connection, ad_account=account, seen_at=START
    )
    MetaConnection.everything.update(scopes=["ads_management"])
    settings.FERNET_KEYS = [new_key()]
    errors = [
        one for one in run_checks(tags=[Tags.database], databases=["default"]) if one.id == "accounts.E004"
    ]
    assert len(errors) == 1 and f"13 under the key {sealing.key_id(old)}" in errors[0].msg
    with pytest.raises(NoConnection):
        token_use.write_token(account)
    held = MetaConnection.everything.get(meta_user_id="1")
    assert held.state == ConnectionState.REAUTH_NEEDED and "cannot be read" in held.reason
    settings.FERNET_KEYS = [old]
    assert rotation.missing() == ""
    assert not [
        one for one in run_checks(tags=[Tags.database], databases=["default"]) if one.id == "accounts.E004"
    ]


def test_a_key_that_is_lost_for_good_can_be_given_up(settings, tokens, old):
    settings.FERNET_KEYS = [new_key()]
    assert "Emptied 13 stored values." in rotate_command(give_up=sealing.key_id(old))
    assert rotation.missing() == "" and set(readable().values()) == {""}


def test_a_connection_whose_token_was_given_up_asks_to_be_reconnected(connected, settings, clock):
    """Else it would stay “connected” for ever: there is nothing left that Meta could refuse."""
    lost, settings.FERNET_KEYS = settings.FERNET_KEYS[0], [new_key()]
    rotate_command(give_up=sealing.key_id(lost))
    with pytest.raises(NoConnection):
        token_use.write_token(connected.ad_account)
    row = MetaConnection.everything.get()
    assert (row.state, row.reason) == (
        ConnectionState.REAUTH_NEEDED,
        "The connection's token was deleted.",
    )
    assert token_use.why_frozen(connected.ad_account)
    checked = connections.validate(connection=row, now=clock.now())
    assert checked.state == ConnectionState.REAUTH_NEEDED


def test_a_key_that_is_in_use_cannot_be_given_up(tokens, old):
    with pytest.raises(CommandError, match="nothing is lost"):
        rotate_command(give_up=sealing.key_id(old))
    assert readable() == tokens


@pytest.mark.fault("F90")
def test_a_swapped_token_holds_its_connection_and_no_other(connected, clock):
    own = MetaConnection.everything.get()
    assert token_use.write_token(connected.ad_account)
    other = MetaConnection.everything.create(
        client=connected.southwind, meta_user_id="9", token="EAAcharlie", connected_at=START
    )
    before = MetaConnection.everything.values_list("token", flat=True).get(pk=own.pk)
    stolen = MetaConnection.everything.values_list("token", flat=True).get(pk=other.pk)
    MetaConnection.everything.filter(pk=own.pk).update(token=stolen)
    with pytest.raises(NoConnection) as refusal:
        token_use.write_token(connected.ad_account)
    assert "EAA" not in str(refusal.value)
    own = MetaConnection.everything.get(pk=own.pk)
    assert own.state == ConnectionState.REAUTH_NEEDED and "not its own" in own.reason
    with pytest.raises(NoConnection):
        token_use.reader(connected.ad_account)
    assert MetaConnection.everything.get(pk=other.pk).state == ConnectionState.CONNECTED
    # put right again, the next check reads it and the connection heals
    MetaConnection.everything.filter(pk=own.pk).update(token=before)
    own = connections.validate(connection=MetaConnection.everything.get(pk=own.pk), now=clock.now())
    assert own.state == ConnectionState.CONNECTED


@pytest.mark.prove
@pytest.mark.fault("F89")
@pytest.mark.django_db(transaction=True)
def test_a_rotation_that_is_really_killed_leaves_every_token_readable(settings, tokens, old, tmp_path):
    """SIGKILL at thirty points, after some printed batches and somewhere inside the next, in a process of its own."""
    settings.FERNET_KEYS = [new_key(), old]
    name = connection.settings_dict["NAME"]
    program = (
        "import django; django.setup();"
        "from django.db import connection; connection.settings_dict['NAME'] = {name!r};"
        "from django.conf import settings; settings.FERNET_KEYS = {keys!r};"
        "from django.core.management import call_command; call_command('rotate_keys', batch=1)"
    )
    kills = 0
    for lines in range(90):
        if kills == 30:
            break
        code = program.format(name=str(name), keys=list(settings.FERNET_KEYS))
        environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONUNBUFFERED": "1"}
        with subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment
        ) as process:
            for _ in range(lines % 5 + 1):
                process.stdout.readline()
            time.sleep(0.001 * (lines % 4))  # somewhere inside the next batch
            process.send_signal(signal.SIGKILL)
            kills += process.wait() == -signal.SIGKILL
        assert readable() == tokens
        if rotation.rows_per_key()[rotation.keyring().newest] == 13:
            settings.FERNET_KEYS = [new_key(), *settings.FERNET_KEYS]
    assert kills == 30
    list(rotation.rotate())
    settings.FERNET_KEYS = settings.FERNET_KEYS[:1]
    assert readable() == tokens


@pytest.mark.fault("F90")
def test_readyz_takes_a_process_with_a_wrong_key_out_and_says_which_key_is_missing(
    settings, client, tokens, old
):
    assert client.get("/readyz").json()["checks"]["keys"] == {"good": True, "text": "usable"}
    settings.FERNET_KEYS = [new_key()]
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert f"13 under the key {sealing.key_id(old)}" in answer.json()["checks"]["keys"]["text"]


@pytest.mark.fault("F90")
def test_migrate_refuses_to_start_with_a_wrong_key(settings, tokens, old):
    settings.FERNET_KEYS = [new_key()]
    with pytest.raises(CommandError, match=f"under the key {sealing.key_id(old)}"):
        call_command("migrate", skip_checks=False, verbosity=0)
