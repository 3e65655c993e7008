"""Parsing is total: no bytes make it raise, and no bytes make it say OK wrongly."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from metaads.graph import errors
from metaads.graph.errors import Answer, Kind
from tests.metaads.graph.error_corpus import CASES

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
CODES = st.sampled_from(sorted({case.code for case in CASES})) | st.integers(-5, 90_000)
SUBCODES = st.sampled_from([case.subcode for case in CASES]) | st.integers(0, 5_000_000) | st.none()
ERRORS = st.fixed_dictionaries(
    {},
    optional={
        "code": CODES | CODES.map(str) | JSON,
        "error_subcode": SUBCODES | JSON,
        "message": st.text(max_size=60) | JSON,
        "is_transient": st.booleans() | JSON,
        "error_data": JSON | JSON.map(json.dumps),
        "error_user_msg": JSON,
        "fbtrace_id": JSON,
    },
)
ENVELOPES = st.fixed_dictionaries(
    {"error": ERRORS | JSON}, optional={"success": JSON, "data": JSON, "id": JSON}
)
SUCCESSES = st.dictionaries(st.sampled_from(["id", "data", "success", "paging"]), JSON, max_size=4)
VALID = st.sampled_from([case.body for case in CASES] + [b'{"success":true}', b'{"data":[{"id":"1"}]}'])


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A valid answer with a few bytes cut, changed or repeated."""
    body = bytearray(draw(VALID))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(body)))
        how = draw(st.sampled_from(["cut", "set", "insert"]))
        if how == "cut":
            del body[place:]
        elif how == "set" and place < len(body):
            body[place] = draw(st.integers(0, 255))
        else:
            body[place:place] = draw(st.binary(max_size=5))
    return bytes(body)


BODIES = (
    st.binary(max_size=200)
    | damaged()
    | (ENVELOPES | SUCCESSES | JSON).map(lambda value: json.dumps(value).encode())
    | (ENVELOPES | JSON).map(
        lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
    )
)
STATUSES = (
    st.sampled_from([0, 200, 201, 204, 301, 302, 304, 400, 401, 403, 404, 429, 500, 502, 503]) | st.integers()
)
HEADERS = st.dictionaries(
    st.sampled_from(["Retry-After", "X-App-Usage", "x-other"]), st.text(max_size=20), max_size=3
)
TYPES = st.sampled_from(["application/json", "text/html", "", "text/javascript; charset=UTF-8"])


def judge(
    body: bytes, status: int, kind: str = "application/json", headers: dict[str, str] | None = None
) -> Answer:
    return errors.classify(status=status, content_type=kind, body=body, headers=headers or {})


@pytest.mark.fault("F35", "F36")
@settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=BODIES, status=STATUSES, kind=TYPES, headers=HEADERS)
def test_any_bytes_become_exactly_one_kind_and_ok_is_never_a_guess(
    body: bytes, status: int, kind: str, headers: dict[str, str]
) -> None:
    answer = judge(body, status, kind, headers)
    assert isinstance(answer.kind, Kind)
    repr(answer).encode("utf-8")
    if answer.kind is Kind.OK:
        assert 200 <= status <= 299
        value: Any = json.loads(body)
        assert value is True or isinstance(value, (dict, list))
        if isinstance(value, dict):
            assert "error" not in value
            assert value.get("success", True) not in (False, None, "false", "", 0)
    else:
        str(errors.error_for(answer)).encode("utf-8")


@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(error=ERRORS, status=STATUSES)
@example(error={"code": 0, "error_subcode": 1504041}, status=400)
def test_a_refusal_always_rests_on_a_listed_code(error: dict[str, Any], status: int) -> None:
    answer = judge(json.dumps({"error": error}).encode(), status)
    assert answer.kind is not Kind.OK
    if answer.kind is Kind.REFUSED:
        assert answer.code is not None
        assert answer.code in {case.code for case in CASES} or answer.code in errors._VALIDATION
        assert not 300 <= status <= 399


@settings(max_examples=60, deadline=None)
@given(depth=st.integers(1, 60_000), opening=st.sampled_from([b"[", b'{"error":', b'{"a":']))
def test_deep_nesting_is_unknown_or_read_but_never_a_crash(depth: int, opening: bytes) -> None:
    assert judge(opening * depth, 200).kind is Kind.UNKNOWN


def test_ten_thousand_damaged_answers_are_all_placed_and_none_becomes_ok() -> None:
    chance = random.Random(26)
    bodies = [case.body for case in CASES]
    for _ in range(10_000):
        body = bytearray(chance.choice(bodies))
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(len(body)) if body else 0
            how = chance.randrange(3)
            if how == 0:
                del body[place:]
            elif how == 1 and body:
                body[place] = chance.randrange(256)
            else:
                body[place:place] = chance.choice(
                    [b"null", b'"', b"}", b"{", b"\\u0000", b"1e9", bytes([chance.randrange(256)])]
                )
        answer = judge(bytes(body), chance.choice([200, 400, 403, 500, 502]))
        if answer.kind is Kind.OK:
            # The only way to OK is that the damage hit the word `error` itself and left whole JSON behind.
            assert "error" not in json.loads(bytes(body))


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (rb'{"name":"a\u0000b"}', "ab"),
        (rb'{"name":"a\ud83d"}', "a?"),
        (rb'{"name":"\ud83d\ude00"}', "\U0001f600"),
        (rb'{"name":"a\\u0000"}', "a\\u0000"),
    ],
)
def test_a_text_that_cannot_be_stored_becomes_one_that_can(body: bytes, wanted: str) -> None:
    assert judge(body, 200).body == {"name": wanted}
