"""`/api/session`: golden answers for each way of coming in, as published."""

from __future__ import annotations

import pytest

import tests.api.goldens as goldens

pytestmark = pytest.mark.django_db

#: golden name -> who asks, by what, method, status
ASKED = {
    "by-session": ("bob", "session", "get", 200),
    "by-token": ("bob", "jwt", "get", 200),
    "by-key": ("ivan", "key", "get", 200),
    "client-role": ("vera", "session", "get", 200),
    "stay": ("bob", "session", "post", 200),
    "nobody": (None, "session", "get", 401),
}


@pytest.mark.parametrize("name", ASKED)
def test_the_answer_is_the_golden_one_and_as_published(agency, clock, call, published, name):
    who, by, method, status = ASKED[name]
    answer = call(who, by).send(method, "/api/session")
    assert answer.status == status, answer.text
    assert published.wrong(method, "/api/session", answer) == []
    came = goldens.read(answer.text)
    came.pop("request_id", None)
    goldens.compare(
        f"session/{name}",
        request={"method": method.upper(), "path": "/api/session", "by": f"{who} ({by})"},
        response={"status": goldens.Number(answer.status), "body": came},
    )
