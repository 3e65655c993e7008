"""What a handler is given, and what it gives back."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from metaads.sandbox.clock import Clock
from metaads.sandbox.delivery.engine import Engine
from metaads.sandbox.errors import invalid
from metaads.sandbox.faults import Faults
from metaads.sandbox.limits import Limits
from metaads.sandbox.world.people import Token
from metaads.sandbox.world.state import World

OUR_APP_NAME = "Sandbox App"


@dataclasses.dataclass(slots=True)
class Desk:
    """The sandbox as a handler sees it."""

    world: World
    clock: Clock
    engine: Engine
    faults: Faults
    limits: Limits
    app_id: str
    app_secret: str
    retired: set[str] = dataclasses.field(default_factory=set)
    looks: dict[str, int] = dataclasses.field(default_factory=dict)
    #: The rows of the insights read that is being paged, when the sandbox replays (see ``replay``).
    replayed: dict[Any, list[dict[str, Any]]] | None = None


@dataclasses.dataclass(slots=True)
class Call:
    """One Graph call: of a request, or of an item of a batch.

    ``now`` is when it arrived; ``read_at`` is the moment that reads answer for (earlier under *stale read*);
    ``lands`` is when a write takes effect (later under *late*). ``params`` holds query and body together,
    values as texts or JSON values.
    """

    method: str
    version: str
    path: tuple[str, ...]
    params: dict[str, Any]
    base: str
    now: float
    read_at: float
    lands: float
    token: Token | None = None
    token_text: str = ""
    account: str | None = None
    kind: str = "ads_management"
    trace: str = ""
    in_batch: bool = False
    run_fails: bool = False

    def text(self, name: str, default: str = "") -> str:
        """A parameter as text."""
        value = self.params.get(name)
        return default if value is None else value if isinstance(value, str) else json.dumps(value)

    def value(self, name: str) -> Any:
        """A parameter that may be JSON text (lists, objects, booleans): parsed when it parses."""
        return loose(self.params.get(name))

    def flag(self, name: str) -> bool:
        """A boolean parameter: true/1 in any spelling."""
        return str(self.params.get(name, "")).lower() in ("true", "1")

    def number(self, name: str, default: int, *, top: int) -> int:
        """A whole-number parameter, capped."""
        raw = self.params.get(name)
        if raw in (None, ""):
            return default
        try:
            return max(1, min(top, int(str(raw))))
        except ValueError:
            raise invalid(f"Param {name} must be an integer") from None


@dataclasses.dataclass(slots=True)
class Answer:
    """Status, body (a JSON value or raw text) and headers."""

    body: Any
    status: int = 200
    headers: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    content_type: str = "application/json; charset=UTF-8"
    drip: bool = False

    def data(self) -> bytes:
        """The bytes of the body."""
        if isinstance(self.body, bytes):
            return self.body
        return json.dumps(self.body, separators=(",", ":")).encode()


def loose(raw: Any) -> Any:
    """A value that may come as JSON text: parsed when it parses, else itself."""
    if not isinstance(raw, str):
        return raw
    try:
        return json.loads(raw)
    except ValueError:
        return raw


def words(raw: Any) -> list[str]:
    """A list parameter: JSON array or comma-separated text."""
    parsed = loose(raw)
    if parsed is None or parsed == "":
        return []
    if isinstance(parsed, list):
        return [str(item) for item in parsed]
    return [part.strip() for part in str(raw).split(",") if part.strip()]
