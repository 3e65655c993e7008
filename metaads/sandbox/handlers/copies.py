"""Copies of campaigns, ad sets and ads (reference 6.8)."""

from __future__ import annotations

from typing import Any

from metaads.sandbox.errors import GraphError, invalid
from metaads.sandbox.handlers import access, write
from metaads.sandbox.handlers.call import Call, Desk
from metaads.sandbox.world.nodes import AD, ADSET, CAMPAIGN, Node
from metaads.sandbox.world.state import GONE

KEY = {CAMPAIGN: "copied_campaign_id", ADSET: "copied_adset_id", AD: "copied_ad_id"}
WORD = {CAMPAIGN: "campaign", ADSET: "ad_set", AD: "ad"}
SYNC_ADS = 3
BATCH_ADS = 51


def copy(desk: Desk, call: Call, node: Node) -> dict[str, Any]:
    """``POST /{id}/copies``: the object, with ``deep_copy`` its children too."""
    person = access.may_write(desk, call, node)
    world, at = desk.world, call.now
    if world.status(node, at) in GONE:
        raise invalid("A deleted or archived object cannot be copied")
    option = call.text("status_option", "PAUSED")
    if option not in ("ACTIVE", "PAUSED", "INHERITED_FROM_SOURCE"):
        raise invalid(
            "status_option must be one of: ACTIVE, PAUSED, INHERITED_FROM_SOURCE", field="status_option"
        )
    deep = call.flag("deep_copy") and node.kind != AD
    ads = (
        [ad for ad in world.children(node.id, AD, at=at) if world.status(ad, at) not in GONE] if deep else []
    )
    if len(ads) > (BATCH_ADS if call.in_batch else SYNC_ADS):
        raise GraphError(
            100,
            "(#100) The number of ads to copy exceeds the limit; use an asynchronous request",
            subcode=1885194,
        )
    actor = write.actor_of(desk, person)
    rename = call.value("rename_options") or {}
    if not isinstance(rename, dict):
        raise invalid("Param rename_options must be an object", field="rename_options")
    made: list[dict[str, str]] = []

    def one(source: Node, parents: dict[str, str], *, top: bool) -> str:
        new_id = world.new_id()
        fields = {
            name: line.at(at)
            for name, line in source.fields.items()
            if name not in ("updated_time", "forced_status", "last_app")
        }
        fields = {name: value for name, value in fields.items() if value is not None} | {
            "source_id": source.id
        }
        fields["name"] = _renamed(str(fields["name"]), rename, top=top)
        if option != "INHERITED_FROM_SOURCE":
            fields["status"] = option
        if source.kind == CAMPAIGN:
            parents = {"campaign_id": new_id}
        elif source.kind == ADSET:
            parents = parents | {"adset_id": new_id}
        write.make(
            desk, call, new_id, source.kind, source.account_id, fields, parents, actor, source=source.id
        )
        made.append({"ad_object_type": WORD[source.kind], "source_id": source.id, "copied_id": new_id})
        return new_id

    top_parents = {}
    if node.kind == ADSET:
        top_parents = {"campaign_id": _target(desk, call, "campaign_id", node.campaign_id, node).id}
    if node.kind == AD:
        adset = _target(desk, call, "adset_id", node.adset_id, node)
        top_parents = {"campaign_id": adset.campaign_id, "adset_id": adset.id}
    top_id = one(node, top_parents, top=True)
    campaign_id = top_id if node.kind == CAMPAIGN else top_parents["campaign_id"]
    if deep:
        adsets = (
            [node]
            if node.kind == ADSET
            else [
                adset
                for adset in world.children(node.id, ADSET, at=at)
                if world.status(adset, at) not in GONE and adset.id != top_id
            ]
        )
        for adset in adsets:
            adset_id = top_id if node.kind == ADSET else one(adset, {"campaign_id": campaign_id}, top=False)
            for ad in ads:
                if ad.adset_id == adset.id:
                    one(ad, {"campaign_id": campaign_id, "adset_id": adset_id}, top=False)
    return {KEY[node.kind]: top_id, "ad_object_ids": made}


def _target(desk: Desk, call: Call, name: str, default: str, node: Node) -> Node:
    target = desk.world.node(call.text(name) or default, at=call.now)
    if target is None or target.account_id != node.account_id:
        raise invalid(f"Invalid {name}", field=name)
    return target


def _renamed(name: str, options: dict[str, Any], *, top: bool) -> str:
    strategy = options.get("rename_strategy", "ONLY_TOP_LEVEL_RENAME")
    if strategy == "NO_RENAME" or (strategy == "ONLY_TOP_LEVEL_RENAME" and not top):
        return name
    suffix = options.get("rename_suffix", "" if options.get("rename_prefix") else " - Copy")
    return f"{options.get('rename_prefix', '')}{name}{suffix}"
