"""One call from arrival to answer: fault -> version -> limits -> handler -> fault -> headers.

Batches perform their items here too. Which side of the effect a fault stands on is what this module is about:
*dropped* never reaches the handler, *applied_timeout* has let it finish.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from metaads.sandbox.errors import GraphError, NoAnswer, gone, reduce_data, retired, throttled, transient
from metaads.sandbox.errors import auth as auth_error
from metaads.sandbox.errors import permission as permission_error
from metaads.sandbox.faults import Fault
from metaads.sandbox.handlers import faulty, route
from metaads.sandbox.handlers.call import Answer, Call, Desk
from metaads.sandbox.world.nodes import AD

LATEST = "v26.0"
WARN_BELOW = 25


def perform(desk: Desk, call: Call) -> Answer:
    """Answer a single call (not a batch); raises ``NoAnswer`` when the wire goes silent."""
    fault = desk.faults.take(faulty.facts(desk, call), at=call.now)
    call.account = route.account_of(desk, call.path)
    call.kind = (
        "ads_insights"
        if "insights" in call.path[1:] or (call.path and call.path[0] in desk.world.runs)
        else "ads_management"
    )
    try:
        if fault is not None:
            early = _before(desk, call, fault)
            if early is not None:
                return early
        _admit(desk, call)
        body = route.dispatch(desk, call)
    except GraphError as error:
        if fault is not None and fault.name in faulty.DELIVERY:
            desk.faults.give_back(fault)
        return _finish(desk, call, Answer(error.body(trace=call.trace), status=error.status))
    answer = _finish(desk, call, Answer(body))
    return answer if fault is None else faulty.after(desk, call, fault, answer)


def _admit(desk: Desk, call: Call) -> None:
    if call.version in desk.retired:
        raise retired(call.version)
    if call.account is None:
        desk.limits.charge_app(call.now)
    else:
        write, ads = call.method != "GET", _ads(desk, call)
        desk.limits.charge(call.account, kind=call.kind, write=write, ads=ads, now=call.now)


def _before(desk: Desk, call: Call, fault: Fault) -> Answer | None:
    """What a fault does before the handler: raises, answers, or changes the call."""
    options = fault.options
    name = fault.name
    if name == "dropped":
        raise NoAnswer(applied=False)
    if name == "throttle":
        code = int(options.get("code", 17))
        if call.account is not None and options.get("minutes"):
            desk.limits.block(call.account, until=call.now + 60 * float(options["minutes"]), code=code)
        raise throttled(code, subcode=options.get("subcode"))
    if name == "auth":
        raise auth_error(int(options.get("subcode", 463)) or None)
    if name == "permission":
        raise permission_error(code=int(options.get("code", 200)))
    if name == "transient":
        raise transient(int(options.get("code", 2)), subcode=options.get("subcode"))
    if name == "gone33":
        raise gone(call.path[0] if call.path else "0")
    if name == "version_retired":
        raise retired(call.version)
    if name == "cursor_expired":
        raise GraphError(
            100, "(#100) The After Cursor specified exceeds the max limit supported by this endpoint"
        )
    if name == "reduce" and call.number("limit", 25, top=10_000) > int(options.get("limit", 0)):
        raise reduce_data()
    if name == "lying_success":
        return _finish(desk, call, Answer({"success": True}))
    if name in ("html", "empty", "odd_body"):
        return faulty.wire(fault)
    faulty.prepare(desk, call, fault)
    return None


def _finish(desk: Desk, call: Call, answer: Answer) -> Answer:
    """Add the usage headers and the version headers."""
    answer.headers += desk.limits.headers(call.account, kind=call.kind, ads=_ads(desk, call), now=call.now)
    answer.headers.append(("facebook-api-version", call.version))
    major = int(call.version[1:].partition(".")[0])
    if major < WARN_BELOW:
        answer.headers.append(
            (
                "X-Ad-Api-Version-Warning",
                f"The call has been auto-upgraded to {LATEST} as {call.version} has been deprecated.",
            )
        )
    return answer


def _ads(desk: Desk, call: Call) -> int:
    """How many ads the call's account has."""
    return 0 if call.account is None else len(desk.world.children(f"act_{call.account}", AD))


def item(
    desk: Desk, call: Call, *, version: str, method: str, path: tuple[str, ...], params: dict[str, Any]
) -> Call:
    """A call made out of a batch item."""
    token = str(params.pop("access_token", "") or call.token_text)
    return dataclasses.replace(
        call,
        version=version,
        method=method,
        path=path,
        params=params,
        token=None,
        token_text=token,
        in_batch=True,
        account=None,
    )


def as_item(answer: Answer, *, headers: bool) -> dict[str, Any]:
    """An answer as an entry of a batch response; the body is a JSON text."""
    entry: dict[str, Any] = {"code": answer.status}
    if headers:
        all_headers = [("Content-Type", answer.content_type), *answer.headers]
        entry["headers"] = [{"name": name, "value": value} for name, value in all_headers]
    entry["body"] = answer.data().decode("utf-8", "replace")
    return entry


def loads(text: str) -> Any:
    """JSON, or None when it is not."""
    try:
        return json.loads(text)
    except ValueError:
        return None
