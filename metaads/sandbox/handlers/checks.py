"""What a write may say: parameters typed, and refused with Meta's own codes (references 3.3, 6.3 to 6.7)."""

from __future__ import annotations

from typing import Any

from metaads.sandbox.errors import invalid
from metaads.sandbox.handlers import times
from metaads.sandbox.handlers.call import Call, Desk
from metaads.sandbox.money import minimum_daily_budget
from metaads.sandbox.world.nodes import AD, ADSET, CAMPAIGN, CREATIVE, Node
from metaads.sandbox.world.state import GONE

STATUSES = ("ACTIVE", "PAUSED", "ARCHIVED", "DELETED")


BUDGETS = ("daily_budget", "lifetime_budget")


STRATEGIES = frozenset(
    ["LOWEST_COST_WITHOUT_CAP", "LOWEST_COST_WITH_BID_CAP", "COST_CAP", "LOWEST_COST_WITH_MIN_ROAS"]
)


OBJECTS = frozenset(
    {
        "targeting",
        "promoted_object",
        "attribution_spec",
        "adlabels",
        "bid_constraints",
        "special_ad_categories",
        "pacing_type",
        "adset_schedule",
        "frequency_control_specs",
    }
)


WRITABLE = {
    CAMPAIGN: {
        "name",
        "status",
        *BUDGETS,
        "spend_cap",
        "bid_strategy",
        "adlabels",
        "special_ad_categories",
        "pacing_type",
        "is_adset_budget_sharing_enabled",
        "objective",
        "buying_type",
        "start_time",
        "stop_time",
        "promoted_object",
        "bid_constraints",
        "adset_budgets",
        "adset_bid_amounts",
    },
    ADSET: {
        "name",
        "status",
        *BUDGETS,
        "bid_amount",
        "bid_strategy",
        "bid_constraints",
        "targeting",
        "start_time",
        "end_time",
        "optimization_goal",
        "billing_event",
        "promoted_object",
        "attribution_spec",
        "adlabels",
        "daily_spend_cap",
        "lifetime_spend_cap",
        "daily_min_spend_target",
        "lifetime_min_spend_target",
        "pacing_type",
        "adset_schedule",
        "frequency_control_specs",
        "destination_type",
        "dsa_payor",
        "dsa_beneficiary",
        "campaign_id",
    },
    AD: {
        "name",
        "status",
        "creative",
        "adlabels",
        "bid_amount",
        "tracking_specs",
        "conversion_domain",
        "adset_id",
    },
    CREATIVE: {"name", "status", "adlabels"},
}


PROTOCOL = {"fields", "execution_options", "redownload", "method", "include_headers", "locale"}


def changes_of(desk: Desk, call: Call, node: Node) -> dict[str, Any]:
    """The fields to write, typed; an unknown parameter is ignored as Meta does, a malformed one refused."""
    zone = str(desk.world.accounts[node.account_id].get("timezone_name", call.now, "UTC"))
    found: dict[str, Any] = {}
    for name in sorted(call.params):
        if name in PROTOCOL or name not in WRITABLE[node.kind]:
            continue
        found[name] = _typed(call, name, zone)
    return found


def _typed(call: Call, name: str, zone: str) -> Any:
    if name in (
        *BUDGETS,
        "spend_cap",
        "bid_amount",
        "daily_spend_cap",
        "lifetime_spend_cap",
        "daily_min_spend_target",
        "lifetime_min_spend_target",
    ):
        raw = str(call.params[name])
        if not raw.isdigit():
            raise invalid(f"Param {name} must be an integer", field=name)
        return int(raw)
    if name in ("start_time", "end_time", "stop_time"):
        return times.parse(call.params[name], zone, field=name)
    if name in OBJECTS or name in ("adset_budgets", "adset_bid_amounts", "tracking_specs"):
        value = call.value(name)
        if not isinstance(value, list | dict):
            raise invalid(f"Param {name} must be an object or an array", field=name)
        return value
    if name == "creative":
        value = call.value(name)
        return str(value.get("creative_id") or value.get("id")) if isinstance(value, dict) else str(value)
    if name == "is_adset_budget_sharing_enabled":
        return call.flag(name)
    return call.text(name)


def check_alive(desk: Desk, call: Call, node: Node, changes: dict[str, Any]) -> None:
    """Archived and deleted objects take a new name only (reference 6.4)."""
    status = desk.world.status(node, call.now)
    if status not in GONE or set(changes) <= {"name"}:
        return
    if status == "ARCHIVED" and set(changes) == {"status"} and changes["status"] == "DELETED":
        return
    subcode = {CAMPAIGN: 1487566, ADSET: 1487056}.get(node.kind, 1885088)
    what = {CAMPAIGN: "campaign", ADSET: "ad set"}.get(node.kind, "ad")
    raise invalid(
        f"This {what} has been {status.lower()}: you can only edit its name.",
        subcode=subcode,
        title=f"Cannot Edit {status.title()} {what.title()}",
    )


