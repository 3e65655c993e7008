"""A pasted token is asked about at Meta and confirmed like any other, and is never shown again."""

import re

import pytest
from django.test import Client as Browser

from accounts.models import AdAccount, MetaConnection, PendingGrant
from metaads.gateway import plugged
from metaads.sandbox.app import Sandbox
from tests.accounts.test_connect import nothing_stored
from tests.door import WSGIAdapter

PATH = "/connections/token/?client=northwind"


@pytest.fixture
def demo(clock, agency):
    """A world with a system user."""
    box = Sandbox(world="demo", seed=7, clock=clock)
    with plugged(WSGIAdapter(box)):
        yield box


@pytest.fixture
def alice(agency):
    web = Browser()
    web.force_login(agency.users.alice)
    return web


def test_a_system_users_token_is_previewed_confirmed_and_stored_without_an_end(alice, demo, agency):
    token = demo.token("system")
    answer = alice.post(PATH, {"token": f"  {token}\n"})
    confirm = answer.headers["Location"]
    assert confirm.startswith("/connections/confirm/")
    assert nothing_stored()
    page = alice.get(confirm).content.decode()
    assert "Connect Agency System User to Northwind?" in page and "<h2>System user</h2>" in page
    assert token not in page
    assert alice.post(confirm, {"enable": demo.ad_accounts()[:1]}).headers["Location"] == "/c/northwind/"
    row = MetaConnection.everything.get()
    assert (row.kind, row.expires_at, row.token, row.connected_by) == (
        "SYSTEM_USER",
        None,
        token,
        agency.users.alice,
    )
    assert [account.enabled for account in AdAccount.everything.order_by("meta_id")] == [True, False, False]
    assert "Paste a new token" in alice.get("/connections/").content.decode()


def test_a_persons_token_is_exchanged_for_a_long_one(alice, demo):
    token = demo.token("alice")
    confirm = alice.post(PATH, {"token": token}).headers["Location"]
    alice.post(confirm)
    assert MetaConnection.everything.get().token not in ("", token)


@pytest.mark.parametrize(
    ("token", "status", "says"),
    [
        ("", 400, "Paste the token first."),
        ("x" * 3000, 400, "This is too long"),
        ("EAAS" + "x" * 80, 400, "not valid"),
        ("not a token \x00 <script>", 400, ""),
    ],
)
def test_what_is_no_token_is_said_at_the_field_and_not_echoed(alice, demo, token, status, says):
    answer = alice.post(PATH, {"token": token})
    text = answer.content.decode()
    assert answer.status_code == status
    assert says in text
    assert 'type="password"' in text and not re.search(r'name="token"[^>]*value=', text)
    if len(token) > 10:
        assert token not in text
    assert not PendingGrant.everything.exists() and nothing_stored()


def test_a_token_without_permissions_or_accounts_is_refused_before_it_is_kept(alice, demo):
    bare = demo.token("alice", scopes=["public_profile"])
    answer = alice.post(PATH, {"token": bare})
    assert answer.status_code == 403
    assert "The permission to read ads was not given." in answer.content.decode()
    lonely = demo.token("charlie")
    answer = alice.post(PATH, {"token": lonely})
    assert answer.status_code == 409
    assert not PendingGrant.everything.exists()


def test_meta_down_keeps_nothing(alice, demo):
    demo.faults.arm("dropped", {"path": "debug_token"})
    answer = alice.post(PATH, {"token": demo.token("system")})
    assert answer.status_code == 503
    assert "Meta did not answer." in answer.content.decode()
    assert not PendingGrant.everything.exists()


def test_only_who_may_connect_may_paste(demo, agency):
    for name, status in (("bob", 403), ("vera", 403), ("vic", 403), ("ivan", 403), ("charlie", 404)):
        web = Browser()
        web.force_login(getattr(agency.users, name))
        assert web.get(PATH).status_code == status
        assert web.post(PATH, {"token": demo.token("system")}).status_code == status
    assert Browser().post(PATH).headers["Location"].startswith("/accounts/login/")
    assert not PendingGrant.everything.exists()


@pytest.mark.fault("F91")
def test_the_token_is_in_no_log_page_session_or_error_report(
    alice, demo, caplog, capsys, settings, mailoutbox
):
    caplog.set_level("DEBUG")
    token = demo.token("system")
    pages = [alice.post(PATH, {"token": f"{token}x"}).content]
    answer = alice.post(PATH, {"token": token})
    pages += [answer.content, alice.get(answer.headers["Location"]).content]
    pages += [alice.post(answer.headers["Location"]).content, alice.get("/connections/").content]
    session = str(dict(alice.session.items()))
    seen = [*(page.decode() for page in pages), session, caplog.text, *capsys.readouterr()]
    assert not any(token in text for text in seen)
