"""Writing: status, budget, bid, name, end time; create and delete (references 6.3 to 6.9), with Meta's
validation errors.

    check everything -> validate_only? -> journal one effect per field -> {"success": true}, or the object when
    fields were asked

A late effect carries the moment when it lands; reads before then do not see it.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from metaads.sandbox.errors import invalid
from metaads.sandbox.handlers import access, checks, read
from metaads.sandbox.handlers.call import Call, Desk, words
from metaads.sandbox.handlers.fields import parse
from metaads.sandbox.world.nodes import ADSET, CAMPAIGN, Node
from metaads.sandbox.world.people import Person


@dataclasses.dataclass(frozen=True, slots=True)
class Actor:
    """Who writes; ``application_id`` empty for a person in Ads Manager."""

    id: str
    name: str
    application_id: str


def update(desk: Desk, call: Call, node: Node) -> dict[str, Any]:
    """``POST /{id}``."""
    person = access.may_write(desk, call, node)
    changes = checks.changes_of(desk, call, node)
    checks.check_alive(desk, call, node, changes)
    checks.check(desk, call, node, changes)
    if "validate_only" in words(call.params.get("execution_options")):
        return {"success": True}
    if node.kind == ADSET and any(name in changes for name in checks.BUDGETS):
        desk.limits.charge_budget(node.id, now=call.now)
    apply(desk, call, node, changes, actor_of(desk, person))
    return _answer(desk, call, node, person)


def delete(desk: Desk, call: Call, node: Node) -> dict[str, Any]:
    """``DELETE /{id}``."""
    person = access.may_write(desk, call, node)
    apply(desk, call, node, {"status": "DELETED"}, actor_of(desk, person))
    return {"success": True}


def create(desk: Desk, call: Call, account: Node, kind: str) -> dict[str, Any]:
    """``POST /act_X/campaigns|adsets|ads|adcreatives``."""
    person = access.may_write(desk, call, account)
    parents = checks.parents_of(desk, call, account, kind)
    draft = Node(
        id="0",
        kind=kind,
        account_id=account.id,
        created=call.now,
        initial=False,
        campaign_id=parents.get("campaign_id", ""),
        adset_id=parents.get("adset_id", ""),
    )
    if kind == CAMPAIGN:
        draft.campaign_id = draft.id
    fields = checks.changes_of(desk, call, draft)
    for name in checks.required(kind):
        if name not in fields:
            raise invalid(f"The parameter {name} is required")
    checks.check(desk, call, draft, fields)
    if (
        kind == CAMPAIGN
        and not any(fields.get(name) for name in checks.BUDGETS)
        and "is_adset_budget_sharing_enabled" not in fields
    ):
        raise invalid("Must specify True or False in is_adset_budget_sharing_enabled field", subcode=4834011)
    if kind == ADSET:
        campaign = desk.world.nodes[parents["campaign_id"]]
        if not any(fields.get(name) for name in checks.BUDGETS) and not desk.world.is_cbo(campaign, call.now):
            raise invalid(
                "You must set a budget on the ad set or the campaign", subcode=1885272, field="daily_budget"
            )
    if "validate_only" in words(call.params.get("execution_options")):
        return {"success": True}
    fields.setdefault("status", "ACTIVE")
    new_id = desk.world.new_id()
    parents = parents | (
        {"campaign_id": new_id} if kind == CAMPAIGN else {"adset_id": new_id} if kind == ADSET else {}
    )
    make(desk, call, new_id, kind, account.id, fields, parents, actor_of(desk, person), source="")
    body = {"id": new_id}
    if call.params.get("fields"):
        body |= read.node_body(desk, call, desk.world.nodes[new_id], parse(call.params["fields"]), person)
    return body


def make(
    desk: Desk,
    call: Call,
    new_id: str,
    kind: str,
    account_id: str,
    fields: dict[str, Any],
    parents: dict[str, str],
    actor: Actor,
    *,
    source: str,
) -> None:
    """Journal a new object."""
    desk.world.record(
        at=call.lands,
        kind="create",
        id=new_id,
        account_id=account_id,
        fields=fields,
        source=source,
        actor=actor.id,
        actor_name=actor.name,
        application_id=actor.application_id,
        object_kind=kind,
        **parents,
    )


def apply(desk: Desk, call: Call, node: Node, changes: dict[str, Any], actor: Actor) -> None:
    """Journal the effects, one per field that really changes; a repeated value is still an effect (last writer
    wins).
    """
    for name, value in changes.items():
        if name in ("adset_budgets", "adset_bid_amounts"):
            _hand_down(desk, call, node, name, value, actor)
            continue
        set_field(desk, at=call.now, lands=call.lands, node=node, name=name, value=value, actor=actor)


def set_field(
    desk: Desk, *, at: float, lands: float, node: Node, name: str, value: Any, actor: Actor
) -> None:
    """One effect on one field."""
    desk.world.record(
        at=at,
        kind="set",
        object_id=node.id,
        field=name,
        value=value,
        lands=lands,
        old=node.get(name, lands),
        actor=actor.id,
        actor_name=actor.name,
        application_id=actor.application_id,
    )


def actor_of(desk: Desk, person: Person) -> Actor:
    """The calling person, through our app."""
    return Actor(person.id, person.name, desk.app_id)


def _answer(desk: Desk, call: Call, node: Node, person: Person) -> dict[str, Any]:
    if not call.params.get("fields"):
        return {"success": True}
    # Read-after-write answers what the write left, even when reads elsewhere are stale.
    return read.node_body(
        desk, dataclasses.replace(call, read_at=call.now), node, parse(call.params["fields"]), person
    )


def _hand_down(desk: Desk, call: Call, campaign: Node, name: str, rows: Any, actor: Actor) -> None:
    """Give the budget back to the ad sets (CBO off), or set their bids."""
    if name == "adset_bid_amounts":
        for adset_id, bid in dict(rows).items():
            set_field(
                desk,
                at=call.now,
                lands=call.lands,
                node=desk.world.nodes[adset_id],
                name="bid_amount",
                value=int(bid),
                actor=actor,
            )
        return
    for row in rows:
        for budget in checks.BUDGETS:
            if budget in row:
                set_field(
                    desk,
                    at=call.now,
                    lands=call.lands,
                    node=desk.world.nodes[str(row["adset_id"])],
                    name=budget,
                    value=int(row[budget]),
                    actor=actor,
                )
    for budget in checks.BUDGETS:
        if campaign.get(budget, call.now):
            set_field(
                desk, at=call.now, lands=call.lands, node=campaign, name=budget, value=None, actor=actor
            )
