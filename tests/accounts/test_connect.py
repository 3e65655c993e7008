"""Walk A: from the Connect button through Meta's dialog to a stored connection, and every way it fails."""

import re
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from allauth.socialaccount.models import SocialAccount, SocialToken
from django.contrib.sessions.models import Session
from django.test import Client as Browser

from accounts import connections, tokens
from accounts.models import AdAccount, AuditLine, ConnectionState, MetaConnection, PendingGrant
from accounts.signals import ad_account_enabled
from metaads.gateway import plugged
from metaads.sandbox.app import Sandbox
from tests.door import WSGIAdapter

CALLBACK = "/auth/meta/callback"


class Dance:
    """A person's browser: our pages through Django's client, Meta's dialog through the sandbox."""

    def __init__(self, box, user, client="northwind"):
        self.web, self.client = Browser(), client
        self.web.force_login(user)
        self.meta = requests.Session()
        self.meta.mount("https://", WSGIAdapter(box))

    def start(self, **form):
        answer = self.web.post("/connections/connect", {"client": self.client, **form})
        if answer.status_code == 302:
            self.dialog = answer.headers["Location"]
            self.asked = {name: values[0] for name, values in parse_qs(urlsplit(self.dialog).query).items()}
        return answer

    def decide(self, decision="continue", **boxes):
        """Press a button of Meta's dialog; the address that Meta sends the browser to."""
        page = self.meta.get(self.dialog)
        assert page.status_code == 200, page.text
        hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text))
        if not any(name.startswith("grant_") for name in boxes):
            boxes |= dict.fromkeys(re.findall(r'type="checkbox" name="(grant_\w+)"', page.text), "1")
        answer = self.meta.post(
            self.dialog,
            data={**hidden, "decision": decision, "user": "alice", **boxes},
            allow_redirects=False,
        )
        self.back = answer.headers["Location"].split("#")[0]
        return self.back

    def land(self, back=None, web=None):
        parts = urlsplit(back or self.back)
        return (web or self.web).get(f"{parts.path}?{parts.query}")

    def to_confirm(self, **decision):
        assert self.start().status_code == 302
        self.decide(**decision)
        answer = self.land()
        assert answer.status_code == 302, answer.content.decode()
        self.confirm = answer.headers["Location"]
        return self.confirm


@pytest.fixture
def dance(sandbox, agency):
    return Dance(sandbox, agency.users.alice)


def code(answer):
    found = re.search(r'data-code="(\w+)"', answer.content.decode())
    return (answer.status_code, found and found[1])


def nothing_stored():
    return not (
        MetaConnection.everything.exists() or AdAccount.everything.exists() or SocialAccount.objects.exists()
    )


def test_the_dialog_is_asked_with_our_redirect_address_and_scopes(dance):
    dance.start()
    assert dance.dialog.startswith("https://www.facebook.com/v26.0/dialog/oauth?")
    assert dance.asked["redirect_uri"] == f"http://localhost:3000{CALLBACK}"
    assert set(dance.asked["scope"].split(",")) == {
        "ads_read",
        "ads_management",
        "business_management",
        "read_insights",
    }
    assert (dance.asked["client_id"], dance.asked["response_type"]) == ("1000000000000001", "code")
    assert len(dance.asked["state"]) >= 16


def test_from_the_button_to_an_enabled_ad_account(dance, sandbox, agency, django_capture_on_commit_callbacks):
    heard = []

    def listener(ad_account_id, **_):
        heard.append(ad_account_id)

    ad_account_enabled.connect(listener)
    try:
        page = dance.web.get(dance.to_confirm())
        text = page.content.decode()
        person = sandbox.world.people["alice"]
        assert person.name in text
        assert person.id in text
        first, *rest = sandbox.ad_accounts()
        assert first in text
        assert "Northwind" in text
        assert nothing_stored()
        with django_capture_on_commit_callbacks(execute=True):
            answer = dance.web.post(dance.confirm, {"enable": [first]})
    finally:
        ad_account_enabled.disconnect(listener)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/c/northwind/")
    row = MetaConnection.everything.get()
    assert (row.client, row.meta_user_id, row.state) == (
        agency.northwind,
        person.id,
        ConnectionState.CONNECTED,
    )
    assert row.connected_by == agency.users.alice
    assert {"ads_read", "ads_management"} <= set(row.scopes)
    assert row.expires_at is not None
    assert row.data_access_expires_at is not None
    accounts = {account.act_id: account for account in AdAccount.everything.all()}
    assert set(accounts) == set(sandbox.ad_accounts())
    assert accounts[first].enabled
    assert not any(accounts[act].enabled for act in rest)
    assert heard == [accounts[first].pk]
    assert accounts[first].currency
    assert accounts[first].timezone_name
    assert [(grant.token, grant.used_at is None) for grant in PendingGrant.everything.all()] == [("", False)]
    assert AuditLine.everything.filter(verb="connect", client=agency.northwind).count() == 1


