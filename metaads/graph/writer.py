"""Write to an ad object at Meta: one POST, never a second one.

Meta has no idempotency key and no compare-and-set. So this module neither repeats nor interprets: it sends
once and says what came back. Everything else - the attempt row committed before, the settle window, the
read-back - belongs to the caller, and so does the rule that OK here means *acknowledged*, not *applied*
(Meta is known to acknowledge budget changes that it then does not make).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from metaads.graph.errors import Answer, Kind
from metaads.graph.transport import Transport

_OBJECT: Final = re.compile(r"(?:act_)?[0-9]{1,30}")


class GraphWriter:
    """Writes for one token through one transport."""

    def __init__(self, transport: Transport, token: str) -> None:
        self._transport = transport
        self._token = token

    def __repr__(self) -> str:
        return f"GraphWriter({self._transport!r})"

    def update(
        self, object_id: str, params: Mapping[str, str | int], *, guard: Callable[[], None] | None = None
    ) -> Answer:
        """Send one change of one object, on a connection of its own, and return Meta's answer.

        `params` are absolute values (money in minor units, as int). Never raises for anything on the wire;
        a `guard`'s exception comes out and then nothing was sent. `answer.sent` is False only when the
        request provably never left. OK needs an acknowledgement: `success` true, or the object's own id.
        Raises ValueError or TypeError for a request that must not be written at all.
        """
        if not _OBJECT.fullmatch(object_id):
            raise ValueError("an ad object is named by digits or act_<digits>")
        if not params:
            raise ValueError("a change has at least one field")
        for name, value in params.items():
            if isinstance(value, bool) or not isinstance(value, (str, int)):
                kind = type(value).__name__
                raise TypeError(f"{name} is a {kind}; a change takes text and whole minor units")
        answer = self._transport.request(
            "POST", object_id, token=self._token, data=params, guard=guard, fresh=True
        )
        if answer.kind is Kind.OK and not _acknowledged(answer.body, object_id):
            return replace(answer, kind=Kind.UNKNOWN, rule="not_acknowledged", message="no acknowledgement")
        return answer


def _acknowledged(body: Any, object_id: str) -> bool:
    if isinstance(body, dict):
        # `success` was judged by `classify`: had it been anything but true, the answer would not be OK.
        return "success" in body or body.get("id") == object_id
    return body is True
