"""Reading nodes and edges: requested fields, expansions, filters, pages (reference section 8)."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from metaads.sandbox.errors import GraphError, invalid, unknown_field
from metaads.sandbox.handlers import filters, insights_query, insights_rows, paging, times
from metaads.sandbox.handlers.call import Call, Desk, loose, words
from metaads.sandbox.handlers.fields import Field, parse
from metaads.sandbox.handlers.shapes import DEFAULTS, SHAPES, TYPE_NAMES, View
from metaads.sandbox.world.nodes import ACCOUNT, AD, ADSET, CAMPAIGN, CREATIVE, Node
from metaads.sandbox.world.people import Person
from metaads.sandbox.world.state import GONE

EDGES: dict[str, dict[str, str]] = {
    ACCOUNT: {"campaigns": CAMPAIGN, "adsets": ADSET, "ads": AD, "adcreatives": CREATIVE},
    CAMPAIGN: {"adsets": ADSET, "ads": AD},
    ADSET: {"ads": AD, "adcreatives": CREATIVE},
    AD: {"adcreatives": CREATIVE},
    CREATIVE: {},
}
STATUSES = {
    CAMPAIGN: frozenset(["ACTIVE", "ARCHIVED", "DELETED", "IN_PROCESS", "PAUSED", "WITH_ISSUES"]),
    ADSET: frozenset(
        ["ACTIVE", "ARCHIVED", "DELETED", "IN_PROCESS", "PAUSED", "WITH_ISSUES", "CAMPAIGN_PAUSED"]
    ),
    AD: frozenset(
        [
            "ACTIVE",
            "ADSET_PAUSED",
            "ARCHIVED",
            "CAMPAIGN_PAUSED",
            "DELETED",
            "DISAPPROVED",
            "IN_PROCESS",
            "PAUSED",
            "PENDING_BILLING_INFO",
            "PENDING_REVIEW",
            "PREAPPROVED",
            "WITH_ISSUES",
        ]
    ),
}
PARENTS = {"campaign": CAMPAIGN, "adset": ADSET}
TOP = 5_000


def node_body(
    desk: Desk, call: Call, node: Node, wanted: tuple[Field, ...], person: Person | None
) -> dict[str, Any]:
    """A node with the requested fields; ``id`` is always there."""
    view = View(desk.engine, node, call.read_at, person)
    shapes = SHAPES[node.kind]
    body: dict[str, Any] = {}
    for field in wanted or tuple(Field(name, {}, None, "") for name in DEFAULTS[node.kind]):
        if field.name in shapes:
            value = shapes[field.name](view)
        else:
            value = _related(desk, call, node, field, person)
        if value is not None:
            body[field.key] = value
    body.setdefault("id", node.id)
    return body


def edge_body(desk: Desk, call: Call, node: Node, edge: str, person: Person | None) -> dict[str, Any]:
    """An edge of a node as a page."""
    rows = edge_nodes(desk, call, node, edge, call.params)
    wanted = parse(call.params.get("fields"))
    limit = call.number("limit", paging.DEFAULT_LIMIT, top=TOP)
    page, start = paging.cut(rows, limit=limit, after=call.text("after"), before=call.text("before"))
    data = [node_body(desk, call, row, wanted, person) for row in page]
    params = {name: call.text(name) for name in call.params}
    body = paging.wrap(
        call, data, start=start, total=len(rows), path=f"{node.id}/{edge}", params=params, limit=limit
    )
    if _wants_count(call.params.get("summary")):
        body["summary"] = {"total_count": len(rows)}
    return body


def edge_nodes(desk: Desk, call: Call, node: Node, edge: str, params: dict[str, Any]) -> list[Node]:
    """The nodes on an edge, after the status default, filters, ``updated_since`` and ``is_completed``."""
    world, at = desk.world, call.read_at
    kind = EDGES[node.kind][edge]
    if kind == CREATIVE:
        return _creatives(desk, node, at)
    found = world.children(node.id, kind, at=at)
    conditions = filters.conditions_of(params.get("filtering"))
    statuses = words(params.get("effective_status"))
    if statuses:
        conditions = [*conditions, {"field": "effective_status", "operator": "IN", "value": statuses}]
    named = _named_statuses(kind, conditions)
    if params.get("updated_since"):
        zone = str(world.accounts[node.account_id].get("timezone_name", at, "UTC"))
        since = times.parse(params["updated_since"], zone, field="updated_since") or 0.0
        found = [row for row in found if float(row.get("updated_time", at, 0)) >= since]
    if str(params.get("is_completed", "")).lower() in ("true", "1", "false", "0"):
        done = str(params["is_completed"]).lower() in ("true", "1")
        found = [row for row in found if _completed(row, at) == done]
    hidden = GONE - named
    return [
        row
        for row in found
        if world.effective_status(row, at) not in hidden
        and all(filters.keep_node(world, row, item, at) for item in conditions)
    ]


def insights_page(desk: Desk, call: Call, node: Node, params: dict[str, Any], *, path: str) -> dict[str, Any]:
    """A synchronous insights read as a page."""
    query = query_for(desk, call, node, params)
    rows = _rows(desk, call, node, query)
    raw = params.get("limit")
    limit = min(TOP, max(1, int(str(raw)))) if raw and str(raw).isdigit() else paging.DEFAULT_LIMIT
    page, start = paging.cut(
        rows, limit=limit, after=str(params.get("after") or ""), before=str(params.get("before") or "")
    )
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in params.items()}
    body = paging.wrap(call, page, start=start, total=len(rows), path=path, params=texts, limit=limit)
    if query.summary:
        body["summary"] = insights_rows.summary(desk.engine, node, query, now=call.read_at)
    return body


def _rows(desk: Desk, call: Call, node: Node, query: insights_query.Query) -> list[dict[str, Any]]:
    """All rows of a read. A sandbox that replays works them out once for all pages of the read."""
    if desk.replayed is None:
        return insights_rows.rows(desk.engine, node, query, now=call.read_at)
    key = (node.id, repr(query))
    if key not in desk.replayed:
        desk.replayed.clear()
        desk.replayed[key] = insights_rows.rows(desk.engine, node, query, now=call.read_at)
    return desk.replayed[key]


def query_for(desk: Desk, call: Call, node: Node, params: dict[str, Any]) -> insights_query.Query:
    """The checked query of an insights read on ``node``."""
    own = "account" if node.kind == ACCOUNT else node.kind
    query = insights_query.parse(
        params, own_level=own, today=desk.engine.today(node.account_id, call.read_at)
    )
    if insights_query.LEVELS.index(query.level) < insights_query.LEVELS.index(own):
        raise GraphError(1, "An unknown error occurred", subcode=99, status=500)
    return query


def _related(desk: Desk, call: Call, node: Node, field: Field, person: Person | None) -> Any:
    """An expansion: a child edge, insights, a parent or the creative."""
    world = desk.world
    if field.name in EDGES[node.kind]:
        return _expanded(desk, call, node, field, person)
    if field.name == "insights" and node.kind != CREATIVE:
        params: dict[str, Any] = dict(field.args)
        if field.children is not None:
            params["fields"] = ",".join(child.name for child in field.children)
        page = insights_page(desk, call, node, params, path=f"{node.id}/insights")
        return page if page["data"] else None
    if field.name == "creative" and node.kind == AD:
        creative = world.nodes.get(str(node.get("creative", call.read_at) or ""))
        return node_body(desk, call, creative, field.children or (), person) if creative else None
    if field.name in PARENTS and field.name != node.kind:
        owner = {"campaign": node.campaign_id, "adset": node.adset_id}[field.name]
        if owner:
            return node_body(desk, call, world.nodes[owner], field.children or (), person)
    if field.name == "account" and node.kind != ACCOUNT:
        return node_body(desk, call, world.accounts[node.account_id], field.children or (), person)
    raise unknown_field(field.name, TYPE_NAMES[node.kind])


def _expanded(
    desk: Desk, call: Call, node: Node, field: Field, person: Person | None
) -> dict[str, Any] | None:
    rows = edge_nodes(desk, call, node, field.name, dict(field.args))
    limit = dataclasses.replace(call, params=dict(field.args)).number("limit", paging.DEFAULT_LIMIT, top=TOP)
    page, start = paging.cut(rows, limit=limit, after=field.args.get("after", ""))
    if not page:
        return None
    data = [node_body(desk, call, row, field.children or (), person) for row in page]
    names = ",".join(child.name for child in field.children or ())
    return paging.wrap(
        call,
        data,
        start=start,
        total=len(rows),
        path=f"{node.id}/{field.name}",
        params={**field.args, "fields": names},
        limit=limit,
    )


def _creatives(desk: Desk, node: Node, at: float) -> list[Node]:
    if node.kind == ACCOUNT:
        return desk.world.children(node.id, CREATIVE, at=at)
    ads = [node] if node.kind == AD else desk.world.children(node.id, AD, at=at)
    used = dict.fromkeys(str(ad.get("creative", at)) for ad in ads)
    return [desk.world.nodes[creative] for creative in used if creative in desk.world.nodes]


def _named_statuses(kind: str, conditions: list[dict[str, Any]]) -> frozenset[str]:
    """Statuses that the filter names; DELETED on an edge is an error (reference 6.4)."""
    named: set[str] = set()
    for item in conditions:
        if str(item.get("field", "")).rpartition(".")[2] in (
            "effective_status",
            "status",
            "configured_status",
        ):
            values = {str(value) for value in words(item.get("value"))}
            if not values <= STATUSES[kind]:
                raise invalid(
                    f"effective_status must be one of: {', '.join(sorted(STATUSES[kind]))}",
                    field="effective_status",
                )
            if "DELETED" in values and item.get("operator", "EQUAL") in ("IN", "EQUAL", "ANY"):
                raise GraphError(
                    100,
                    "(#100) Invalid parameter",
                    subcode=1815001,
                    title="Cannot Request for Deleted Objects",
                    user_message="Requesting for deleted objects is not supported in this endpoint.",
                )
            named |= values
    return frozenset(named)


def _completed(node: Node, at: float) -> bool:
    end = node.get("end_time", at)
    return bool(end) and float(end) <= at


def _wants_count(raw: Any) -> bool:
    parsed = loose(raw)
    return parsed is True or parsed == 1 or "total_count" in words(raw)