def test_the_stored_token_works_and_is_long_lived(dance, sandbox):
    dance.to_confirm()
    dance.web.post(dance.confirm, {"enable": sandbox.ad_accounts()})
    account = AdAccount.everything.first()
    row = tokens.reader(account).node(account.act_id, ["id", "name"])
    assert row["id"] == account.act_id
    assert (
        MetaConnection.everything.get().expires_at - MetaConnection.everything.get().connected_at
    ).days >= 58


def test_connecting_stores_no_social_account_and_signs_nobody_in(dance, sandbox):
    dance.to_confirm()
    dance.web.post(dance.confirm)
    assert not SocialAccount.objects.exists()
    assert not SocialToken.objects.exists()


def test_a_viewer_may_not_connect(sandbox, agency):
    answer = Dance(sandbox, agency.users.vic).start()
    assert code(answer) == (403, "may_not_connect")


def test_a_stranger_cannot_begin_for_another_client(sandbox, agency):
    assert Dance(sandbox, agency.users.charlie, client="northwind").start().status_code == 404


def test_asking_again_for_what_was_declined(dance):
    dance.start(again="1")
    assert dance.asked["auth_type"] == "rerequest"


def test_beginning_needs_a_post(dance):
    assert dance.web.get("/connections/connect?client=northwind").status_code == 405


# --- every way it fails


def test_denied_at_meta(dance):
    dance.start()
    dance.decide("cancel")
    answer = dance.land()
    assert code(answer) == (403, "connect_denied")
    assert b"Permission was not given" in answer.content
    assert nothing_stored()
    assert not PendingGrant.everything.exists()


def test_ads_management_declined_gives_a_read_only_connection(dance, sandbox):
    page = dance.web.get(dance.to_confirm(grant_ads_read="1")).content.decode()
    assert "This connection will be read-only." in page
    assert "no budget and no status can be changed" in page
    dance.web.post(dance.confirm, {"enable": sandbox.ad_accounts()})
    account = AdAccount.everything.first()
    tokens.reader(account).node(account.act_id, ["id"])
    with pytest.raises(connections.NoConnection, match="read-only"):
        tokens.write_token(account)


def test_ads_read_declined_too_names_the_missing_permission(dance):
    dance.to_confirm(grant_business_management="1")
    assert code(dance.web.get(dance.confirm)) == (403, "connect_scope_declined")
    assert code(dance.web.post(dance.confirm)) == (403, "connect_scope_declined")
    assert nothing_stored()


@pytest.mark.fault("F84")
def test_a_reloaded_callback_leads_to_the_same_page_and_exchanges_nothing(dance, sandbox):
    confirm = dance.to_confirm()
    asked = len(sandbox.history)
    answer = dance.land()
    assert (answer.status_code, answer.headers["Location"]) == (302, confirm)
    assert len(sandbox.history) == asked
    dance.web.post(confirm, {"enable": sandbox.ad_accounts()})
    answer = dance.land()
    assert dance.web.get(answer.headers["Location"]).headers["Location"] == "/c/northwind/"
    assert PendingGrant.everything.count() == MetaConnection.everything.count() == 1


@pytest.mark.fault("F81")
@pytest.mark.parametrize("swap", ["code", "state"])
def test_a_used_state_or_code_with_another_partner_is_refused(dance, swap):
    dance.to_confirm()
    back = re.sub(rf"{swap}=[^&]+", f"{swap}=AQsomethingElse0", dance.back)
    assert code(dance.land(back)) == (403, "connect_state")
    assert PendingGrant.everything.count() == 1


@pytest.mark.fault("F81")
def test_a_replay_of_a_denied_log_in_is_refused(dance):
    dance.start()
    dance.decide("cancel")
    assert code(dance.land()) == (403, "connect_denied")
    assert code(dance.land()) == (403, "connect_state")


