"""Redis is away, or refuses: the cache is this process's own memory, and above all nobody is kept from stopping."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache, caches
from redis import RedisError

import config.cache
from config.cache import REST, RedisOrHere
from tests.processes import free_port


@pytest.fixture
def redis_is_away(settings: Any) -> Iterator[None]:
    """Nobody listens where Redis is said to be."""
    settings.CACHES = {
        "default": {"BACKEND": "config.cache.RedisOrHere", "LOCATION": f"redis://127.0.0.1:{free_port()}/0"}
    }
    yield
    RedisOrHere.rests.clear()
    cache.clear()


@pytest.mark.fault("F95")
def test_everything_can_be_stopped_through_the_api_while_redis_is_away(
    redis_is_away: None, agency: Any, client: Any
) -> None:
    client.force_login(agency.users.alice)
    body = {"scope": "everything", "reason": "Something is wrong"}
    assert client.post("/api/stop", body, content_type="application/json").status_code == 200
    assert client.get("/api/stop").json()["stops"][0]["reason"] == "Something is wrong"


@pytest.mark.fault("F95")
def test_a_password_may_be_guessed_no_more_often_while_redis_is_away(
    redis_is_away: None, settings: Any, agency: Any, client: Any
) -> None:
    settings.ACCOUNT_RATE_LIMITS = {}  # those of the product; they are off in other tests
    asked = [
        client.post("/accounts/login/", {"login": "alice@example.com", "password": f"guess {n}"})
        for n in range(6)
    ]
    assert all(answer.status_code < 500 for answer in asked)
    assert "Too many" in asked[-1].content.decode() and "Too many" not in asked[0].content.decode()


def test_every_way_of_asking_the_cache_is_answered_from_memory(redis_is_away: None) -> None:
    assert cache.get("a") is None and cache.get("a", 7) == 7
    cache.set("a", {"b": [1]})
    assert cache.get("a") == {"b": [1]} and cache.has_key("a") and "a" in cache
    assert not cache.add("a", 2) and cache.add("n", 2) and cache.incr("n") == 3 and cache.decr("n") == 2
    cache.set_many({"x": 1, "y": 2})
    assert cache.get_many(["x", "y", "z"]) == {"x": 1, "y": 2}
    assert cache.touch("x", 60) and cache.delete("x") and cache.get("x") is None
    cache.delete_many(["y"])
    assert cache.get_or_set("y", 5) == 5
    cache.clear()
    assert cache.get("a") is None


def test_a_redis_that_failed_is_asked_again_after_a_while_and_not_before(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CACHES = {"default": {"BACKEND": "config.cache.RedisOrHere", "LOCATION": "redis://redis.test/0"}}
    moment, there = 1000.0, Redis()
    monkeypatch.setattr(config.cache, "monotonic", lambda: moment)
    monkeypatch.setattr(caches["default"]._class, "get_client", lambda *_args, **_more: there)
    try:
        cache.set("a", 1)
        assert there.asked == 1 and cache.get("a") == 1, "it refuses, and the value is kept here"
        assert there.asked == 1, "the frozen second is not spent again"
        there.refuses, moment = False, moment + REST
        assert cache.get("a") == 2 and there.asked == 2
    finally:
        RedisOrHere.rests.clear()


class Redis:
    """Refuses to write, until it does not."""

    def __init__(self) -> None:
        self.refuses, self.asked = True, 0

    def set(self, *_args: object, **_more: object) -> None:
        self._ask()

    def get(self, *_args: object) -> bytes:
        self._ask()
        return b"2"

    def _ask(self) -> None:
        self.asked += 1
        if self.refuses:
            raise RedisError("You can't write against a read only replica.")
