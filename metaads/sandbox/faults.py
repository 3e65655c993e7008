"""Faults on demand, by name (reliability reference 7.3).

A fault is armed with a match and a number of times; the first call that fits takes it. Each name belongs to a stage:

    before    the call is refused or goes nowhere, no effect
    write     the effect and its answer come apart
    read      the answer is true to something that is not now, or oddly shaped
    wire      the bytes of a good answer are damaged

Arming and taking are journaled, so a restart knows which faults are still armed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from metaads.sandbox.journal import Journal

# name -> which calls it fits by default (a match narrows further).
NAMES: dict[str, str] = {
    "applied_timeout": "write",
    "late": "write",
    "applied_500": "write",
    "lying_success": "write",
    "cbo_switch": "write",
    "human_edit_between": "write",
    "dropped": "any",
    "html": "any",
    "empty": "any",
    "truncated": "any",
    "throttle": "any",
    "auth": "any",
    "permission": "any",
    "transient": "any",
    "slow_drip": "any",
    "gone33": "any",
    "version_retired": "any",
    "odd_body": "any",
    "stale_read": "read",
    "dup_page": "page",
    "cursor_expired": "cursor",
    "empty_page": "page",
    "reduce": "read",
    "enum_new": "read",
    "string_numbers": "read",
    "missing_fields": "read",
    "odd_value": "read",
    "extra_fields": "read",
    "run_failed": "run",
    "null_batch": "batch",
    "partial_batch": "batch",
}


class UnknownFault(ValueError):
    """No fault of that name."""


@dataclasses.dataclass(slots=True)
class Fault:
    """An armed fault. ``times`` None = until disarmed."""

    id: int
    name: str
    match: dict[str, str]
    times: int | None
    options: dict[str, Any]

    def fits(self, facts: Mapping[str, str]) -> bool:
        """Whether a call (its facts) is meant."""
        kind = NAMES[self.name]
        if kind != "any" and facts.get(f"is_{kind}") != "1":
            return False
        for key, wanted in self.match.items():
            have = facts.get(key, "")
            if (wanted not in have) if key == "path" else (str(wanted) != have):
                return False
        return True


class Faults:
    """The armed faults of a sandbox."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._armed: list[Fault] = []
        self._next = 1
        for entry in journal.of("fault"):
            self._replay(entry.data)

    def arm(
        self,
        name: str,
        match: Mapping[str, str] | None = None,
        times: int | None = 1,
        *,
        at: float = 0.0,
        **options: Any,
    ) -> int:
        """Arm a fault; returns its number. Options by name: see ``handlers.faulty``."""
        if name not in NAMES:
            raise UnknownFault(f"no fault {name!r}; there are: {', '.join(sorted(NAMES))}")
        data = {
            "do": "arm",
            "id": self._next,
            "name": name,
            "match": {k: str(v) for k, v in (match or {}).items()},
            "times": times,
            "options": options,
        }
        self._journal.append(at=at, kind="fault", data=data)
        self._replay(data)
        return self._next - 1

    def take(self, facts: Mapping[str, str], *, at: float) -> Fault | None:
        """The first armed fault that fits, used up once."""
        for fault in self._armed:
            if fault.fits(facts):
                data = {"do": "take", "id": fault.id}
                self._journal.append(at=at, kind="fault", data=data)
                self._replay(data)
                return fault
        return None

    def give_back(self, fault: Fault) -> None:
        """The call was refused before the fault could do anything: it is armed again."""
        if fault.times is None or fault in self._armed:
            fault.times = None if fault.times is None else fault.times + 1
            return
        data = {
            "do": "arm",
            "id": self._next,
            "name": fault.name,
            "match": fault.match,
            "times": 1,
            "options": fault.options,
        }
        self._journal.append(at=0.0, kind="fault", data=data)
        self._replay(data)

    def disarm(self, fault_id: int | None = None, *, at: float = 0.0) -> None:
        """Disarm one fault, or all."""
        data = {"do": "disarm", "id": fault_id}
        self._journal.append(at=at, kind="fault", data=data)
        self._replay(data)

    def armed(self) -> list[Fault]:
        """What is armed now."""
        return list(self._armed)

    def _replay(self, data: Mapping[str, Any]) -> None:
        if data["do"] == "arm":
            self._armed.append(
                Fault(data["id"], data["name"], dict(data["match"]), data["times"], dict(data["options"]))
            )
            self._next = int(data["id"]) + 1
        elif data["do"] == "disarm":
            self._armed = [
                fault for fault in self._armed if data["id"] is not None and fault.id != data["id"]
            ]
        else:
            for fault in self._armed:
                if fault.id == data["id"] and fault.times is not None:
                    fault.times -= 1
            self._armed = [fault for fault in self._armed if fault.times is None or fault.times > 0]
