"""Who gets an answer: nobody, the wrong client, and the three ways to sign in; one row per path of the brief."""

from __future__ import annotations

import pytest

from accounts.access import VERBS
from accounts.keys import issue
from accounts.models import MetaConnection
from campaigns.models import Change
from strategies.models import Decision
from tests.api.callers import WAYS, Caller
from tests.api.paths import CALLBACK, PATHS, WRITES

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_nobody_and_another_client_get_nothing_and_learn_nothing(house, call, published, path):
    where, body = path.fill(house)
    nobody = call(None).send(path.method, where, body)
    assert (nobody.status, nobody.kind) == (401, "application/problem+json")
    assert nobody.headers["WWW-Authenticate"].startswith("Bearer")
    assert published.wrong(path.method, path.template, nobody) == []

    charlie = call("charlie")
    theirs, random = charlie.send(path.method, where, body), charlie.send(path.method, *path.lost)
    assert theirs.without_trace() == random.without_trace()
    assert (theirs.status, theirs.kind) == (404, "application/problem+json")
    assert published.wrong(path.method, path.template, theirs) == []
    assert not Change.everything.exists() and not Decision.everything.exists()
    assert MetaConnection.everything.get().state == "connected"


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_session_key_and_jwt_are_three_ways_to_the_same_answer(house, call, published, path):
    where, body = path.fill(house)
    token = house.connection.token
    seen = []
    for way in WAYS:
        answer = call(path.who, way).send(path.method, where, body)
        assert answer.status == path.status, (way, answer.text)
        assert published.wrong(path.method, path.template, answer) == []
        seen.append(answer.body)
        if path.name == "disconnect":  # a second one would find nothing left to end
            MetaConnection.everything.update(state="connected")
            row = MetaConnection.everything.get()
            row.token = token
            row.save()
    if path.name == "authorize-url":  # each link is its own
        assert len({one["url"] for one in seen}) == 3
    elif path.name in ("strategies-execute", "disconnect"):  # each is one more evaluation, one more farewell
        assert len({tuple(one) for one in seen}) == 1
    else:
        assert seen[0] == seen[1] == seen[2]


@pytest.mark.parametrize("path", WRITES, ids=str)
def test_a_session_writes_only_with_its_csrf_token(house, call, published, path):
    where, body = path.fill(house)
    for headers in ({"X-CSRFToken": ""}, {"X-CSRFToken": "d" * 32}):
        answer = call(path.who).send(path.method, where, body, **headers)
        assert (answer.status, answer.body["code"]) == (403, "permission_denied")
        assert published.wrong(path.method, path.template, answer) == []
    assert not Change.everything.exists() and not Decision.everything.exists()
    assert MetaConnection.everything.get().state == "connected"


@pytest.mark.parametrize("path", WRITES, ids=str)
def test_a_viewer_and_a_key_for_reading_only_may_not_write(house, call, published, path):
    where, body = path.fill(house)
    _, text = issue(
        user=house.users.alice,
        name="reader",
        scopes=["view"],
        principal=house.principals.alice,
        now=house.clock.now(),
    )
    reader = Caller(house.users, None)
    reader.headers = {"X-API-Key": text}
    for caller in (call("vic"), reader):
        answer = caller.send(path.method, where, body)
        assert answer.status == 403 and answer.body["code"].removeprefix("may_not_") in VERBS
        assert published.wrong(path.method, path.template, answer) == []
    assert not Change.everything.exists() and not Decision.everything.exists()
    assert MetaConnection.everything.get().state == "connected"


def test_the_callback_opens_nothing_without_the_session_that_began(house, call):
    for caller in (call(None), call("charlie"), call("alice")):
        answer = caller.get(f"{CALLBACK}?code=stolen&state=guessed")
        assert answer.status == 403 and "Location" not in answer.headers
    assert MetaConnection.everything.count() == 1


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_the_other_method_is_a_405_that_names_the_right_one(house, call, path):
    where, body = path.fill(house)
    other = "post" if path.method == "get" else "get"
    answer = call(path.who).send(other, where, body)
    # `campaigns/{id}/status` has no GET, and no other path looks like it.
    assert (answer.status, answer.kind) == (405, "application/problem+json")
    assert path.method.upper() in answer.headers["Allow"]
