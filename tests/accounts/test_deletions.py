"""A Meta user leaves: everything of theirs ends at every client, once, and only when Meta itself says so."""

import base64
import hashlib
import hmac
import json
import logging
import os

import pytest
from allauth.socialaccount.models import SocialAccount
from django.test import Client as Browser
from django.test import RequestFactory
from django.urls import resolve
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

import campaigns.erasure
import insights.erasure
import strategies.erasure
from accounts import alerts, connections, deletions, sentinel, tokens
from accounts.errors import NoConnection
from accounts.models import (
    Alert,
    AuditLine,
    ConnectionState,
    MetaConnection,
    OutboxMessage,
    PendingGrant,
    SignedRequest,
    UserRequest,
)
from tests import door
from tests.conftest import START

SECRET = "sandbox-secret"
LEAVE, FORGET = "/webhooks/meta/deauthorize", "/webhooks/meta/data-deletion"
NOBODY = "10200000000099999"


def b64(value):
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def signed(user_id, secret=SECRET, issued_at=1_795_000_000, **changes):
    payload = {"user_id": user_id, "algorithm": "HMAC-SHA256", "issued_at": issued_at, **changes}
    encoded = b64(json.dumps({key: value for key, value in payload.items() if value is not None}).encode())
    return f"{b64(hmac.new(secret.encode(), encoded.encode(), hashlib.sha256).digest())}.{encoded}"


def everybody(now):
    """The round of every floor that has a part in deletions, then ours."""
    for floor in (campaigns.erasure, insights.erasure, strategies.erasure):
        floor.sweep(now=now)
    deletions.sweep(now=now)
    sentinel.reconcile(now=now)


def post(path, text, **headers):
    return Browser(enforce_csrf_checks=True).post(path, {"signed_request": text}, **headers)


@pytest.fixture
def two(connected, sandbox, clock):
    """Alice's Meta user, connected at both clients, with a grant that waits and a sign-in by Facebook."""
    own = MetaConnection.everything.get()
    MetaConnection.everything.create(
        client=connected.southwind,
        meta_user_id=own.meta_user_id,
        meta_user_name=own.meta_user_name,
        token="EAAsouthwind",
        scopes=own.scopes,
        connected_at=START,
    )
    MetaConnection.everything.create(
        client=connected.southwind,
        meta_user_id="77",
        meta_user_name="Other",
        token="EAAo",
        connected_at=START,
    )
    PendingGrant.everything.create(
        client=connected.northwind,
        user=connected.users.alice,
        session_key="s",
        meta_user_id=own.meta_user_id,
        token="EAAgrant",
        expires_at=START,
    )
    SocialAccount.objects.create(user=connected.users.alice, provider="facebook", uid=own.meta_user_id)
    connected.meta_user, connected.name = own.meta_user_id, own.meta_user_name
    return connected


def theirs(two):
    return MetaConnection.everything.filter(meta_user_id=two.meta_user)


@pytest.mark.fault("F130")
def test_a_removed_app_ends_every_connection_of_that_user_everywhere(two, clock):
    assert tokens.write_token(two.ad_account)
    answer = post(LEAVE, signed(two.meta_user))
    assert answer.status_code == 200
    assert [(row.state, row.token) for row in theirs(two)] == [(ConnectionState.REVOKED, "")] * 2
    assert not PendingGrant.everything.exists()
    for use in (tokens.write_token, tokens.reader):
        with pytest.raises(NoConnection, match="removed at Facebook"):
            use(two.ad_account)
    other = MetaConnection.everything.get(meta_user_id="77")
    assert (other.state, other.token) == (ConnectionState.CONNECTED, "EAAo")
    for principal in (two.principals.bob, two.principals.charlie):
        (alert,) = alerts.open_alerts(principal)
        assert alert.severity == "critical" and "removed the app at Facebook" in alert.title
    assert AuditLine.everything.filter(verb="meta_deauthorize").count() == 2


@pytest.mark.fault("F130")
def test_the_alert_stays_until_the_account_is_connected_again(two, sandbox, clock):
    post(LEAVE, signed(two.meta_user))
    sentinel.reconcile(now=clock.now())
    assert Alert.everything.filter(key__startswith="connection:", closed_at__isnull=True).count() == 2
    connections.connect(
        client=two.northwind,
        principal=two.principals.alice,
        token=sandbox.token("alice"),
        now=clock.now(),
        user=two.users.alice,
    )
    sentinel.reconcile(now=clock.now())
    (left,) = Alert.everything.filter(key__startswith="connection:", closed_at__isnull=True)
    assert left.client == two.southwind


@pytest.mark.fault("F129")
@pytest.mark.parametrize("path", [LEAVE, FORGET])
def test_a_replay_gives_the_same_code_and_touches_nothing(two, sandbox, clock, path):
    text = signed(two.meta_user)
    first = post(path, text).json()
    everybody(clock.now())
    connections.connect(
        client=two.northwind,
        principal=two.principals.alice,
        token=sandbox.token("alice"),
        now=clock.now(),
        user=two.users.alice,
    )
    clock.advance(86_400)
    assert post(path, text).json() == first
    everybody(clock.now())
    assert MetaConnection.everything.get(client=two.northwind).state == ConnectionState.CONNECTED
    assert UserRequest.objects.count() == SignedRequest.objects.count() == 1


