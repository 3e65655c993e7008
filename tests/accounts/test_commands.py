"""`manage.py connect`: a pasted token is verified like any other, and never shown."""

import io

import pytest
from django.core.management import CommandError, call_command

from accounts.models import AdAccount, MetaConnection, User


@pytest.fixture
def connect(agency, sandbox, monkeypatch, capsys):
    def run(token, *args, client="Northwind"):
        monkeypatch.setattr("sys.stdin", io.StringIO(token + "\n"))
        out = io.StringIO()
        call_command("connect", "--client", client, "--token-stdin", *args, stdout=out)
        assert token not in out.getvalue()
        return out.getvalue()

    return run


def test_a_system_users_token_is_stored_as_it_is(connect, agency, clock):
    from metaads.gateway import plugged
    from metaads.sandbox.app import Sandbox
    from tests.door import WSGIAdapter

    box = Sandbox(world="demo", seed=7, clock=clock)
    with plugged(WSGIAdapter(box)):
        token = box.token("system")
        out = connect(token, "--enable", "all")
    row = MetaConnection.everything.get()
    assert (row.kind, row.token, row.expires_at) == ("SYSTEM_USER", token, None)
    assert "Connected Agency System User to Northwind: connected." in out
    assert all(account.enabled for account in AdAccount.objects.of(agency.northwind))
    assert AdAccount.objects.of(agency.northwind).count() == len(box.ad_accounts())


def test_a_persons_token_is_exchanged_and_nothing_is_switched_on_unasked(connect, sandbox):
    token = sandbox.token("alice")
    out = connect(token, client="northwind")
    assert MetaConnection.everything.get().token != token
    assert not AdAccount.everything.get().enabled
    assert "off" in out


@pytest.mark.parametrize(
    "token, words",
    [
        ("", "No token on standard input"),
        ("EAAnonsense", "not valid"),
        ("two words", "printable|not valid|token"),
    ],
)
def test_a_bad_token_ends_with_a_sentence(connect, token, words):
    with pytest.raises(CommandError, match=words) as caught:
        connect(token)
    assert not token or token not in str(caught.value)
    assert not MetaConnection.everything.exists()


def test_an_unknown_client_and_an_empty_installation_end_with_a_sentence(connect, sandbox):
    with pytest.raises(CommandError, match="no such client"):
        connect(sandbox.token("alice"), client="Eastwind")
    User.objects.all().delete()
    with pytest.raises(CommandError, match="no owner yet"):
        connect(sandbox.token("alice"))


def test_a_token_of_another_app_is_refused(connect, clock):
    from metaads.gateway import plugged
    from metaads.sandbox.app import Sandbox
    from tests.door import WSGIAdapter

    other = Sandbox(world="tiny", seed=7, clock=clock, app_id="999")
    with plugged(WSGIAdapter(other)), pytest.raises(CommandError):
        connect(other.token("alice"))
    assert not MetaConnection.everything.exists()
