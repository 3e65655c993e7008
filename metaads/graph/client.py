"""Read from the Graph API for one token.

    node  edge  edge_pages  insights  batch      one after the other
    together                                     several paged reads at once (`lanes`)
        -> token()               asked anew for every attempt, so none is kept here; may raise
        -> before_call()         the caller's quota; may raise
        -> transport.request     one attempt, one Answer
        -> on_answer(answer)     usage headers, version warnings, counters; sees every attempt
        -> OK: the body | transient, unknown: again, with full jitter | anything else: raise at once
        -> the token failed: again, if `next_token` says that there is another one now

A throttle is never answered with another call: going on makes Meta's block longer. "Too much data" is not
tried again unchanged either; a paged read halves its page, everything else raises TooMuchData.
"""

from __future__ import annotations

import copy
import random
import re
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from typing import Any, Final

from metaads.graph import batch, lanes, paging
from metaads.graph import fields as asked
from metaads.graph.batch import Read
from metaads.graph.errors import Answer, Kind, Unknown, error_for
from metaads.graph.lanes import Ask, Heard
from metaads.graph.transport import Transport

_FIRST_PAUSE: Final = 0.5  # seconds; doubled each time, drawn from 0 up to it ("full jitter")
_LONGEST_PAUSE: Final = 20.0
#: The token, the same one renewed, and that of another connection.
_MOST_TOKENS: Final = 3
_NODE: Final = re.compile(r"(?:act_)?[0-9]{1,30}|me")
_EDGE: Final = re.compile(r"[a-z_]{1,60}")


