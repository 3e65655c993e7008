"""What really happened, from the sandbox's own records and nothing else: the requests that arrived, and what they did.

The model of the machine. The product's ledger is what is judged, so it is never asked here.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from metaads.sandbox.app import Sandbox

FIELDS = ("status", "daily_budget", "lifetime_budget")


@dataclass(frozen=True)
class Write:
    """One write request that Meta received. `at` in unix seconds; `value` as on the wire; `answered` is what the
    sender could know: "ok", "refused" (Meta said no in its own words), or "unknown"."""

    n: int
    at: float
    object_id: str
    field: str
    value: str
    answered: str


@dataclass(frozen=True)
class Effect:
    """One value that was set: by us (`ours`) or by somebody else. `lands` is when it holds."""

    seq: int
    at: float
    lands: float
    object_id: str
    field: str
    old: str
    value: str
    ours: bool

    @property
    def real(self) -> bool:
        return self.old != self.value


class History:
    """Reads on where it stopped."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._request = 0
        self._entry = len(sandbox.journal)
        self.writes: list[Write] = []
        self.effects: list[Effect] = []

    def read(self) -> list[Write]:
        """The writes that arrived since the last look."""
        lines = reversed(self._sandbox.history)
        fresh = list(takewhile(lambda line: line["n"] > self._request, lines))[::-1]
        self._request = max((line["n"] for line in fresh), default=self._request)
        for entry in self._sandbox.journal.since(self._entry):
            self._entry = entry.seq
            if entry.kind == "set" and entry.data["field"] in FIELDS:
                self.effects.append(_effect(entry, self._sandbox.app_id))
        arrived = [write for line in fresh for write in self._writes(line)]
        self.writes += arrived
        return arrived

    def _writes(self, line: dict[str, Any]) -> list[Write]:
        if line["method"] != "POST" or line["path"] not in self._sandbox.world.nodes:
            return []
        return [
            Write(line["n"], line["at"], line["path"], name, str(line["params"][name]), _answered(line))
            for name in FIELDS
            if name in line["params"]
        ]

    def ours(self, object_id: str, field: str) -> list[Effect]:
        """What our writes really changed, in the order in which it was asked for."""
        return [one for one in self._of(object_id, field) if one.ours and one.real]

    def theirs(self, object_id: str, field: str) -> list[Effect]:
        return [one for one in self._of(object_id, field) if not one.ours]

    def _of(self, object_id: str, field: str) -> list[Effect]:
        return [one for one in self.effects if (one.object_id, one.field) == (object_id, field)]


def _effect(entry: Any, app_id: str) -> Effect:
    data = entry.data
    return Effect(
        seq=entry.seq,
        at=entry.at,
        lands=float(data["lands"]),
        object_id=data["object_id"],
        field=data["field"],
        old=str(data["old"]),
        value=str(data["value"]),
        ours=data["application_id"] == app_id,
    )


def _answered(line: dict[str, Any]) -> str:
    status = line.get("status")
    if not isinstance(status, int) or status >= 500:
        return "unknown"
    return "ok" if status < 400 else "refused"