def test_a_state_of_another_session_is_refused(dance, sandbox, agency):
    dance.start()
    dance.decide()
    other = Dance(sandbox, agency.users.alice)
    assert code(dance.land(web=other.web)) == (403, "connect_state")
    assert code(dance.land(web=Browser())) == (403, "connect_signed_out")
    assert not PendingGrant.everything.exists()


@pytest.mark.parametrize("state", ["", "x", "a" * 16, "../../etc", "%00"])
def test_a_made_up_state_is_refused(dance, state):
    dance.start()
    back = dance.decide().replace(dance.asked["state"], state)
    assert code(dance.land(back)) == (403, "connect_state")


def test_a_state_older_than_ten_minutes_is_refused(dance, clock):
    dance.start()
    clock.advance(601)
    dance.decide()
    assert code(dance.land()) == (403, "connect_state")
    assert not PendingGrant.everything.exists()


def test_a_forged_code_is_refused_without_showing_it(dance):
    dance.start()
    back = re.sub(r"code=[^&]+", "code=AQforgedCodeCanary", dance.decide())
    answer = dance.land(back)
    assert code(answer) == (400, "connect_code")
    assert "AQforgedCodeCanary" not in answer.content.decode()
    assert f"http://localhost:3000{CALLBACK}" in answer.content.decode()


def test_meta_down_during_the_exchange(dance, sandbox):
    dance.start()
    dance.decide()
    sandbox.faults.arm("dropped", {"path": "oauth/access_token"})
    assert code(dance.land()) == (503, "connect_meta_down")


def test_meta_down_while_confirming_loses_nothing(dance, sandbox):
    dance.to_confirm()
    sandbox.faults.arm("dropped", {"path": "debug_token"}, times=None)
    assert code(dance.web.get(dance.confirm)) == (503, "connect_meta_down")
    assert code(dance.web.post(dance.confirm)) == (503, "connect_meta_down")
    sandbox.faults.disarm()
    assert dance.web.post(dance.confirm).status_code == 302
    assert MetaConnection.everything.count() == 1


def test_a_user_without_ad_accounts(dance, sandbox):
    dance.to_confirm(user="charlie")
    assert code(dance.web.get(dance.confirm)) == (409, "connect_no_ad_accounts")
    assert nothing_stored()


def test_a_grant_cannot_be_confirmed_by_another_session_or_person(dance, sandbox, agency):
    confirm = dance.to_confirm()
    for user in (agency.users.alice, agency.users.bob, agency.users.charlie):
        other = Browser()
        other.force_login(user)
        assert other.get(confirm).status_code == 404
        assert other.post(confirm).status_code == 404
    assert Browser().post(confirm).headers["Location"].startswith("/accounts/login/")
    assert nothing_stored()


def test_a_grant_is_good_for_ten_minutes(dance, clock):
    dance.to_confirm()
    clock.advance(600)
    assert code(dance.web.post(dance.confirm)) == (409, "connect_expired")
    assert nothing_stored()


@pytest.mark.fault("F84")
def test_a_second_click_finds_it_done(dance, sandbox):
    dance.to_confirm()
    assert dance.web.post(dance.confirm).status_code == 302
    asked = len(sandbox.history)
    answer = dance.web.post(dance.confirm, follow=True)
    assert answer.redirect_chain == [("/c/northwind/", 302)]
    assert "nothing was done twice" in answer.content.decode()
    assert (MetaConnection.everything.count(), len(sandbox.history)) == (1, asked)


def test_a_click_while_the_first_one_is_at_work_is_refused(dance, clock):
    dance.to_confirm()
    PendingGrant.everything.update(used_at=clock.now())
    assert code(dance.web.post(dance.confirm)) == (409, "connect_used")
    assert nothing_stored()


def test_losing_the_role_before_confirming_stops_it(dance, agency):
    dance.to_confirm()
    agency.users.alice.memberships.all().delete()
    assert code(dance.web.post(dance.confirm)) == (403, "connect_role_lost")
    assert nothing_stored()


def test_an_installation_without_a_meta_app_says_what_to_set(dance, settings):
    settings.META = {**settings.META, "app_id": "", "app_secret": ""}
    answer = dance.start()
    assert code(answer) == (400, "no_meta_app")
    assert b"META_APP_ID" in answer.content


