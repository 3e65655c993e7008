"""Several reads in one request. Reads only: a batch has no guard, no attempt row and no read-back per item.

    reads -> chunks of 50 -> POST batch=[...] -> one Answer per read, in the order of the reads

Each item counts as one call for Meta's limits; a batch saves round trips, not quota. Items that come back
as null were not finished in time and are asked again. Source: docs/meta.md, section 7.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from metaads.graph.errors import Answer, Unknown, classify, not_answered
from metaads.graph.transport import encode

MAX_ITEMS: Final = 50
_ROUNDS: Final = 3

Post = Callable[[str], Answer]


@dataclass(frozen=True)
class Read:
    """One GET: a path such as "120210001" or "act_1/campaigns", without version, and its parameters."""

    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    method: str = "GET"


def read_many(post: Post, reads: Sequence[Read]) -> list[Answer]:
    """Read everything, at most 50 in a request. `post(batch_json)` sends one batch and returns its OK
    answer or raises.

    The answers stand in the order of `reads`, each classified by itself. Raises ValueError, before anything
    is sent, when an item is no GET, and a GraphError when a whole batch fails.
    """
    for read in reads:
        if read.method != "GET":
            raise ValueError("a batch only reads")
    answers: dict[int, Answer] = {}
    waiting = list(range(len(reads)))
    for _ in range(_ROUNDS):
        unfinished: list[int] = []
        for start in range(0, len(waiting), MAX_ITEMS):
            chunk = waiting[start : start + MAX_ITEMS]
            for place, answer in zip(chunk, _one_batch(post, [reads[place] for place in chunk]), strict=True):
                if answer is None:
                    unfinished.append(place)
                else:
                    answers[place] = answer
        waiting = unfinished
        if not waiting:
            break
    lost = not_answered("batch_item_unfinished", sent=True)
    return [answers.get(place, lost) for place in range(len(reads))]


def _one_batch(post: Post, reads: Sequence[Read]) -> list[Answer | None]:
    items = [{"method": "GET", "relative_url": _relative(read)} for read in reads]
    answer = post(json.dumps(items, separators=(",", ":")))
    if not isinstance(answer.body, list) or len(answer.body) != len(reads):
        raise Unknown(not_answered("batch_malformed", sent=True, status=answer.status))
    return [None if item is None else _item(item) for item in answer.body]


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
