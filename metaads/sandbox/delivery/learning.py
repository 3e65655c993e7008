"""The learning phase: when it last began (reference 6.5, 11.14)."""

from __future__ import annotations

from metaads.sandbox.delivery.pacing import Carry
from metaads.sandbox.world.nodes import Node
from metaads.sandbox.world.state import World

LEARNING_CONVERSIONS = 50


LEARNING_DAYS = 7


def learning_of(adset: Node, carry: Carry) -> float:
    """1 while learning, else 0 (reference 6.5: about fifty results since the last significant edit)."""
    if not adset.traits.learns:
        return 0.0
    return 0.0 if carry.learned.get(adset.id, 0.0) >= LEARNING_CONVERSIONS else 1.0


def last_significant_edit(world: World, adset: Node, before: float) -> float:
    """When learning last began: creation, or a budget change above a fifth, a bid or targeting change
    (reference 11.14).
    """
    latest = adset.created
    campaign = world.nodes[adset.campaign_id]
    for node, name in (
        (adset, "daily_budget"),
        (campaign, "daily_budget"),
        (adset, "bid_amount"),
        (adset, "targeting"),
        (adset, "optimization_goal"),
    ):
        line = node.fields.get(name)
        if line is None:
            continue
        for index in range(1, len(line.times)):
            if line.times[index] > before:
                break
            old, new = line.values[index - 1], line.values[index]
            if name == "daily_budget" and old and new and abs(float(new) - float(old)) <= 0.2 * float(old):
                continue
            latest = max(latest, line.times[index])
    return latest
