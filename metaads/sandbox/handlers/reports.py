"""Asynchronous insights: run, status, result (reference 5.7).

A run is a journal entry; its status follows from the clock: not yet there for a moment (100/33), started,
running, completed.
"""

from __future__ import annotations

import json
from typing import Any

from metaads.sandbox.errors import GraphError, gone, unknown_field
from metaads.sandbox.handlers import access, insights_query, read
from metaads.sandbox.handlers.call import Call, Desk
from metaads.sandbox.handlers.fields import parse
from metaads.sandbox.journal import Entry
from metaads.sandbox.world.nodes import Node

# Seconds after its creation at which a run can be seen, starts, and is ready. Each look counts as two seconds,
# so that a run finishes under a clock that stands still too.
RACE, START, READY, LOOK = 0.2, 1.0, 4.0, 2.0
EXPIRY = 30 * 86_400


def start(desk: Desk, call: Call, node: Node) -> dict[str, Any]:
    """``POST /{id}/insights``: parameters are checked now, numbers are read when the result is."""
    access.may_read(desk, call, node)
    params = {
        name: value for name, value in call.params.items() if name not in ("access_token", "limit", "after")
    }
    read.query_for(desk, call, node, params)
    run_id = desk.world.new_id()
    desk.world.record(
        at=call.now, kind="run", id=run_id, object_id=node.id, params=params, fails=call.run_fails
    )
    return {"report_run_id": run_id}


def status(desk: Desk, call: Call, run: Entry) -> dict[str, Any]:
    """``GET /{report_run_id}``."""
    node = desk.world.nodes[run.data["object_id"]]
    access.may_read(desk, call, node)
    age = call.now - run.at + LOOK * desk.looks.get(run.data["id"], 0)
    desk.looks[run.data["id"]] = desk.looks.get(run.data["id"], 0) + 1
    if age < RACE and desk.replayed is None:
        raise gone(run.data["id"])
    body = _status(desk, run, node, age)
    wanted = [field.name for field in parse(call.params.get("fields"))]
    known = {
        *body,
        "error_code",
        "error_message",
        "error_subcode",
        "error_user_title",
        "error_user_msg",
        "time_completed",
        "is_bookmarked",
        "schedule_id",
        "friendly_name",
        "is_async_export",
    }
    for name in wanted:
        if name not in known:
            raise unknown_field(name, "AdReportRun")
    shown = {name: body[name] for name in wanted if name in body} if wanted else body
    return {"id": run.data["id"], **shown}


def result(desk: Desk, call: Call, run: Entry) -> dict[str, Any]:
    """``GET /{report_run_id}/insights``: paged like any edge."""
    node = desk.world.nodes[run.data["object_id"]]
    access.may_read(desk, call, node)
    age = call.now - run.at + LOOK * desk.looks.get(run.data["id"], 0)
    if _status(desk, run, node, age)["async_status"] != "Job Completed":
        raise GraphError(
            2601, "(#2601) Loading async jobs that are not completed is not allowed", subcode=1815107
        )
    params = dict(run.data["params"]) | {
        name: call.params[name] for name in ("limit", "after", "before") if name in call.params
    }
    return read.insights_page(desk, call, node, params, path=f"{run.data['id']}/insights")


def _status(desk: Desk, run: Entry, node: Node, age: float) -> dict[str, Any]:
    started, ready = START, READY + len(json.dumps(run.data["params"])) / 200
    if desk.replayed is not None:
        started = ready = 0.0
    text, percent = "Job Completed", 100
    if age > EXPIRY:
        text = "Job Skipped"
    elif age < started:
        text, percent = "Job Not Started", 0
    elif age < ready:
        text, percent = "Job Running", int(100 * age / ready)
    elif run.data["fails"]:
        text, percent = "Job Failed", 100
    body: dict[str, Any] = {
        "id": run.data["id"],
        "account_id": node.account_id.removeprefix("act_"),
        "time_ref": int(run.at),
        "async_status": text,
        "async_percent_completion": percent,
        "is_running": text in ("Job Not Started", "Job Running"),
    }
    query = insights_query.parse(
        run.data["params"],
        own_level="account" if node.kind == "account" else node.kind,
        today=desk.engine.today(node.account_id, run.at),
    )
    body["date_start"] = query.slices[0].since.isoformat()
    body["date_stop"] = query.slices[-1].until.isoformat()
    if text == "Job Completed":
        body["time_completed"] = int(run.at + ready)
    if text == "Job Failed":
        body |= {
            "error_code": -2,
            "error_subcode": 2490547,
            "error_message": "The report failed. Please try again.",
            "error_user_title": "Report failed",
            "error_user_msg": "The report could not be created.",
        }
    return body