class GraphClient:
    """Reads for one grant through one transport. It cannot write: see `metaads.graph.writer`.

    `token` is the token, or a function that gives it for the next request. `next_token(answer, token, failed)` is
    told that a token was refused, as the `failed`-th one of this read, and says whether to ask `token` and Meta once
    more; a read is refused three tokens at most. `abreast` says how many reads may wait for Meta at once now.
    """

    def __init__(
        self,
        transport: Transport,
        token: str | Callable[[], str],
        *,
        on_answer: Callable[[Answer], None] | None = None,
        before_call: Callable[[], None] | None = None,
        next_token: Callable[[Answer, str, int], bool] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        random: random.Random | None = None,
        max_tries: int = 4,
        abreast: Callable[[], int] | None = None,
    ) -> None:
        self._transport = transport
        self._token = _always(token) if isinstance(token, str) else token
        self._next_token = next_token
        self._on_answer = on_answer
        self._before_call = before_call
        self._sleep = sleep
        self._random = random or _own_random()
        self._max_tries = max(1, max_tries)
        self._abreast = abreast

    def __repr__(self) -> str:
        return f"GraphClient({self._transport!r})"

    def node(self, node_id: str, fields: Sequence[str], **params: Any) -> dict[str, Any]:
        """Read one object. Raises a GraphError; Refused with `answer.maybe_gone` when it is missing or
        hidden."""
        answer = self._read(_checked_node(node_id), {"fields": ",".join(fields), **params})
        if not isinstance(answer.body, dict):
            raise Unknown(replace(answer, kind=Kind.UNKNOWN, rule="malformed_node", body=None))
        return answer.body

    def edge(
        self,
        node_id: str,
        edge: str,
        *,
        fields: Sequence[str],
        params: Mapping[str, Any] | None = None,
        limit: int = 500,
    ) -> Iterator[dict[str, Any]]:
        """Stream the rows of an edge, page by page as they are consumed."""
        for page in self.edge_pages(node_id, edge, fields=fields, params=params, limit=limit):
            yield from page

    def edge_pages(
        self,
        node_id: str,
        edge: str,
        *,
        fields: Sequence[str],
        params: Mapping[str, Any] | None = None,
        limit: int = 500,
    ) -> Iterator[list[dict[str, Any]]]:
        """Stream the pages of an edge. Also raises paging.CursorExpired: then start this edge again."""
        question = dict(params or {})
        if fields:
            question["fields"] = ",".join(fields)
        return self._pages(f"{_checked_node(node_id)}/{_checked_edge(edge)}", question, limit=limit)

    def insights(
        self,
        object_id: str,
        *,
        level: str,
        since: date | str,
        until: date | str,
        fields: Sequence[str],
        time_increment: int | str = 1,
        breakdowns: Sequence[str] = (),
        windows: Sequence[str] = (),
        filtering: Sequence[Mapping[str, Any]] = (),
        limit: int = 500,
    ) -> Iterator[list[dict[str, Any]]]:
        """Stream the pages of a synchronous insights read; see `fields.insights_params` for what the words
        mean.

        Raises TooMuchData when Meta wants fewer days or a report run (`metaads.graph.report_runs`).
        """
        question = asked.insights_params(
            level=level,
            since=since,
            until=until,
            fields=fields,
            time_increment=time_increment,
            breakdowns=breakdowns,
            windows=windows,
            filtering=filtering,
        )
        return self._pages(f"{_checked_node(object_id)}/insights", question, limit=limit)

    def batch(self, reads: Sequence[Read]) -> list[Answer]:
        """Make many reads in few requests: one Answer per read, in order; a failing item does not raise.

        `before_call` and `on_answer` run once per item, because Meta counts every item as a call.
        """
        return batch.read_many(self._post_batch, reads, tell=self._tell)

    @property
    def abreast(self) -> int:
        """How many reads may wait for Meta at once, as far as the quota is known now; at least one."""
        return max(1, self._abreast()) if self._abreast is not None else 1

    def together(
        self, reads: Sequence[Callable[[GraphClient], Iterator[Any]]]
    ) -> Generator[Heard, None, None]:
        """Make several paged reads at once, `abreast` of them; what they give comes as it arrives.

        Each read is given a client like this one, walks pages with it and yields them, or what it makes of them, which
        is better: pages are large. Every hook of this client is called in the thread that walks the
        answers, and only while it waits for the next one. Raises what a read raises, except TooMuchData, which is
        told beside the pages; then no further call is made.
        """
        return lanes.run([partial(self._in_lane, read) for read in reads], lanes=self.abreast)

    def _in_lane(self, read: Callable[[GraphClient], Iterator[Any]], ask: Ask, tell: Ask) -> Iterator[Any]:
        mine = copy.copy(self)
        mine._token = lambda: str(ask(self._token))
        if (before := self._before_call) is not None:
            mine._before_call = lambda: ask(before)
        if (heard := self._on_answer) is not None:
            mine._on_answer = lambda answer: tell(partial(heard, answer))
        if (following := self._next_token) is not None:
            mine._next_token = lambda *refused: bool(ask(partial(following, *refused)))
        return read(mine)

    def _pages(self, path: str, question: Mapping[str, Any], *, limit: int) -> Iterator[list[dict[str, Any]]]:
        def fetch(after: str | None, size: int) -> Answer:
            return self._read(path, {**question, "limit": size, "after": after})

        return paging.pages(fetch, limit=limit)

    def _read(self, path: str, params: Mapping[str, Any]) -> Answer:
        return self._try(lambda token: self._transport.request("GET", path, token=token, params=params))

    def _post_batch(self, items: str, count: int) -> Answer:
        # A POST, but one of reads only, so it may be tried again.
        data = {"batch": items, "include_headers": True}
        return self._try(
            lambda token: self._transport.request("POST", "", token=token, data=data), items=count
        )

    def _try(self, attempt: Callable[[str], Answer], *, items: int | None = None) -> Answer:
        turn, failed = 1, 0
        while True:
            token = self._token()  # before the quota: what cannot be asked for is not counted
            for _ in range(items or 1):
                if self._before_call is not None:
                    self._before_call()
            answer = attempt(token)
            if items is None or answer.kind is not Kind.OK:
                self._tell(answer)  # the items of a good batch are told one by one
            if answer.kind is Kind.OK:
                return answer
            if answer.kind is Kind.AUTH and self._next_token is not None:
                failed += 1
                if self._next_token(answer, token, failed) and failed < _MOST_TOKENS:
                    continue
            passing = answer.kind in (Kind.TRANSIENT, Kind.UNKNOWN) and not answer.reduce
            if not passing or turn == self._max_tries:
                raise error_for(answer)
            self._sleep(self._random.uniform(0.0, min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**turn)))
            turn += 1

    def _tell(self, answer: Answer) -> None:
        if self._on_answer is not None:
            self._on_answer(answer)


def _always(token: str) -> Callable[[], str]:
    return lambda: token


def _own_random() -> random.Random:
    return random.Random()


def _checked_node(node_id: str) -> str:
    if not _NODE.fullmatch(node_id):
        raise ValueError("a Graph object is named by digits, act_<digits> or me")
    return node_id


def _checked_edge(edge: str) -> str:
    if not _EDGE.fullmatch(edge):
        raise ValueError("an edge is named by lower-case letters")
    return edge
