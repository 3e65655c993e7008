"""Asynchronous insights: start a report at Meta, look at it, read it. Waiting is the caller's row, never a
sleep here.

    start -> report_run_id -> poll ... poll -> done -> read
                                          \\-> failed, skipped: start again, smaller

Source: docs/meta.md, section 5.7 and traps 12 and 20. A run id lives for about 30 days and is not worth
keeping.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final, Literal

from metaads.graph import fields as asked
from metaads.graph import paging
from metaads.graph.errors import Answer, Kind, Unknown, error_for, redact
from metaads.graph.transport import Transport

_ID: Final = re.compile(r"[0-9]{1,30}")
_OBJECT: Final = re.compile(r"(?:act_)?[0-9]{1,30}")
_FRESH_SECONDS: Final = 60.0

Status = Literal["waiting", "done", "failed", "skipped"]


@dataclass(frozen=True)
class RunState:
    """Where a report run stands. `percent` 0..100. `error` is a sentence, empty unless failed or skipped."""

    status: Status
    percent: int
    error: str = ""
    code: int | None = None
    subcode: int | None = None


def start(
    transport: Transport,
    token: str,
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
    on_answer: Callable[[Answer], None] = lambda answer: None,
) -> str:
    """Ask Meta to prepare a report and return its run id. One POST; a lost answer costs one unused run at
    most. `on_answer` hears the answer, whatever it is."""
    if not _OBJECT.fullmatch(object_id):
        raise ValueError("a report is about an account, campaign, ad set or ad")
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
    answer = transport.request("POST", f"{object_id}/insights", token=token, data=question)
    on_answer(answer)
    _ok(answer)
    run_id = answer.body.get("report_run_id") if isinstance(answer.body, dict) else None
    # Meta's documents show a bare number here, the wire a string.
    text = str(run_id) if isinstance(run_id, (str, int)) and not isinstance(run_id, bool) else ""
    if not _ID.fullmatch(text):
        raise Unknown(replace(answer, kind=Kind.UNKNOWN, rule="no_report_run", body=None))
    return text


def poll(transport: Transport, token: str, run_id: str, *, age_seconds: float) -> RunState:
    """Look once at a run that was started `age_seconds` ago. Raises a GraphError when Meta cannot say."""
    if not _ID.fullmatch(run_id):
        raise ValueError("a report run is named by digits")
    params = {"fields": ",".join(asked.REPORT_RUN)}
    return state_of(transport.request("GET", run_id, token=token, params=params), age_seconds=age_seconds)


def state_of(answer: Answer, *, age_seconds: float) -> RunState:
    """Read a run's state out of an answer (of `poll`, or of one item of a batch).

    Done needs both the words and 100 %: either alone comes too early. For a minute after the start Meta may
    not know its own run yet (100/33), which is waiting. Words that nobody has seen yet are waiting too; the
    caller's patience ends that.
    """
    if answer.rule == "object_missing_or_hidden" and age_seconds <= _FRESH_SECONDS:
        return RunState(status="waiting", percent=0)
    body = _ok(answer).body
    if not isinstance(body, dict) or not isinstance(body.get("async_status"), str):
        raise Unknown(replace(answer, kind=Kind.UNKNOWN, rule="malformed_report_run", body=None))
    words, percent = body["async_status"], _percent(body.get("async_percent_completion"))
    code, subcode = _integer(body.get("error_code")), _integer(body.get("error_subcode"))
    texts = (body.get("error_user_msg"), body.get("error_message"))
    reason = next((redact(text) for text in texts if isinstance(text, str) and text), "")
    if words == "Job Failed":
        reason = reason or "Meta could not prepare the report."
        return RunState(status="failed", percent=percent, error=reason, code=code, subcode=subcode)
    if words == "Job Skipped":
        reason = reason or "The report expired before it was read."
        return RunState(status="skipped", percent=percent, error=reason, code=code, subcode=subcode)
    done = words == "Job Completed" and percent == 100
    return RunState(status="done" if done else "waiting", percent=percent)


def read(
    transport: Transport, token: str, run_id: str, *, limit: int = 500
) -> Iterator[list[dict[str, Any]]]:
    """Stream the pages of a finished run, each asked for once. `GraphClient.edge_pages(run_id, "insights",
    fields=())` reads the same with retries."""
    if not _ID.fullmatch(run_id):
        raise ValueError("a report run is named by digits")

    def fetch(after: str | None, size: int) -> Answer:
        params = {"limit": size, "after": after}
        return _ok(transport.request("GET", f"{run_id}/insights", token=token, params=params))

    return paging.pages(fetch, limit=limit)


def _ok(answer: Answer) -> Answer:
    if answer.kind is not Kind.OK:
        raise error_for(answer)
    return answer


def _percent(value: object) -> int:
    number = _integer(value)
    return min(100, max(0, number)) if number is not None else 0


def _integer(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,12}", value):
        return int(value)
    return value if isinstance(value, int) else None