def check(desk: Desk, call: Call, node: Node, changes: dict[str, Any]) -> None:
    _check_handed_down(desk, call, node, changes)
    if "status" in changes and changes["status"] not in STATUSES:
        raise invalid(f"Param status must be one of {{{', '.join(STATUSES)}}}", field="status")
    if "bid_strategy" in changes and changes["bid_strategy"] not in STRATEGIES:
        raise invalid(
            "Param bid_strategy must be one of {" + ", ".join(sorted(STRATEGIES)) + "}", field="bid_strategy"
        )
    if "name" in changes and not changes["name"].strip():
        raise invalid("Param name must be non-empty", field="name")
    if changes.get("end_time") and changes["end_time"] <= call.now:
        raise invalid("End date must be in the future", subcode=1487033, field="end_time")
    strategy = changes.get("bid_strategy")
    if (
        strategy in ("COST_CAP", "LOWEST_COST_WITH_BID_CAP")
        and node.kind == ADSET
        and not (changes.get("bid_amount") or node.get("bid_amount", call.now))
    ):
        raise invalid(
            "You must provide a bid cap or target cost in bid_amount field",
            subcode=1815857,
            field="bid_amount",
        )
    _check_budgets(desk, call, node, changes)


def _check_handed_down(desk: Desk, call: Call, node: Node, changes: dict[str, Any]) -> None:
    """Budgets and bids for ad sets must name ad sets of this campaign and whole numbers."""
    below = {adset.id for adset in desk.world.children(node.id, ADSET, at=call.now)}
    rows = changes.get("adset_budgets", [])
    bids = changes.get("adset_bid_amounts", {})
    named = isinstance(rows, list) and bool(rows or "adset_budgets" not in changes)
    named = named and all(isinstance(row, dict) and str(row.get("adset_id")) in below for row in rows)
    if not named or not all(str(row[name]).isdigit() for row in rows for name in BUDGETS if name in row):
        raise invalid(
            "Param adset_budgets must list this campaign's ad sets with their budgets", field="adset_budgets"
        )
    if not isinstance(bids, dict) or not all(
        key in below and str(bid).isdigit() for key, bid in bids.items()
    ):
        raise invalid(
            "Param adset_bid_amounts must map this campaign's ad sets to bids", field="adset_bid_amounts"
        )


def _check_budgets(desk: Desk, call: Call, node: Node, changes: dict[str, Any]) -> None:
    """Where the budget lives, and its floor (subcodes of reference 3.3)."""
    wanted = [name for name in BUDGETS if changes.get(name)]
    if not any(name in changes for name in BUDGETS):
        return
    world, at = desk.world, call.now
    if len(wanted) == 2 or any(
        node.get(other, at) and other not in changes for other in BUDGETS if other not in wanted and wanted
    ):
        raise invalid(
            "You can set either a daily or a lifetime budget, not both", subcode=1885621, field=wanted[0]
        )
    if node.kind == ADSET and wanted:
        campaign = world.nodes[node.campaign_id]
        if world.is_cbo(campaign, at):
            raise invalid(
                "You can only set an ad set budget or a campaign budget",
                subcode=1885621,
                field=wanted[0],
                title="Budget is set on the campaign",
            )
    if node.kind == CAMPAIGN and wanted and not world.is_cbo(node, at):
        owned = any(
            adset.get(name, at)
            for adset in world.children(node.id, ADSET, at=at)
            for name in BUDGETS
            if world.status(adset, at) not in GONE
        )
        if owned:
            raise invalid(
                "You can only set an ad set budget or a campaign budget",
                subcode=1885621,
                field=wanted[0],
                title="Budget is set on the ad sets",
            )
    floor = minimum_daily_budget(world.accounts[node.account_id].currency())
    for name in BUDGETS:
        if name in changes and (changes[name] or 0) < floor:
            subcode = 1487901 if node.kind == ADSET else 2238055
            raise invalid(
                f"The budget must be at least {floor} (in minor units)",
                subcode=subcode,
                field=name,
                title="Budget Is Too Low",
            )
    if (
        node.kind == ADSET
        and "lifetime_budget" in wanted
        and not (changes.get("end_time") or node.get("end_time", at))
    ):
        raise invalid("An end time is required with a lifetime budget", subcode=1487033, field="end_time")


def parents_of(desk: Desk, call: Call, account: Node, kind: str) -> dict[str, str]:
    if kind in (CAMPAIGN, CREATIVE):
        return {}
    name = "campaign_id" if kind == ADSET else "adset_id"
    parent = desk.world.node(call.text(name), at=call.now)
    if parent is None or parent.account_id != account.id:
        raise invalid(f"The parameter {name} is required")
    if desk.world.status(parent, call.now) in GONE:
        raise invalid("The parent was deleted", subcode=1487566 if kind == ADSET else 1487056)
    return {"campaign_id": parent.campaign_id} | ({"adset_id": parent.id} if kind == AD else {})


def required(kind: str) -> tuple[str, ...]:
    return {
        CAMPAIGN: ("name", "objective", "special_ad_categories"),
        ADSET: ("name", "targeting", "billing_event", "optimization_goal"),
        AD: ("name", "creative"),
    }.get(kind, ())
