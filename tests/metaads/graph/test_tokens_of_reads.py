"""A reader's token comes from outside for every attempt; whether a refused read is repeated is asked, and bounded."""

from __future__ import annotations

import random
from typing import Any

import pytest

from metaads.graph import errors
from metaads.graph.batch import Read
from metaads.graph.client import GraphClient
from metaads.graph.errors import Answer
from tests.metaads.graph.wire import Asked, error, scripted

DEAD = error(190, 463, status=401)


def reader(replies: Any, given: list[str], **options: Any) -> tuple[GraphClient, list[str]]:
    """A client whose tokens are taken from `given`, and the tokens that were seen on the wire."""
    seen: list[str] = []

    def reply(asked: Asked) -> Any:
        seen.append(asked.headers["Authorization"].removeprefix("Bearer "))
        return replies.pop(0)

    transport, _ = scripted(reply)
    return (
        GraphClient(
            transport, lambda: given.pop(0), sleep=lambda _: None, random=random.Random(1), **options
        ),
        seen,
    )


def test_every_attempt_asks_for_its_token_anew() -> None:
    client, seen = reader([error(2, status=500), {"id": "10"}, {"id": "11"}], ["a", "b", "c"])
    client.node("10", ("id",))
    client.node("11", ("id",))
    assert seen == ["a", "b", "c"]


def test_every_page_asks_for_its_token_anew() -> None:
    more = {"data": [{"id": "1"}], "paging": {"cursors": {"after": "x"}, "next": "https://elsewhere"}}
    client, seen = reader([more, {"data": [{"id": "2"}]}], ["a", "b"])
    assert [row["id"] for row in client.edge("act_1", "ads", fields=("id",))] == ["1", "2"]
    assert seen == ["a", "b"]


def test_a_refused_read_is_repeated_only_when_it_is_said_so() -> None:
    told: list[tuple[str, str, int]] = []

    def say(answer: Answer, token: str, failed: int) -> bool:
        told.append((answer.rule, token, failed))
        return failed == 1

    client, seen = reader([DEAD, DEAD, DEAD], ["a", "b", "c"], next_token=say)
    with pytest.raises(errors.AuthFailed):
        client.node("10", ("id",))
    assert seen == ["a", "b"]
    assert told == [("token_expired", "a", 1), ("token_expired", "b", 2)]


def test_however_often_it_is_said_a_read_is_sent_with_three_tokens_at_most() -> None:
    client, seen = reader([DEAD] * 9, list("abcdefghi"), next_token=lambda *_: True)
    with pytest.raises(errors.AuthFailed):
        client.node("10", ("id",))
    assert seen == ["a", "b", "c"]


def test_each_page_has_its_own_repeats() -> None:
    more = {"data": [{"id": "1"}], "paging": {"cursors": {"after": "x"}, "next": "https://elsewhere"}}
    replies = [DEAD, more, DEAD, {"data": [{"id": "2"}]}]
    client, seen = reader(replies, list("abcd"), next_token=lambda answer, token, failed: failed == 1)
    assert [row["id"] for row in client.edge("act_1", "ads", fields=("id",))] == ["1", "2"]
    assert seen == list("abcd")


def test_a_whole_batch_is_repeated_and_the_quota_is_asked_for_both() -> None:
    asked: list[int] = []
    item = {"code": 200, "headers": [], "body": '{"id": "10"}'}
    client, seen = reader(
        [DEAD, [item]],
        ["a", "b"],
        next_token=lambda *_: True,
        before_call=lambda: asked.append(1),
    )
    (answer,) = client.batch([Read("10")])
    assert answer.ok and seen == ["a", "b"] and len(asked) == 2


@pytest.mark.parametrize("reply", [error(10, status=403), error(17, 2446079), error(100, 33)])
def test_nobody_is_asked_for_another_token_when_the_token_is_not_what_is_wrong(reply: Any) -> None:
    client, seen = reader([reply], ["a"], next_token=lambda *_: pytest.fail("asked"))
    with pytest.raises(errors.GraphError):
        client.node("10", ("id",))
    assert seen == ["a"]


def test_what_refuses_a_token_is_raised_and_nothing_is_sent() -> None:
    class Gone(Exception):
        pass

    def none() -> str:
        raise Gone

    transport, script = scripted([{"id": "10"}])
    with pytest.raises(Gone):
        GraphClient(transport, none).node("10", ("id",))
    assert script.asked == []
