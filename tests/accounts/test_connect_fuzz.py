"""Whatever becomes of state, code, session or address on the way back: nothing is stored, and nothing crashes."""

from __future__ import annotations

import os
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from django.conf import settings as django_settings
from django.contrib.sessions.models import Session
from django.test import Client as Browser
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import PendingGrant
from tests.accounts.test_connect import Dance, nothing_stored

N = int(os.environ.get("PROVE_N", "0")) or 40
TEXT = st.text(max_size=40)
#: What may happen to one value: replaced, cut, lengthened, one character turned, doubled, turned around.
SPOIL = st.one_of(
    st.just("").map(lambda _: lambda value: ""),
    TEXT.map(lambda text: lambda value: text),
    st.integers(0, 30).map(lambda n: lambda value: value[:n] if value[:n] != value else value[:-1]),
    TEXT.filter(bool).map(lambda text: lambda value: value + text),
    TEXT.filter(bool).map(lambda text: lambda value: text + value),
    st.integers(0, 10_000).map(
        lambda n: (
            lambda value: (
                value[: n % len(value)]
                + chr((ord(value[n % len(value)]) + 1) % 0x7F or 65)
                + value[n % len(value) + 1 :]
            )
        )
    ),
    st.just(0).map(lambda _: lambda value: value.swapcase() if value.swapcase() != value else value + "x"),
    st.just(0).map(lambda _: lambda value: value * 50),
)
PATHS = st.sampled_from(["/auth/meta/callback", "/api/meta-oauth/callback"])
QUIET = settings(
    max_examples=N,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def dance(sandbox, agency):
    return Dance(sandbox, agency.users.alice)


def spoilt(dance, path, **changes):
    """Meta's answer with some of its values changed."""
    query = dict(parse_qsl(urlsplit(dance.back).query))
    return f"{path}?{urlencode({name: changes.get(name, str)(value) for name, value in query.items()})}"


def refused(answer):
    assert 400 <= answer.status_code < 500, answer.status_code
    assert "/connections/confirm/" not in answer.headers.get("Location", "")
    assert nothing_stored() and not PendingGrant.everything.exists()


def fresh(dance):
    """A dance up to Meta's answer; no call's count of an earlier example is in the way."""
    from metaads.models import QuotaScope

    QuotaScope.objects.all().delete()
    dance.start()
    dance.decide()


@pytest.mark.fault("F81")
@QUIET
@given(spoil=SPOIL, path=PATHS)
def test_a_changed_state_is_refused(dance, spoil, path):
    fresh(dance)
    refused(dance.web.get(spoilt(dance, path, state=spoil)))


@pytest.mark.fault("F84")
@QUIET
@given(spoil=SPOIL, path=PATHS)
def test_a_changed_code_is_refused_and_the_state_is_used_up(dance, spoil, path):
    fresh(dance)
    refused(dance.web.get(spoilt(dance, path, code=spoil)))
    # The right code comes too late: its state has been used.
    refused(dance.land())


@pytest.mark.fault("F81")
@QUIET
@given(
    who=st.sampled_from(["nobody", "bob", "charlie", "vic", "alice elsewhere", "alice renewed"]), path=PATHS
)
def test_another_session_is_refused(dance, agency, who, path):
    fresh(dance)
    web = Browser()
    if who == "alice elsewhere":
        web.force_login(agency.users.alice)
    elif who == "alice renewed":
        web = dance.web
        Session.objects.filter(session_key=web.session.session_key).delete()
        web.force_login(agency.users.alice)
    elif who != "nobody":
        web.force_login(getattr(agency.users, who))
    refused(web.get(spoilt(dance, path)))


@pytest.mark.fault("F81")
@QUIET
@given(
    changes=st.dictionaries(
        st.sampled_from(["purpose", "client", "user", "link", "renews", "at"]),
        st.one_of(
            st.none(), st.booleans(), st.integers(-5, 10**12), TEXT, st.lists(st.integers(), max_size=2)
        ),
        min_size=1,
    )
)
def test_a_state_whose_content_was_changed_stores_no_connection(dance, agency, changes):
    """Nobody can write into a session; should it be damaged, the dance ends in a refusal, or in the question."""
    fresh(dance)
    session = dance.web.session
    states = session["socialaccount_states"]
    (state, *rest), name = states[dance.asked["state"]], dance.asked["state"]
    states[name] = ({**state, "data": {**state["data"], **changes}}, *rest)
    session["socialaccount_states"] = states
    session.save()
    answer = dance.land()
    assert answer.status_code < 500
    assert nothing_stored()
    for grant in PendingGrant.everything.all():
        # What got through is still of this person, this session and this client.
        assert (grant.user, grant.client) == (agency.users.alice, agency.northwind)
    PendingGrant.everything.all().delete()


@QUIET
@given(
    query=st.dictionaries(TEXT, TEXT, max_size=6), path=PATHS, method=st.sampled_from(["get", "post", "head"])
)
def test_any_query_is_answered_without_a_crash(dance, query, path, method):
    dance.web.raise_request_exception = True
    answer = getattr(dance.web, method)(f"{path}?{urlencode(query)}")
    assert answer.status_code < 500
    assert nothing_stored() and not PendingGrant.everything.exists()


@QUIET
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="/\x00?#"), min_size=1, max_size=80))
def test_any_link_is_answered_without_a_crash(dance, text):
    for web in (dance.web, Browser()):
        for answer in (web.get(_link(text)), web.post(_link(text))):
            assert answer.status_code in (302, 404, 405)
            assert not answer.headers.get("Location", "").startswith(django_settings.META["dialog_url"])


def _link(text):
    from urllib.parse import quote

    return f"/connections/connect/{quote(text, safe='')}/"