# --- several clients, several users


@pytest.fixture
def big(clock, agency):
    """A Meta user with three ad accounts."""
    box = Sandbox(world="demo", seed=7, clock=clock)
    with plugged(WSGIAdapter(box)):
        yield box


def test_another_clients_ad_account_is_left_alone_and_named(big, agency):
    first, *ours = big.ad_accounts()
    AdAccount.everything.create(
        client=agency.southwind, meta_id=first[4:], name="held", currency="USD", timezone_name="UTC"
    )
    dance = Dance(big, agency.users.alice)
    page = dance.web.get(dance.to_confirm()).content.decode()
    assert page.count("belongs to another client") == 1
    assert "Southwind" not in page
    assert dance.web.post(dance.confirm, {"enable": big.ad_accounts()}).status_code == 302
    held = AdAccount.everything.get(meta_id=first[4:])
    assert (held.client, held.connection, held.name, held.enabled) == (agency.southwind, None, "held", False)
    made = AdAccount.objects.of(agency.northwind)
    assert sorted(account.act_id for account in made) == sorted(ours)
    assert all(account.enabled for account in made)


def test_two_meta_users_of_one_client_share_an_ad_account_with_one_writer(big, agency):
    dance = Dance(big, agency.users.alice)
    for user in ("alice", "bob"):
        dance.to_confirm(user=user)
        dance.web.post(dance.confirm, {"enable": big.ad_accounts()})
    assert MetaConnection.everything.count() == 2
    names = {
        account.connection.meta_user_name for account in AdAccount.everything.select_related("connection")
    }
    assert names == {"Alice Agency"}


def test_when_every_ad_account_is_foreign_nothing_is_stored(dance, sandbox, agency):
    for act in sandbox.ad_accounts():
        AdAccount.everything.create(
            client=agency.southwind, meta_id=act[4:], name="held", currency="USD", timezone_name="UTC"
        )
    dance.to_confirm()
    assert code(dance.web.post(dance.confirm)) == (409, "ad_account_claimed")
    assert not MetaConnection.everything.exists()


def test_connecting_again_renews_the_same_connection(dance, sandbox, clock):
    dance.to_confirm()
    dance.web.post(dance.confirm, {"enable": sandbox.ad_accounts()})
    before = MetaConnection.everything.get()
    MetaConnection.everything.update(state=ConnectionState.REAUTH_NEEDED, reason="old")
    clock.advance(60)
    dance.to_confirm()
    dance.web.post(dance.confirm)
    after = MetaConnection.everything.get()
    assert (after.pk, after.state, after.reason) == (before.pk, ConnectionState.CONNECTED, "")
    assert after.token != before.token
    assert AdAccount.everything.first().enabled


# --- secrets


def test_token_code_and_secret_are_in_no_table_page_session_or_log(
    dance, sandbox, caplog, capsys, django_db_blocker
):
    caplog.set_level("DEBUG")
    seen = SimpleNamespace(pages=[])
    dance.start()
    dance.decide()
    the_code = parse_qs(urlsplit(dance.back).query)["code"][0]
    answer = dance.land()
    seen.pages += [answer.content, dance.web.get(answer.headers["Location"]).content]
    grant = PendingGrant.everything.get()
    tokens = {grant.token}
    before = _dump()
    seen.pages.append(dance.web.post(answer.headers["Location"], {"enable": sandbox.ad_accounts()}).content)
    tokens.add(MetaConnection.everything.get().token)
    for path in ("/api/meta/validate-token", "/api/meta/user-info", "/api/meta/ad-accounts"):
        seen.pages.append(dance.web.get(f"{path}?client=northwind").content)
    artefacts = [*(page.decode() for page in seen.pages), before, _dump(), caplog.text, *capsys.readouterr()]
    assert "Alice Agency" in before
    assert all(len(token) > 40 for token in tokens)
    assert len(tokens) == 2
    for secret in (*tokens, the_code, "sandbox-secret"):
        assert not any(secret in text for text in artefacts)


def _dump():
    """Every row of every table as raw text, sessions decoded."""
    from django.db import connection

    parts = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            for row in cursor.fetchall():
                parts.extend(
                    bytes(v).decode("latin-1") if isinstance(v, memoryview | bytes) else str(v) for v in row
                )
    parts.extend(str(session.get_decoded()) for session in Session.objects.all())
    return "\n".join(parts)
