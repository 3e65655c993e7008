"""Looking after a connection and inviting a client's own person, by API: golden answers, as published."""

from __future__ import annotations

import json
from typing import Any

import pytest

import accounts.links as links
import tests.api.goldens as goldens
from accounts.models import ConnectLink, MetaConnection

pytestmark = pytest.mark.django_db

BASE = "/api/meta-oauth"


def _this(world: Any) -> dict[str, str]:
    return {"connection_id": str(world.connection.uuid)}


#: golden name -> who asks, path, body, status, the state that the connection has before
ASKED: dict[str, tuple[str, str, Any, int, str]] = {
    "pause": ("alice", "pause", _this, 200, "connected"),
    "pause-ended": ("alice", "pause", _this, 409, "reauth_needed"),
    "pause-as-buyer": ("bob", "pause", _this, 403, "connected"),
    "pause-foreign": ("charlie", "pause", _this, 404, "connected"),
    "resume": ("alice", "resume", _this, 200, "paused"),
    "resume-revoked": ("alice", "resume", _this, 409, "revoked"),
    "discover": ("alice", "discover", _this, 200, "connected"),
    "discover-paused": ("alice", "discover", _this, 409, "paused"),
    "invite": ("alice", "invite", lambda w: {"client": "northwind", "email": "Carol@Example.com"}, 201, ""),
    "invite-no-address": ("alice", "invite", lambda w: {"client": "northwind", "email": "carol"}, 400, ""),
    "invite-as-buyer": (
        "bob",
        "invite",
        lambda w: {"client": "northwind", "email": "c@example.com"},
        403,
        "",
    ),
    "withdraw": ("alice", "withdraw", lambda w: {"link_id": str(w.link.uuid)}, 200, ""),
    "withdraw-nothing": ("alice", "withdraw", lambda w: {"link_id": str(w.connection.uuid)}, 404, ""),
}


@pytest.fixture
def world(house: Any) -> Any:
    house.link = links.invite(
        client=house.northwind,
        principal=house.principals.alice,
        user=house.users.alice,
        email="sid@example.com",
        now=house.clock.now(),
    )
    return house


@pytest.mark.parametrize("name", ASKED)
def test_the_answer_is_the_golden_one_and_as_published(
    world: Any, call: Any, published: Any, name: str
) -> None:
    who, path, fill, status, state = ASKED[name]
    if state:
        MetaConnection.everything.update(state=state)
    body, where = fill(world), f"{BASE}/{path}"
    answer = call(who).post(where, body)
    assert answer.status == status, answer.text
    assert published.wrong("post", where, answer) == []
    assert published.wrong_body("post", where, body) == []
    came = goldens.read(answer.text)
    came.pop("request_id", None)
    goldens.compare(
        f"connections/{name}",
        request={"method": "POST", "path": where, "by": who, "body": goldens.read(json.dumps(body))},
        response={"status": goldens.Number(answer.status), "body": came},
    )


@pytest.mark.parametrize("path", ["pause", "resume", "discover", "invite", "withdraw"])
@pytest.mark.parametrize("body", [{}, [], {"connection_id": "x", "link_id": "x", "email": "x"}, None])
def test_a_body_that_says_nothing_is_a_400(world: Any, call: Any, path: str, body: Any) -> None:
    assert call("alice").post(f"{BASE}/{path}", body).status == 400


def test_the_same_key_invites_once(world: Any, call: Any) -> None:
    body = {"client": "northwind", "email": "carol@example.com"}
    first, second = (
        call("alice").post(f"{BASE}/invite", body, **{"Idempotency-Key": "once"}) for _ in range(2)
    )
    assert first.text == second.text
    assert ConnectLink.everything.filter(sent_to="carol@example.com").count() == 1
