"""Batches (reference section 7): up to fifty calls in one, each answered as it would be alone, bodies as JSON texts."""

from __future__ import annotations

import json
import re
import urllib.parse
from typing import Any

from metaads.sandbox.errors import GraphError, invalid
from metaads.sandbox.faults import Fault
from metaads.sandbox.handlers.call import Answer, Call, Desk, loose
from metaads.sandbox.handlers.perform import as_item, item, loads, perform

MAXIMUM = 50
REFERENCE = re.compile(r"\{result=([A-Za-z0-9_-]+):\$\.([^}]*)\}")
VERSION = re.compile(r"v\d+\.\d+")


def run(desk: Desk, call: Call) -> Answer:
    """All items in order; HTTP 200 even when items fail."""
    items = loose(call.params.get("batch"))
    if not isinstance(items, list):
        raise invalid("Param batch must be an array")
    if len(items) > MAXIMUM:
        raise GraphError(
            -3,
            f"Too many requests in batch message. Maximum batch size is {MAXIMUM}",
            kind="GraphBatchException",
        )
    shared = str(call.params.get("include_headers", "true")).lower() not in ("false", "0")
    fault = desk.faults.take(
        {"is_batch": "1", "path": "", "method": "POST", "object_id": "", "edge": ""}, at=call.now
    )
    named: dict[str, Any] = {}
    answers: list[dict[str, Any] | None] = []
    for index, raw in enumerate(items):
        if _withheld(fault, index):
            answers.append(None if fault is not None and fault.name == "null_batch" else _broken())
            continue
        answers.append(_one(desk, call, raw, named, headers=shared))
    return Answer(answers)


def _one(desk: Desk, call: Call, raw: Any, named: dict[str, Any], *, headers: bool) -> dict[str, Any] | None:
    if not isinstance(raw, dict) or "relative_url" not in raw:
        error = invalid("Each batch item needs a relative_url")
        return as_item(Answer(error.body(trace=call.trace), status=400), headers=headers)
    address = urllib.parse.urlsplit(_filled(str(raw["relative_url"]), named))
    parts = [part for part in address.path.split("/") if part]
    version = parts.pop(0) if parts and VERSION.fullmatch(parts[0]) else call.version
    params: dict[str, Any] = dict(urllib.parse.parse_qsl(address.query, keep_blank_values=True))
    params |= dict(urllib.parse.parse_qsl(_filled(str(raw.get("body") or ""), named), keep_blank_values=True))
    method = str(raw.get("method", "GET")).upper()
    answer = perform(desk, item(desk, call, version=version, method=method, path=tuple(parts), params=params))
    name = raw.get("name")
    if name:
        named[str(name)] = loads(answer.data().decode("utf-8", "replace"))
        if answer.status == 200 and raw.get("omit_response_on_success", True) not in (False, "false"):
            return None
    return as_item(answer, headers=headers)


def _filled(text: str, named: dict[str, Any]) -> str:
    """``{result=NAME:$.data.*.id}`` replaced by what that item answered."""

    def found(match: re.Match[str]) -> str:
        value = _walk(named.get(match[1]), match[2].replace("[", ".").replace("]", "").split("."))
        if isinstance(value, list):
            return ",".join(str(entry) for entry in value)
        return value if isinstance(value, str) else json.dumps(value)

    return REFERENCE.sub(found, urllib.parse.unquote(text) if "%7Bresult" in text else text)


def _walk(value: Any, steps: list[str]) -> Any:
    """Follow a JSONPath of names, positions and ``*``."""
    for index, step in enumerate(steps):
        if step == "*" and isinstance(value, list):
            return [_walk(entry, steps[index + 1 :]) for entry in value]
        if step.isdigit() and isinstance(value, list):
            value = value[int(step)] if int(step) < len(value) else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value


def _withheld(fault: Fault | None, index: int) -> bool:
    if fault is None:
        return False
    every = int(fault.options.get("every", 2))
    return index % every == every - 1 or fault.options.get("index") == index


def _broken() -> dict[str, Any]:
    error = {"message": "An unknown error occurred", "type": "OAuthException", "code": 1, "fbtrace_id": "A"}
    return {"code": 500, "headers": [], "body": json.dumps({"error": error})}
