"""What counts as the result of an object: what the client says, else what its ad sets are optimised for.

    an ad set's goal (and the event of its pixel, or its campaign's objective) -> Meta's action type
    several ad sets -> the one result that all of them have, or none, with the reason

Results of different kinds are never added: three leads and forty clicks are no 43 results. PURE: no Django, no clock,
no I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from insights.metrics import RESULTS, result_label

#: Meta's optimisation goal -> the action that it is after (docs/meta.md, section 6.5). The table is closed: a goal that
#: is not here has no result that is measured.
GOALS: Final[Mapping[str, str]] = {
    "VALUE": "omni_purchase",  # the value of purchases
    "LEAD_GENERATION": "lead",  # forms on Meta
    "QUALITY_LEAD": "lead",  # the same forms, other people
    "LINK_CLICKS": "link_click",
    "LANDING_PAGE_VIEWS": "landing_page_view",
    "POST_ENGAGEMENT": "post_engagement",
}
#: The event that OFFSITE_CONVERSIONS is optimised for -> the action that counts it, wherever it happened.
EVENTS: Final[Mapping[str, str]] = {
    "PURCHASE": "omni_purchase",
    "LEAD": "lead",
    "ADD_TO_CART": "omni_add_to_cart",
    "INITIATED_CHECKOUT": "omni_initiated_checkout",
    "COMPLETE_REGISTRATION": "omni_complete_registration",
}
#: An ad set without an event takes its campaign's objective.
OBJECTIVES: Final[Mapping[str, str]] = {"OUTCOME_SALES": "omni_purchase", "OUTCOME_LEADS": "lead"}
ACTIONS: Final = tuple(dict.fromkeys((*GOALS.values(), *EVENTS.values())))
MIXED: Final = "Different results are not added."
NOT_MEASURED: Final = "What it is optimised for is no action that is counted."
NOT_READ: Final = "What it is optimised for has not been read yet."


@dataclass(frozen=True)
class Result:
    """Meta's action that counts as a conversion, or "" and why there is none."""

    action: str
    reason: str = ""

    @property
    def label(self) -> str:
        return result_label(self.action)


@dataclass(frozen=True)
class Goal:
    """What an ad set is optimised for, in Meta's words."""

    optimization_goal: str
    event: str = ""
    objective: str = ""


def of_client(action: str) -> Result:
    """What a client says for all of its objects."""
    return Result(action) if action in RESULTS else Result("", NOT_MEASURED)


def of_goal(goal: Goal | None) -> Result:
    """One ad set's result."""
    if goal is None:
        return Result("", NOT_READ)
    action = GOALS.get(goal.optimization_goal, "")
    if goal.optimization_goal == "OFFSITE_CONVERSIONS":
        action = EVENTS.get(goal.event, "") if goal.event else OBJECTIVES.get(goal.objective, "")
    return Result(action) if action else Result("", NOT_MEASURED)


def together(results: Iterable[Result]) -> Result:
    """The result of several ad sets: theirs, if it is one."""
    every = set(results)
    if len(every) > 1:
        return Result("", MIXED)
    return next(iter(every), Result("", ""))
