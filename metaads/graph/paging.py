"""Walk a paged edge as a stream of pages.

    fetch(after, limit) -> page -> rows -> next cursor -> ... until there is no `next`

- `paging.next` is never followed: it is an absolute address with the token in it. Its presence says that there
  is more; `cursors.after` says where.
- An empty or short page is not the end: Meta filters after it has fetched.
- "Reduce the amount of data" halves the page and asks again from the same cursor; after a few good pages the
  size is doubled back, more slowly each time it fails again.
- A list that cannot be walked to its end raises. A slice that is silently cut would look complete.

Source: docs/meta.md, sections 8.1 and 11 (traps 9 and 19).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from metaads.graph.errors import Answer, GraphError, Kind, Refused, TooMuchData, Unknown

Row = dict[str, Any]
Fetch = Callable[[str | None, int], Answer]

_GOOD_PAGES_BEFORE_RESTORE: Final = 3
_MAX_PAGES: Final = 100_000


class CursorExpired(GraphError):
    """The cursor is no longer good. Start the slice again from its first page; upserts make that harmless."""


class PagingLoop(CursorExpired):
    """Meta keeps sending the same cursor. A fresh start may help; the caller bounds how often it tries."""


def pages(fetch: Fetch, *, limit: int) -> Iterator[list[Row]]:
    """Yield the rows of each page. `fetch(after, limit)` returns an OK answer or raises a GraphError.

    Raises TooMuchData when a page of one row is still too much, CursorExpired when Meta rejects a cursor
    that it gave out, PagingLoop when it goes in circles, Unknown when a page has no readable list.
    """
    after: str | None = None
    size = max(1, limit)
    good, needed, just_grown = 0, _GOOD_PAGES_BEFORE_RESTORE, False
    seen: Counter[str] = Counter()
    for _ in range(_MAX_PAGES):
        try:
            answer = fetch(after, size)
        except TooMuchData:
            if size == 1:
                raise
            if just_grown:
                needed = min(needed * 2, 64)
            size, good, just_grown = max(1, size // 2), 0, False
            continue
        except Refused as refusal:
            if after is not None and _blames_cursor(refusal.answer):
                raise CursorExpired(refusal.answer) from None
            raise
        after, page = next_cursor(answer), [rows_of(answer)]
        answer = replace(answer, body=None)
        yield page.pop()  # nothing here holds the page while its reader works on it, or waits with it
        if after is None:
            return
        seen[after] += 1
        # One repeat is tolerated: a page served twice repeats its cursor, and asking once more gets past it.
        if seen[after] > 2:
            raise PagingLoop(_bad(answer, "paging_loop", "the list repeats the same cursor"))
        good, just_grown = good + 1, False
        if size < limit and good >= needed:
            size, good, just_grown = min(limit, size * 2), 0, True
    raise Unknown(_bad(answer, "paging_endless", "the list does not end"))


def rows_of(answer: Answer) -> list[Row]:
    """Read the rows of a page. An edge that answers one object under `data` has one row. Raises Unknown."""
    data = answer.body.get("data") if isinstance(answer.body, dict) else None
    if isinstance(data, dict):
        data = [data]
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise Unknown(_bad(answer, "malformed_page", "the answer is not a list of objects"))
    return data


def next_cursor(answer: Answer) -> str | None:
    """Give the cursor of the next page, None at the end. Raises Unknown when there is a next page but no
    cursor."""
    paging = answer.body.get("paging") if isinstance(answer.body, dict) else None
    if not isinstance(paging, dict) or not paging.get("next"):
        return None
    cursors = paging.get("cursors")
    after = cursors.get("after") if isinstance(cursors, dict) else None
    if not isinstance(after, str) or not after:
        after = _cursor_in(paging["next"])
    if after is None:
        raise Unknown(_bad(answer, "no_cursor", "there is a next page but no cursor"))
    return after


def _cursor_in(address: object) -> str | None:
    """Take `after` out of a next address, which is read here and never called."""
    try:
        values = parse_qs(urlsplit(address).query).get("after") if isinstance(address, str) else None
    except ValueError:
        return None
    return values[0] if values else None


def _blames_cursor(answer: Answer) -> bool:
    """Tell whether a refusal is about the cursor: page one passed with the same parameters, so a bare 100 is.

    Meta's words for "too deep" count too, since it is not known to keep them for that alone; a slice that is
    too deep again after a fresh start has to be narrowed, as the answer's advice says. An object that went
    away meanwhile is no matter of cursors.
    """
    return answer.rule in ("cursor_rejected", "cursor_too_deep", "invalid_parameter")


def _bad(answer: Answer, rule: str, message: str) -> Answer:
    return replace(answer, kind=Kind.UNKNOWN, rule=rule, message=message, body=None)
