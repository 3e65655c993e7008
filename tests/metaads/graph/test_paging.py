"""A paged edge is walked to its real end, in pages as large as Meta allows, or it says that it could not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaads.graph import errors, paging
from metaads.graph.errors import Answer, Kind

TOO_MUCH = errors.TooMuchData(Answer(kind=Kind.TRANSIENT, reduce=True, rule="reduce_the_data"))


def page(rows: list[Any], after: str | None = None, *, more: bool | None = None) -> Answer:
    more = after is not None if more is None else more
    pages: dict[str, Any] = {"cursors": {"before": "B", "after": after or "LAST"}}
    if more:
        pages["next"] = f"https://graph.facebook.com/v26.0/act_1/ads?access_token=CANARY&after={after}"
    return Answer(kind=Kind.OK, status=200, body={"data": rows, "paging": pages})


def rows(*names: int) -> list[dict[str, Any]]:
    return [{"id": str(name)} for name in names]


def edge(total: int, *, cap: Callable[[int], int] = lambda call: 10_000) -> Any:
    """An edge of `total` rows that refuses a page above `cap(call)`; returns (fetch, sizes asked)."""
    sizes: list[int] = []

    def fetch(after: str | None, limit: int) -> Answer:
        sizes.append(limit)
        if limit > cap(len(sizes)):
            raise TOO_MUCH
        start = int(after or 0)
        end = min(total, start + limit)
        return page(rows(*range(start, end)), str(end) if end < total else None)

    return fetch, sizes


def walk(fetch: paging.Fetch, limit: int = 100) -> list[str]:
    return [row["id"] for one in paging.pages(fetch, limit=limit) for row in one]


def test_pages_follow_the_cursor_and_end_without_next() -> None:
    fetch, sizes = edge(250)
    assert walk(fetch) == [str(number) for number in range(250)]
    assert sizes == [100, 100, 100]


def test_pages_stream_one_request_ahead_of_nothing() -> None:
    fetch, sizes = edge(250)
    stream = paging.pages(fetch, limit=100)
    assert sizes == []
    next(stream)
    assert sizes == [100]


def test_an_empty_page_in_the_middle_is_not_the_end() -> None:
    answers = {None: page(rows(1), "a"), "a": page([], "b"), "b": page(rows(2))}
    assert walk(lambda after, limit: answers[after]) == ["1", "2"]


def test_an_empty_list_is_one_empty_page() -> None:
    assert list(paging.pages(lambda after, limit: Answer(kind=Kind.OK, body={"data": []}), limit=5)) == [[]]


@pytest.mark.parametrize("paging_part", [None, {}, [], "x", {"cursors": {"after": "A"}}, {"next": None}])
def test_without_next_there_is_no_more(paging_part: Any) -> None:
    body = {"data": rows(1), "paging": paging_part}
    assert walk(lambda after, limit: Answer(kind=Kind.OK, body=body)) == ["1"]


def test_the_cursor_is_read_out_of_next_when_there_is_no_other() -> None:
    first = Answer(
        kind=Kind.OK, body={"data": rows(1), "paging": {"next": "https://x/?access_token=T&after=a%3D"}}
    )
    answers = {None: first, "a=": page(rows(2))}
    assert walk(lambda after, limit: answers[after]) == ["1", "2"]


@pytest.mark.parametrize("address", ["https://x/?offset=25", 17, "https://[broken"])
def test_more_without_a_cursor_is_not_taken_for_the_end(address: Any) -> None:
    body = {"data": rows(1), "paging": {"next": address}}
    with pytest.raises(errors.Unknown, match="no cursor"):
        walk(lambda after, limit: Answer(kind=Kind.OK, body=body))


@pytest.mark.parametrize(
    "body", [None, [], {}, {"data": None}, {"data": "x"}, {"data": [1]}, {"data": [None]}]
)
def test_an_answer_without_rows_is_not_an_empty_list(body: Any) -> None:
    with pytest.raises(errors.Unknown):
        walk(lambda after, limit: Answer(kind=Kind.OK, body=body))


def test_one_object_under_data_is_one_row() -> None:
    assert walk(lambda after, limit: Answer(kind=Kind.OK, body={"data": {"id": "7"}})) == ["7"]


def test_a_page_served_twice_is_passed() -> None:
    answers = iter([page(rows(1), "a"), page(rows(1), "a"), page(rows(2))])
    assert walk(lambda after, limit: next(answers)) == ["1", "1", "2"]


def test_a_cursor_that_leads_in_a_circle_is_noticed() -> None:
    answers = {None: page(rows(1), "a"), "a": page(rows(2), "b"), "b": page(rows(3), "a")}
    with pytest.raises(paging.PagingLoop):
        walk(lambda after, limit: answers[after])


@pytest.mark.fault("F58")
def test_too_much_data_halves_the_page_and_restores_it_later() -> None:
    fetch, sizes = edge(1000, cap=lambda call: 25 if call <= 4 else 10_000)
    assert walk(fetch) == [str(number) for number in range(1000)]
    assert sizes[:6] == [100, 50, 25, 25, 25, 50]
    assert sizes[-1] == 100


@pytest.mark.fault("F58")
def test_restoring_slows_down_when_the_larger_page_fails_again() -> None:
    fetch, sizes = edge(4000, cap=lambda call: 50)
    assert len(walk(fetch)) == 4000
    assert sizes.count(100) <= 6


@pytest.mark.fault("F58")
def test_a_single_row_that_is_still_too_much_is_reported() -> None:
    fetch, sizes = edge(10, cap=lambda call: 0)
    with pytest.raises(errors.TooMuchData):
        walk(fetch)
    assert sizes == [100, 50, 25, 12, 6, 3, 1]


@pytest.mark.fault("F58")
@given(total=st.integers(0, 300), limit=st.integers(1, 120), cap=st.integers(1, 130))
def test_no_row_is_lost_or_doubled_whatever_the_page_size(total: int, limit: int, cap: int) -> None:
    fetch, sizes = edge(total, cap=lambda call: cap)
    assert walk(fetch, limit) == [str(number) for number in range(total)]
    assert max(sizes) <= limit


def refusing(rule: str, *, code: int = 100, subcode: int | None = None) -> paging.Fetch:
    def fetch(after: str | None, limit: int) -> Answer:
        if after is None:
            return page(rows(1), "a")
        raise errors.Refused(Answer(kind=Kind.REFUSED, code=code, subcode=subcode, rule=rule))

    return fetch


@pytest.mark.fault("F53")
@pytest.mark.parametrize("rule", ["invalid_parameter", "cursor_rejected", "cursor_too_deep"])
def test_a_cursor_that_meta_no_longer_takes_restarts_the_slice(rule: str) -> None:
    with pytest.raises(paging.CursorExpired):
        walk(refusing(rule))


@pytest.mark.parametrize("rule", ["object_missing_or_hidden", "beyond_37_months"])
def test_other_refusals_are_not_blamed_on_the_cursor(rule: str) -> None:
    with pytest.raises(errors.Refused):
        walk(refusing(rule))


def test_a_refusal_of_the_first_page_is_a_refusal() -> None:
    def fetch(after: str | None, limit: int) -> Answer:
        raise errors.Refused(Answer(kind=Kind.REFUSED, code=100, rule="invalid_parameter"))

    with pytest.raises(errors.Refused):
        walk(fetch)


def test_what_paging_raises_holds_no_address() -> None:
    answers = {None: page(rows(1), "a"), "a": page(rows(2), "b"), "b": page(rows(3), "a")}
    with pytest.raises(paging.PagingLoop) as caught:
        walk(lambda after, limit: answers[after])
    assert (
        "CANARY" not in f"{caught.value} {caught.value!r} {caught.value.answer!r} {caught.value.answer.body}"
    )
