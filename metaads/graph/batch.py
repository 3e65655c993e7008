"""Several reads in one request. Reads only: a batch has no guard, no attempt row and no read-back per item.

    reads -> chunks of 50 -> POST batch=[...] -> one Answer per read, in the order of the reads

Each item counts as one call for Meta's limits; a batch saves round trips, not quota. Items that come back
as null were not finished in time and are asked again. Source: docs/meta.md, section 7.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import urlencode

from metaads.graph.errors import Answer, Kind, Unknown, classify, not_answered
from metaads.graph.transport import encode

MAX_ITEMS: Final = 50
_ROUNDS: Final = 3

Post = Callable[[str, int], Answer]


@dataclass(frozen=True)
class Read:
    """One GET: a path such as "120210001" or "act_1/campaigns", without version, and its parameters."""

    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    method: str = "GET"


def read_many(
    post: Post, reads: Sequence[Read], *, tell: Callable[[Answer], None] = lambda answer: None
) -> list[Answer]:
    """Read everything, at most 50 in a request. `post(batch_json, count)` sends one batch and returns its OK
    answer or raises; `tell` hears the answer of each item as soon as its batch is in.

    The answers stand in the order of `reads`, each classified by itself. Raises ValueError, before anything
    is sent, for an item that is no plain GET, and a GraphError when a whole batch fails. Once an item was
    throttled no further batch is sent; what was not read carries that throttle with `sent` False.
    """
    items = [_written(read) for read in reads]
    answers: dict[int, Answer] = {}
    waiting = list(range(len(reads)))
    for _ in range(_ROUNDS):
        for start in range(0, len(waiting), MAX_ITEMS):
            chunk = waiting[start : start + MAX_ITEMS]
            found = _one_batch(post, [items[place] for place in chunk])
            here = {place: answer for place, answer in zip(chunk, found, strict=True) if answer is not None}
            for answer in here.values():
                tell(answer)
            answers |= here
            throttle = next((answer for answer in here.values() if answer.kind is Kind.THROTTLED), None)
            if throttle is not None:
                unread = replace(throttle, sent=False, headers={})
                return [answers.get(place, unread) for place in range(len(reads))]
        waiting = [place for place in waiting if place not in answers]
        if not waiting:
            break
    lost = not_answered("batch_item_unfinished", sent=True)
    return [answers.get(place, lost) for place in range(len(reads))]


def _one_batch(post: Post, items: Sequence[dict[str, str]]) -> list[Answer | None]:
    answer = post(json.dumps(items, separators=(",", ":")), len(items))
    if not isinstance(answer.body, list) or len(answer.body) != len(items):
        raise Unknown(not_answered("batch_malformed", sent=True, status=answer.status))
    return [None if item is None else _item(item) for item in answer.body]


def _written(read: Read) -> dict[str, str]:
    if read.method != "GET":
        raise ValueError("a batch only reads")
    return {"method": "GET", "relative_url": _relative(read)}


def _relative(read: Read) -> str:
    path = read.path.strip("/")
    if not path or any(character in path for character in "?#&{} \\") or ".." in path or "://" in path:
        raise ValueError("a batch item names a path without a query")
    query = urlencode(encode(read.params))
    return f"{path}?{query}" if query else path


def _item(item: object) -> Answer:
    """Classify one item as if it had been a call of its own."""
    if not isinstance(item, dict):
        return not_answered("batch_item_malformed", sent=True)
    status, body = item.get("code"), item.get("body")
    if isinstance(status, bool) or not isinstance(status, int) or not isinstance(body, str):
        return not_answered("batch_item_malformed", sent=True)
    headers = _headers(item.get("headers"))
    kind = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
    return classify(status=status, content_type=kind, body=body.encode("utf-8", "replace"), headers=headers)


def _headers(headers: object) -> dict[str, str]:
    """Read the list of {name, value} that a batch has in place of headers."""
    pairs = [pair for pair in headers if isinstance(pair, dict)] if isinstance(headers, list) else []
    return {
        pair["name"]: pair["value"]
        for pair in pairs
        if isinstance(pair.get("name"), str) and isinstance(pair.get("value"), str)
    }