@pytest.mark.fault("F129")
def test_asking_twice_while_the_first_is_open_is_one_job_and_later_is_another(two, clock):
    first = post(FORGET, signed(two.meta_user, issued_at=1)).json()
    assert post(FORGET, signed(two.meta_user, issued_at=2)).json() == first
    everybody(clock.now())
    assert post(FORGET, signed(two.meta_user, issued_at=2)).json() == first
    assert post(FORGET, signed(two.meta_user, issued_at=3)).json() != first


@pytest.mark.fault("F130")
@pytest.mark.parametrize("path", [LEAVE, FORGET])
def test_of_an_unknown_user_nothing_is_stopped_and_there_is_a_code(two, clock, path):
    answer = post(path, signed(NOBODY))
    assert answer.status_code == 200 and len(answer.json()["confirmation_code"]) == 20
    everybody(clock.now())
    assert {row.state for row in MetaConnection.everything.all()} == {ConnectionState.CONNECTED}
    assert UserRequest.objects.get().done_at == clock.now()


@pytest.mark.fault("F93")
def test_both_app_secrets_count_while_one_is_replaced(two, settings):
    settings.META = {**settings.META, "app_secret": "new", "app_secret_previous": SECRET}
    assert post(LEAVE, signed(NOBODY, SECRET)).status_code == 200
    assert post(LEAVE, signed(NOBODY, "new")).status_code == 200
    settings.META = {**settings.META, "app_secret_previous": ""}
    assert post(LEAVE, signed(NOBODY, SECRET)).status_code == 400


@pytest.mark.fault("F131")
def test_a_deletion_stops_at_once_waits_for_the_other_floors_and_then_forgets(two, clock, monkeypatch):
    monkeypatch.setattr(deletions, "_parts", dict(deletions._parts))
    deletions.expect(part="above", words="Lines of the ledger that name you")
    answer = post(FORGET, signed(two.meta_user)).json()
    code = answer["confirmation_code"]
    assert answer["url"] == f"http://localhost:3000/data-deletion/{code}/"
    assert [(row.state, row.token, row.meta_user_name) for row in theirs(two)] == [
        (ConnectionState.DELETING, "", "")
    ] * 2
    with pytest.raises(NoConnection):
        tokens.write_token(two.ad_account)

    everybody(clock.now())
    assert theirs(two).count() == 2, "the floor above still needs to know whose"
    page = Browser().get(f"/data-deletion/{code}/").content.decode()
    assert "In progress" in page and page.count("waiting") == 2, "ours, and the one above"

    (waiting,) = deletions.pending(part="above")
    assert waiting.meta_user_id == two.meta_user
    deletions.part_done(request=waiting, part="above", now=clock.now())
    clock.advance(60)
    everybody(clock.now())
    assert not theirs(two).exists() and MetaConnection.everything.filter(meta_user_id="77").exists()
    assert not SocialAccount.objects.exists()
    page = Browser().get(f"/data-deletion/{code}/").content.decode()
    assert "Done on" in page and "waiting" not in page
    assert two.ad_account.__class__.everything.filter(pk=two.ad_account.pk).exists(), "the client's own"


@pytest.mark.fault("N26")
@pytest.mark.fault("F131")
def test_after_a_deletion_no_row_of_this_floor_names_the_person(two, clock):
    sentinel.reconcile(now=clock.now())
    post(LEAVE, signed(two.meta_user))  # leaves an alert with the name
    post(FORGET, signed(two.meta_user))
    everybody(clock.now())
    assert two.name
    found = [
        (model.__name__, row.pk)
        for model in (
            MetaConnection,
            PendingGrant,
            Alert,
            AuditLine,
            OutboxMessage,
            UserRequest,
            SignedRequest,
        )
        for row in getattr(model, "everything", model._base_manager).all()
        if any(two.meta_user in str(value) or two.name in str(value) for value in vars(row).values())
    ]
    assert found == []


@pytest.mark.fault("F131")
def test_a_connection_that_is_made_anew_during_a_deletion_stays(two, sandbox, clock):
    post(FORGET, signed(two.meta_user))
    connections.connect(
        client=two.northwind,
        principal=two.principals.alice,
        token=sandbox.token("alice"),
        now=clock.now(),
        user=two.users.alice,
    )
    everybody(clock.now())
    (left,) = theirs(two)
    assert (left.client, left.state) == (two.northwind, ConnectionState.CONNECTED)
    assert not Alert.everything.filter(
        client=two.northwind, key__startswith="deletion:", closed_at__isnull=True
    ).exists()


def test_a_disconnect_in_between_does_not_take_a_row_out_of_the_deletion(two, clock):
    post(FORGET, signed(two.meta_user))
    row = theirs(two).get(client=two.northwind)
    connections.disconnect(connection=row, principal=two.principals.alice, now=clock.now())
    everybody(clock.now())
    assert not theirs(two).exists()


