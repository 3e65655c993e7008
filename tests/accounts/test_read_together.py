"""What is read of many sessions and people at once is what is read of each alone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import settings as project
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user
from django.contrib.sessions.backends.cache import SessionStore as CacheStore
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.utils import timezone

import accounts.access as access
import accounts.acting as acting
import accounts.policies as policies
import accounts.sessions as sessions
from accounts.models import Role
from tests.conftest import START

pytestmark = pytest.mark.django_db


def held(user, engine=SessionStore, **changed):
    session = engine()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = project.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    for name, value in changed.items():
        session[name] = value
    session.save()
    return session


def test_the_person_of_a_session_is_the_one_that_django_sees(agency, settings):
    people = agency.users
    gone, off = people.ivan, people.vera
    made = [
        held(people.bob),
        held(people.alice),
        held(people.bob, **{HASH_SESSION_KEY: "another password's"}),
        held(people.bob, **{HASH_SESSION_KEY: ""}),
        held(people.bob, **{HASH_SESSION_KEY: people.alice.get_session_auth_hash()}),
        held(people.bob, **{BACKEND_SESSION_KEY: "django.contrib.auth.backends.ModelBackend"}),
        held(gone),
        held(off),
        SessionStore(),
    ]
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "a newer one", [settings.SECRET_KEY]
    type(off).objects.filter(pk=off.pk).update(is_active=False)
    gone.delete()
    together = sessions.persons(made)
    assert together == [sessions.person(session) for session in made]
    # Django's own look writes: it comes last.
    assert together == [get_user(type("Holder", (), {"session": session})()) for session in made]
    assert [user.is_authenticated for user in together] == [True, True] + 7 * [False]


def test_contents_of_sessions_are_what_each_of_them_loads(agency):
    good, over = held(agency.users.bob, mark=1), held(agency.users.bob)
    Session.objects.filter(pk=over.session_key).update(expire_date=timezone.now() - timedelta(seconds=1))
    keys = [good.session_key, over.session_key, "gone" * 8, f"{good.session_key}\0", ""]
    found = sessions.contents(keys)
    assert list(found) == [good.session_key]
    assert found[good.session_key] == SessionStore(good.session_key).load()
    assert SessionStore(over.session_key).load() == {}


def test_an_engine_that_knows_no_statements_is_asked_for_each_session(agency, settings):
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"
    one, other = held(agency.users.bob, CacheStore, mark=1), held(agency.users.vera, CacheStore)
    found = sessions.contents([one.session_key, other.session_key, "gone" * 8])
    assert found[one.session_key]["mark"] == 1
    assert sessions.person(found[other.session_key]) == agency.users.vera
    assert not sessions.person(found["gone" * 8]).is_authenticated


def test_principals_of_many_sessions_are_those_of_each(agency, django_assert_num_queries):
    began = {"since": int(START.timestamp()), "until": int((START + timedelta(hours=1)).timestamp())}
    users, here = agency.users, agency.northwind.pk
    pairs = [
        ({"acting": {"client": client, "user": user.pk, **began}} if client else {}, user)
        for client in (None, here, agency.southwind.pk, 10**6)
        for user in (users.alice, users.bob, users.vic)
    ]
    pairs.append(({"acting": {"client": here, "user": users.bob.pk, **began}}, users.alice))
    pairs.append(({}, sessions.person({})))
    with django_assert_num_queries(2):
        together = acting.principals(pairs, now=START)
    alone = [acting.principal(session=session, user=user, now=START) for session, user in pairs]
    assert together == alone
    assert {principal.kind for principal in together} == {"person", "acting", "nobody"}
    assert together[:3] == [access.principal_of(user) for user in (users.alice, users.bob, users.vic)]
    assert together[-2] == together[0], "what another began in this session is not hers"


def test_a_client_is_the_same_found_among_everybodys_clients_or_alone(agency):
    everybody = [agency.principals.alice, agency.principals.bob, agency.principals.charlie]
    among = access.clients(*everybody)
    for principal in everybody:
        for ref in ("northwind", "southwind", str(agency.southwind.uuid), None, "nothing"):
            answers = []
            for more in ({}, {"among": among}):
                try:
                    answers.append(access.client(principal, ref, **more))
                except Exception as refused:
                    answers.append((type(refused), str(refused), refused.advice))
            assert answers[0] == answers[1]
    assert access.clients(agency.principals.bob, agency.principals.vic) == [agency.northwind]


def test_who_lacks_a_second_factor_among_many_is_who_is_refused_alone(agency):
    for role in (Role.BUYER, Role.OWNER):
        policies.require_mfa(role=role, required=True, principal=agency.principals.alice, now=START)
    people = vars(agency.users).values()
    refused = policies.refused([user.pk for user in people])
    assert refused == {user.pk for user in people if policies.refusal(user) is not None}
    assert refused == {agency.users.bob.pk, agency.users.alice.pk}
