"""Path and method to handler: the sandbox's table of contents."""

from __future__ import annotations

from typing import Any

from metaads.sandbox.errors import METHOD, GraphError, gone, invalid, no_token
from metaads.sandbox.handlers import access, copies, extras, login, paging, read, reports, write
from metaads.sandbox.handlers.call import Call, Desk
from metaads.sandbox.handlers.fields import parse
from metaads.sandbox.money import minimum_daily_budget
from metaads.sandbox.world.nodes import ACCOUNT, AD, ADSET, CAMPAIGN, CREATIVE, Node
from metaads.sandbox.world.people import Person

CREATES = {"campaigns": CAMPAIGN, "adsets": ADSET, "ads": AD, "adcreatives": CREATIVE}


def dispatch(desk: Desk, call: Call) -> Any:
    """The JSON value that answers a call; raises ``GraphError``."""
    path = call.path
    if "date_format" in call.params:
        raise invalid("date_format is not supported in this version")
    if not path:
        raise invalid(
            "The ids parameter is not supported in this version; use a batch request"
            if "ids" in call.params
            else "Unknown path components"
        )
    if path == ("oauth", "access_token"):
        return login.access_token(desk, call)
    access.identify(desk, call)
    if path == ("oauth", "access_token_info"):
        return login.token_info(desk, call)
    if path == ("debug_token",):
        return login.debug_token(desk, call)
    if path[0] == desk.app_id and len(path) == 2:
        return _app(desk, call, path[1])
    if call.token is None:
        raise no_token()
    person = access.person(desk, call)
    if path[0] in ("me", person.id):
        return _me(desk, call, path[1:])
    if path[0] in desk.world.runs:
        return _run(desk, call, path)
    node = desk.world.node(path[0], at=call.now)
    if node is None:
        raise gone(path[0])
    return _object(desk, call, node, path[1:])


def account_of(desk: Desk, path: tuple[str, ...]) -> str | None:
    """The account (digits) that a call is counted for; None for platform calls."""
    if not path:
        return None
    run = desk.world.runs.get(path[0])
    node = desk.world.nodes.get(run.data["object_id"] if run else path[0])
    return node.account_id.removeprefix("act_") if node else None


def _app(desk: Desk, call: Call, edge: str) -> Any:
    if edge == "instruments":
        return {"success": True}
    if edge == "subscriptions":
        return extras.app_subscriptions(desk, call)
    raise gone(desk.app_id)


def _me(desk: Desk, call: Call, rest: tuple[str, ...]) -> Any:
    if not rest:
        return login.me(desk, call)
    if rest[0] == "permissions":
        if call.method == "DELETE":
            return login.revoke(desk, call, rest[1] if len(rest) > 1 else call.text("permission"))
        return login.permissions(desk, call)
    if rest[0] == "adaccounts":
        return _adaccounts(desk, call)
    if rest[0] in ("accounts", "businesses"):
        return {"data": []}
    raise _unknown_path(call)


def _adaccounts(desk: Desk, call: Call) -> dict[str, Any]:
    person = access.person(desk, call)
    accounts = [desk.world.accounts[account] for account in person.tasks if account in desk.world.accounts]
    if accounts:
        access.may_read(desk, call, accounts[0])
    wanted = parse(call.params.get("fields"))
    limit = call.number("limit", paging.DEFAULT_LIMIT, top=500)
    page, start = paging.cut(accounts, limit=limit, after=call.text("after"), before=call.text("before"))
    rows = [read.node_body(desk, call, account, wanted, person) for account in page]
    params = {name: call.text(name) for name in call.params}
    body = paging.wrap(
        call, rows, start=start, total=len(accounts), path="me/adaccounts", params=params, limit=limit
    )
    if call.flag("summary"):
        body["summary"] = {"total_count": len(accounts)}
    return body


def _run(desk: Desk, call: Call, path: tuple[str, ...]) -> Any:
    run = desk.world.runs[path[0]]
    if len(path) == 1:
        return reports.status(desk, call, run)
    if path[1] == "insights":
        return reports.result(desk, call, run)
    raise _unknown_path(call)


def _object(desk: Desk, call: Call, node: Node, rest: tuple[str, ...]) -> Any:
    if not rest:
        if call.method == "GET":
            person = access.may_read(desk, call, node)
            return read.node_body(desk, call, node, parse(call.params.get("fields")), person)
        if node.kind == ACCOUNT:
            raise GraphError(100, "Unsupported post request.", subcode=33, kind=METHOD)
        return write.update(desk, call, node) if call.method == "POST" else write.delete(desk, call, node)
    if len(rest) > 1:
        raise _unknown_path(call)
    edge = rest[0]
    if edge == "insights" and node.kind != CREATIVE:
        if call.method == "POST":
            return reports.start(desk, call, node)
        access.may_read(desk, call, node)
        return read.insights_page(desk, call, node, call.params, path=f"{node.id}/insights")
    if edge == "copies" and node.kind in copies.KEY and call.method == "POST":
        return copies.copy(desk, call, node)
    person = access.may_read(desk, call, node)
    if edge in read.EDGES[node.kind]:
        if call.method == "POST" and node.kind == ACCOUNT:
            return write.create(desk, call, node, CREATES[edge])
        return read.edge_body(desk, call, node, edge, person)
    return _extra(desk, call, node, edge, person)


def _extra(desk: Desk, call: Call, node: Node, edge: str, person: Person) -> Any:
    if edge == "delivery_estimate" and node.kind in (ACCOUNT, ADSET):
        return extras.delivery_estimate(call, node)
    if node.kind == ACCOUNT:
        if edge == "activities":
            return extras.activities(desk, call, node)
        if edge == "reachestimate":
            return extras.reach_estimate(call, node)
        if edge == "minimum_budgets":
            return extras.minimum_budgets(node, minimum_daily_budget(node.currency()))
        if edge == "ads_volume":
            return extras.ads_volume(desk, call, node)
        if edge == "subscribed_apps":
            return extras.subscribed_apps(desk, call, node)
    if edge == "activities" and node.kind == ADSET:
        call.params["oid"] = node.id
        return extras.activities(desk, call, desk.world.accounts[node.account_id])
    raise _unknown_path(call)


def _unknown_path(call: Call) -> GraphError:
    return GraphError(2500, f"Unknown path components: /{'/'.join(call.path[1:])}", status=400)