def test_the_sandbox_signs_as_the_product_reads(two, sandbox):
    address = "https://graph.facebook.com/_sandbox/signed_request"
    text = door.session(sandbox).post(address, json={"user": "alice"}).json()["signed_request"]
    assert post(LEAVE, text).status_code == 200
    assert {row.state for row in theirs(two)} == {ConnectionState.REVOKED}


def test_an_unknown_code_is_a_page_that_says_so(agency):
    answer = Browser().get("/data-deletion/0123456789/")
    assert answer.status_code == 404 and b"no deletion with this code" in answer.content
    code = post(LEAVE, signed(NOBODY)).json()["confirmation_code"]
    assert Browser().get(f"/data-deletion/{code}/").status_code == 404


GOOD = signed(NOBODY)


@pytest.mark.fault("F128")
@pytest.mark.django_db
@pytest.mark.parametrize(
    "text",
    [
        "", ".", "nodot", f"{GOOD}.x", GOOD.replace(".", ""), "!!!." + GOOD.split(".")[1], "ä.ö", "\x00.\x00",
        f"{GOOD}=", GOOD.replace(".", "=."), GOOD.split(".")[0] + ".", "." + GOOD.split(".")[1], GOOD + "\n",
        signed(NOBODY, ""), signed(NOBODY, "wrong"), signed(NOBODY, algorithm="none"), "a." * 50_000,
        signed(NOBODY, algorithm=None), signed(None), signed(7), signed("7; drop"), signed("7" * 31), "x" * 3_000_000,
    ],
    ids=range(23),
)  # fmt: skip
@pytest.mark.parametrize("path", [LEAVE, FORGET])
def test_forged_or_malformed_is_refused_and_logged_nowhere(path, text, caplog):
    with caplog.at_level(logging.DEBUG):
        assert post(path, text).status_code == 400
    quoted = [part for part in text.split(".") if len(part) > 8]
    assert not [part for part in quoted if part in caplog.text]
    assert not UserRequest.objects.exists()


@pytest.mark.fault("F128")
@pytest.mark.django_db
def test_without_the_field_or_with_another_method_it_is_refused():
    browser = Browser(raise_request_exception=False)
    assert browser.post(LEAVE).status_code == 400
    assert browser.post(FORGET, b"{", content_type="application/json").status_code == 400
    assert browser.post(FORGET, b"--x", content_type="multipart/form-data; boundary=").status_code == 400
    odd = "application/x-www-form-urlencoded; charset=u"
    assert browser.generic("POST", LEAVE, b"a=1", content_type=odd).status_code == 400
    assert browser.get(LEAVE).status_code == 405
    assert browser.get(f"{FORGET}?signed_request={GOOD}").status_code == 405


@pytest.mark.django_db
def test_without_an_app_secret_nobody_is_believed(settings):
    settings.META = {**settings.META, "app_secret": "", "app_secret_previous": ""}
    assert post(LEAVE, signed(NOBODY, "")).status_code == 400


LETTERS = "ABCXYZabcxyz0189-_=.+/ \n\x00äé😀"


@st.composite
def mutants(draw):
    """A good request with one to four edits; never the good one itself."""
    text = list(GOOD)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text) - 1))
        edit = draw(st.sampled_from(["replace", "insert", "delete", "cut", "swap", "double"]))
        if edit == "replace":
            text[at] = draw(st.sampled_from(LETTERS))
        elif edit == "insert":
            text.insert(at, draw(st.sampled_from(LETTERS)))
        elif edit == "delete" and len(text) > 1:
            del text[at]
        elif edit == "cut":
            text = text[:at] or ["a"]
        elif edit == "swap":
            text[at], text[-1] = text[-1], text[at]
        elif edit == "double":
            text = (text + text)[:1_000]
    made = "".join(text)
    return made if made != GOOD else made + "A"


def every_last_letter():
    """The signature's last letter has two bits that no byte uses: each other spelling of the same bytes."""
    seal, payload = GOOD.split(".")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return [f"{seal[:-1]}{letter}.{payload}" for letter in alphabet if letter != seal[-1]]


@pytest.mark.fault("F128")
@pytest.mark.django_db
def test_no_second_spelling_of_a_signature_passes():
    assert [text for text in every_last_letter() if post(LEAVE, text).status_code != 400] == []


def _fuzz(count):
    """At the view, without sessions and templates around it: what raises would be a 5xx."""
    seen, ask = [], RequestFactory()

    @effort(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(mutants(), st.sampled_from([LEAVE, FORGET]))
    def refused(text, path):
        seen.append(text)
        assert resolve(path).func(ask.post(path, {"signed_request": text})).status_code == 400

    refused()
    assert len(seen) >= count
    assert not UserRequest.objects.exists()


@pytest.mark.fault("F128")
@pytest.mark.django_db
def test_two_thousand_mutants_are_refused_and_none_breaks_it():
    _fuzz(2_000)


@pytest.mark.prove
@pytest.mark.fault("F128")
@pytest.mark.django_db
def test_twenty_thousand_mutants_are_refused_and_none_breaks_it():
    _fuzz(int(os.environ.get("PROVE_N") or 20_000))
