"""What each fault does to a call or to its answer (reliability reference 7.3).

Options: ``late`` seconds (30) and answer ("timeout" or "success"); ``stale_read`` seconds (60);
``throttle`` code, subcode, minutes (it lasts);
``auth`` subcode (0 = none); ``transient`` code, subcode; ``reduce`` limit;
``html`` and ``empty`` status; ``odd_body`` body; ``human_edit_between`` field, value, object_id, seconds;
``cbo_switch`` budget; ``null_batch`` and ``partial_batch`` every; ``enum_new`` value; ``missing_fields``
names; ``odd_value`` names, value; ``truncated`` share.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from metaads.sandbox.errors import NoAnswer
from metaads.sandbox.faults import Fault
from metaads.sandbox.handlers import write
from metaads.sandbox.handlers.call import Answer, Call, Desk
from metaads.sandbox.handlers.checks import BUDGETS
from metaads.sandbox.handlers.paging import decode, encode
from metaads.sandbox.world.nodes import ADSET, Node

DELIVERY = frozenset({"applied_timeout", "applied_500", "late"})
HUMAN = write.Actor(id="10200000000000777", name="Hanna Human", application_id="")
HTML = (
    "<!DOCTYPE html><html><head><title>Sorry, something went wrong</title></head>"
    "<body><h1>Sorry, something went wrong.</h1></body></html>"
)
NUMERIC = frozenset(
    {"account_status", "bid_amount", "min_daily_budget", "disable_reason", "is_personal", "timezone_id"}
)


def facts(desk: Desk, call: Call) -> dict[str, str]:
    """What a fault can match on."""
    object_id = call.path[0] if call.path else ""
    edge = call.path[1] if len(call.path) > 1 else ""
    is_object = object_id in desk.world.nodes
    writes = is_object and call.method in ("POST", "DELETE") and edge != "insights"
    found = {
        "method": call.method,
        "path": "/".join(call.path),
        "object_id": object_id,
        "edge": edge,
        "is_write": "1" if writes else "",
        "is_read": "1" if call.method == "GET" and (is_object or object_id == "me") else "",
        "is_page": "1" if call.method == "GET" and edge else "",
        "is_cursor": "1" if call.method == "GET" and edge and call.params.get("after") else "",
        "is_run": "1" if call.method == "POST" and edge == "insights" else "",
    }
    if is_object:
        found["kind"] = desk.world.nodes[object_id].kind
    return found


def prepare(desk: Desk, call: Call, fault: Fault) -> None:
    """Change the call before its handler sees it."""
    options = fault.options
    if fault.name == "late":
        call.lands = call.now + float(options.get("seconds", 30))
    elif fault.name == "stale_read":
        call.read_at = call.now - float(options.get("seconds", 60))
    elif fault.name == "run_failed":
        call.run_fails = True
    elif fault.name == "cbo_switch":
        _switch_to_campaign_budget(desk, call, int(options.get("budget", 5_000)))


def after(desk: Desk, call: Call, fault: Fault, answer: Answer) -> Answer:
    """Change the answer of a call that its handler has finished."""
    options, name = fault.options, fault.name
    if name == "applied_timeout" or (name == "late" and options.get("answer", "timeout") == "timeout"):
        raise NoAnswer(applied=name == "applied_timeout")
    if name == "applied_500":
        error = {
            "message": "An unknown error occurred",
            "type": "OAuthException",
            "code": 1,
            "error_subcode": 99,
            "fbtrace_id": call.trace,
        }
        return dataclasses.replace(answer, body={"error": error}, status=500)
    if name == "human_edit_between":
        _human_edit(desk, call, options)
    elif name == "truncated":
        data = answer.data()
        return dataclasses.replace(
            answer, body=data[: max(1, int(len(data) * float(options.get("share", 0.6))))]
        )
    elif name == "slow_drip":
        return dataclasses.replace(answer, drip=True)
    elif isinstance(answer.body, dict):
        answer.body = _reshape(name, answer.body, options)
    return answer


def wire(fault: Fault) -> Answer:
    """An answer that is no Graph answer."""
    if fault.name == "html":
        return Answer(
            HTML.encode(),
            status=int(fault.options.get("status", 502)),
            content_type="text/html; charset=utf-8",
        )
    if fault.name == "odd_body":
        return Answer(fault.options.get("body"), status=int(fault.options.get("status", 200)))
    return Answer(b"", status=int(fault.options.get("status", 200)))


def _reshape(name: str, body: dict[str, Any], options: dict[str, Any]) -> Any:
    if name == "dup_page" and body.get("data"):
        return _twice(body)
    if name == "empty_page" and "data" in body:
        return body | {"data": []}
    if name == "enum_new":
        return _walk(
            body,
            lambda key, value: (
                str(options.get("value", "BRAND_NEW_STATE"))
                if key in ("effective_status", "objective")
                else value
            ),
        )
    if name == "string_numbers":
        return _walk(body, lambda key, value: str(value) if key in NUMERIC else value)
    if name == "missing_fields":
        names = set(options.get("names", ("name",)))
        return _drop(body, names)
    if name == "odd_value":
        return _put(body, set(options.get("names", ())), options.get("value"))
    if name == "extra_fields":
        return _more(body)
    return body


def _put(value: Any, names: set[str], odd: Any) -> Any:
    if isinstance(value, dict):
        return {name: odd if name in names else _put(item, names, odd) for name, item in value.items()}
    return [_put(item, names, odd) for item in value] if isinstance(value, list) else value


def _more(value: Any) -> Any:
    """Every object with fields that nobody has heard of."""
    if isinstance(value, dict):
        return {name: _more(item) for name, item in value.items()} | {"new_in_v99": {"a": [1, None, {}]}}
    return [_more(item) for item in value] if isinstance(value, list) else value


def _twice(body: dict[str, Any]) -> dict[str, Any]:
    """A page whose cursor leads to itself: a reader gets its rows twice. The last page repeats them in place."""
    paging = body.get("paging", {})
    if "next" not in paging:
        return body | {"data": [*body["data"], *body["data"]]}
    again = encode(decode(paging["cursors"]["before"]) - 1)
    address = paging["next"].replace(f"after={paging['cursors']['after']}", f"after={again}")
    return body | {"paging": paging | {"cursors": paging["cursors"] | {"after": again}, "next": address}}


def _walk(value: Any, change: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _walk(item, change, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_walk(item, change, key) for item in value]
    return change(key, value)


def _drop(value: Any, names: set[str]) -> Any:
    if isinstance(value, dict):
        return {name: _drop(item, names) for name, item in value.items() if name not in names}
    if isinstance(value, list):
        return [_drop(item, names) for item in value]
    return value


def _human_edit(desk: Desk, call: Call, options: dict[str, Any]) -> None:
    """A person changes something in Ads Manager right after our write landed."""
    node = desk.world.nodes[str(options.get("object_id") or call.path[0])]
    lands = call.now + float(options.get("seconds", 0))
    write.set_field(
        desk,
        at=call.now,
        lands=lands,
        node=node,
        name=str(options.get("field", "daily_budget")),
        value=options.get("value", 7_700),
        actor=HUMAN,
    )


def _switch_to_campaign_budget(desk: Desk, call: Call, budget: int) -> None:
    """A person moves the budget from the ad sets to the campaign just before our write arrives."""
    node = desk.world.nodes[call.path[0]]
    campaign: Node = desk.world.nodes[node.campaign_id]
    for adset in desk.world.children(campaign.id, ADSET, at=call.now):
        for name in BUDGETS:
            if adset.get(name, call.now):
                write.set_field(
                    desk, at=call.now, lands=call.now, node=adset, name=name, value=None, actor=HUMAN
                )
    write.set_field(
        desk, at=call.now, lands=call.now, node=campaign, name="daily_budget", value=budget, actor=HUMAN
    )
