"""``filtering`` lists, on edges and on insights (references 5.2, 8.2)."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Iterable, Mapping
from typing import Any

from metaads.sandbox.errors import invalid
from metaads.sandbox.handlers.call import loose
from metaads.sandbox.world.nodes import Node
from metaads.sandbox.world.state import World

PREFIXES = ("campaign", "adset", "ad")
STATUS_FIELDS = frozenset({"effective_status", "delivery_info", "status", "configured_status"})


def conditions_of(raw: Any) -> list[dict[str, Any]]:
    """A ``filtering`` parameter as conditions; code 100 when it is not a list of them."""
    parsed = loose(raw) if raw not in (None, "") else []
    if not isinstance(parsed, list) or not all(isinstance(item, dict) and "field" in item for item in parsed):
        raise invalid("Param filtering must be an array of {field, operator, value}", field="filtering")
    return parsed


def names_status(conditions: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a filter speaks of status (then nothing is hidden by default)."""
    return any(_split(str(item["field"]))[1] in STATUS_FIELDS for item in conditions)


def keep_ad(world: World, ad: Node, conditions: Iterable[Mapping[str, Any]], at: float) -> bool:
    """Whether an ad passes the object conditions; metric conditions are left to ``keep_row``."""
    return all(keep_node(world, ad, item, at) for item in conditions if _is_object(item))


def keep_node(world: World, node: Node, condition: Mapping[str, Any], at: float) -> bool:
    """Whether a node passes one condition on itself or on the object above that the prefix names."""
    level, name = _split(str(condition["field"]))
    target = node
    if level and level != node.kind:
        owner = {"campaign": node.campaign_id, "adset": node.adset_id}.get(level, "")
        target = world.nodes.get(owner) or node
    return compare(
        value_of(world, target, name, at), str(condition.get("operator", "EQUAL")), condition.get("value")
    )


def value_of(world: World, node: Node, name: str, at: float) -> Any:
    """What a condition compares: ids without prefix, statuses in capitals, times as unix seconds."""
    if name == "id":
        return node.id
    if name in ("effective_status", "delivery_status"):
        return world.effective_status(node, at)
    if name == "delivery_info":
        status = world.effective_status(node, at)
        return {
            "ACTIVE": "active",
            "ARCHIVED": "archived",
            "DELETED": "deleted",
            "PENDING_REVIEW": "pending_review",
            "DISAPPROVED": "rejected",
        }.get(status, "inactive")
    if name in ("status", "configured_status"):
        return world.status(node, at)
    if name == "created_time":
        return node.created
    if name in ("campaign_id", "adset_id", "account_id"):
        return getattr(node, name)
    return node.get(name, at)


def keep_row(row: Mapping[str, Any], conditions: Iterable[Mapping[str, Any]]) -> bool:
    """Whether an insights row passes the metric conditions (``spend`` or ``ad.spend``)."""
    for item in conditions:
        if _is_object(item):
            continue
        _level, name = _split(str(item["field"]))
        raw = row.get(name, "0")
        if not compare(
            float(raw) if isinstance(raw, str) and _numeric(raw) else raw,
            str(item.get("operator", "EQUAL")),
            item.get("value"),
        ):
            return False
    return True


def sort_value(row: Mapping[str, Any], name: str) -> float | str:
    """A row's value for sorting; ``actions:link_click`` looks into the list."""
    field, _, action = name.partition(":")
    value = row.get(field)
    if action and isinstance(value, list):
        value = next((item["value"] for item in value if item["action_type"] == action), "0")
    text = str(value if value is not None else 0)
    return float(text) if _numeric(text) else text


def compare(have: Any, operator: str, wanted: Any) -> bool:
    """One operator of reference 5.2."""
    if operator in ("IN", "NOT_IN", "ANY", "NONE"):
        inside = str(have) in {str(item) for item in (wanted if isinstance(wanted, list) else [wanted])}
        return inside == (operator in ("IN", "ANY"))
    if operator in ("EQUAL", "NOT_EQUAL"):
        same = str(have) == str(wanted) or (
            _numeric(str(have)) and _numeric(str(wanted)) and float(have) == float(wanted)
        )
        return same == (operator == "EQUAL")
    if operator in ("CONTAIN", "NOT_CONTAIN"):
        return (str(wanted).lower() in str(have or "").lower()) == (operator == "CONTAIN")
    if operator in ("STARTS_WITH", "ENDS_WITH"):
        text = str(have or "").lower()
        return (
            text.startswith(str(wanted).lower())
            if operator == "STARTS_WITH"
            else text.endswith(str(wanted).lower())
        )
    if operator in ("CONTAINS_ANY", "CONTAINS_ALL", "NOT_CONTAINS_ANY"):
        hits = [
            str(part).lower() in str(have or "").lower()
            for part in (wanted if isinstance(wanted, list) else [wanted])
        ]
        return all(hits) if operator == "CONTAINS_ALL" else any(hits) == (operator == "CONTAINS_ANY")
    if have is None:
        return False
    number = _number(have)
    if operator in ("IN_RANGE", "NOT_IN_RANGE"):
        if not isinstance(wanted, list) or len(wanted) != 2:
            raise invalid("A range is an array of two numbers", field="filtering")
        return (_number(wanted[0]) <= number <= _number(wanted[1])) == (operator == "IN_RANGE")
    tests = {
        "GREATER_THAN": lambda a, b: a > b,
        "GREATER_THAN_OR_EQUAL": lambda a, b: a >= b,
        "LESS_THAN": lambda a, b: a < b,
        "LESS_THAN_OR_EQUAL": lambda a, b: a <= b,
        "AFTER": lambda a, b: a > b,
        "BEFORE": lambda a, b: a < b,
        "ON_OR_AFTER": lambda a, b: a >= b,
        "ON_OR_BEFORE": lambda a, b: a <= b,
    }
    if operator not in tests:
        raise invalid(f"Filtering operator {operator} is not valid", field="filtering")
    return bool(tests[operator](number, _number(wanted)))


def day_text(world: World, node: Node, moment: float) -> str:
    """A moment as an account-day."""
    zone = zoneinfo.ZoneInfo(str(world.account_of(node).get("timezone_name", world.start, "UTC")))
    return dt.datetime.fromtimestamp(moment, zone).date().isoformat()


_OBJECT = (
    frozenset(
        {
            "id",
            "name",
            "objective",
            "created_time",
            "updated_time",
            "campaign_id",
            "adset_id",
            "account_id",
            "optimization_goal",
            "bid_strategy",
            "buying_type",
            "delivery_status",
        }
    )
    | STATUS_FIELDS
)


def _is_object(item: Mapping[str, Any]) -> bool:
    return _split(str(item["field"]))[1] in _OBJECT


def _split(field: str) -> tuple[str, str]:
    head, dot, tail = field.partition(".")
    return (head, tail) if dot and head in PREFIXES else ("", field)


def _number(value: Any) -> float:
    if not _numeric(str(value)):
        raise invalid(f"{value} cannot be compared with this operator", field="filtering")
    return float(str(value))


def _numeric(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
