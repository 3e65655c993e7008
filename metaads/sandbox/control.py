"""``/_sandbox/``: time, faults, human edits, tokens, the truth and the history. Never mounted by the product.

GET    state                                     POST   clock    {"advance": s} {"set": iso} {"freeze": true}
{"resume": true} POST   faults  {name, match, times, ...}         DELETE faults   [?id=]           GET faults
POST   edit    {object_id, field, value, actor}  POST   token    {user, scopes, expires_in}
POST   revoke  {user, subcode}                   GET    truth    ?account&since&until&level&by  or ?object_id
GET    history                                   POST   webhook  {changes, entry_id} -> signed body and header
POST   limits  {tier, retired}
"""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

from metaads.sandbox.clock import Clock, MachineClock
from metaads.sandbox.delivery import curves
from metaads.sandbox.faults import Faults, UnknownFault
from metaads.sandbox.limits import TIERS, Limits
from metaads.sandbox.truth import Truth
from metaads.sandbox.world import people
from metaads.sandbox.world.state import World

JSON = "application/json"
Plain = tuple[int, Any, str, list[tuple[str, str]]]
NUMBERS = frozenset({"daily_budget", "lifetime_budget", "bid_amount", "spend_cap"})


class _Refused(ValueError):
    """A control request that makes no sense; the text says why."""


@dataclasses.dataclass(slots=True)
class Control:
    """The control surface of one sandbox."""

    desk_clock: Clock
    world: World
    faults: Faults
    truth: Truth
    limits: Limits
    retired: set[str]
    history: list[dict[str, Any]]
    mint: Callable[[str, tuple[str, ...], int], str]
    app_secret: str

    def handle(self, method: str, path: str, params: dict[str, Any]) -> Plain:
        """Status, JSON value, content type, headers."""
        table: dict[tuple[str, str], Callable[[dict[str, Any]], Any]] = {
            ("GET", "state"): self._state,
            ("POST", "clock"): self._clock,
            ("GET", "faults"): self._faults,
            ("POST", "faults"): self._arm,
            ("DELETE", "faults"): self._disarm,
            ("POST", "edit"): self._edit,
            ("POST", "token"): self._token,
            ("POST", "revoke"): self._revoke,
            ("GET", "truth"): self._truth,
            ("GET", "history"): self._history,
            ("POST", "webhook"): self._webhook,
            ("POST", "limits"): self._limits,
            ("POST", "signed_request"): self._signed_request,
        }
        if (method, path) not in table:
            known = ", ".join(sorted(f"{m} {p}" for m, p in table))
            return 404, {"error": f"no {method} {path}; there is: {known}"}, JSON, []
        try:
            return 200, table[method, path](params), JSON, []
        except (_Refused, UnknownFault) as error:
            return 400, {"error": str(error)}, JSON, []
        except KeyError as error:
            return 400, {"error": f"missing or unknown: {error.args[0]}"}, JSON, []

    @property
    def _now(self) -> float:
        return self.desk_clock.timestamp()

    def _state(self, params: dict[str, Any]) -> dict[str, Any]:
        return {
            "world": self.world.name,
            "seed": self.world.seed,
            "start": self.world.start,
            "now": self.desk_clock.now().isoformat(),
            "frozen": self.desk_clock.frozen,
            "as_of": self.truth.as_of(self._now),
            "journal": len(self.world.journal),
            "ad_accounts": [
                {
                    "id": account.id,
                    "name": account.get("name", self._now),
                    "currency": account.currency(),
                    "timezone_name": account.get("timezone_name", self._now),
                }
                for account in self.world.accounts.values()
            ],
            "users": [
                {"user": key, "id": person.id, "name": person.name}
                for key, person in self.world.people.items()
            ],
            "tier": self.limits.tier.label,
            "faults": self._faults(params)["faults"],
        }

    def _clock(self, params: dict[str, Any]) -> dict[str, Any]:
        clock = self.desk_clock
        if "advance" in params:
            clock.advance(float(params["advance"]))
        if "set" in params:
            moment = dt.datetime.fromisoformat(str(params["set"]))
            clock.set(moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC))
        if _yes(params.get("freeze")):
            clock.freeze()
        if _yes(params.get("resume")):
            clock.resume()
        if isinstance(clock, MachineClock):
            frozen = clock.timestamp() if clock.frozen else None
            self.world.record(at=self._now, kind="clock", offset=clock.offset, frozen=frozen)
        return {"now": clock.now().isoformat(), "frozen": clock.frozen}

    def _faults(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"faults": [dataclasses.asdict(fault) for fault in self.faults.armed()]}

    def _arm(self, params: dict[str, Any]) -> dict[str, Any]:
        options = {
            key: _value(value)
            for key, value in params.items()
            if key not in ("name", "match", "times", "options")
        }
        options |= _value(params.get("options")) or {}
        times = _value(params.get("times", 1))
        armed = self.faults.arm(
            str(params["name"]), _value(params.get("match")) or {}, times, at=self._now, **options
        )
        return {"id": armed}

    def _disarm(self, params: dict[str, Any]) -> dict[str, Any]:
        self.faults.disarm(int(params["id"]) if params.get("id") else None, at=self._now)
        return self._faults(params)

    def _edit(self, params: dict[str, Any]) -> dict[str, Any]:
        """A person's edit in Ads Manager: no validation, no application id. An empty `actor`: Meta did it by itself."""
        node = self.world.nodes[str(params["object_id"])]
        field, value = str(params["field"]), _value(params["value"])
        if field in NUMBERS and value is not None:
            value = int(value)
        if field == "status" and value not in ("ACTIVE", "PAUSED", "ARCHIVED", "DELETED"):
            raise _Refused(f"status cannot be {value!r}")
        actor = str(params.get("actor", "Hanna Human"))
        number = curves.seed_of(actor) % 10**15
        self.world.record(
            at=self._now,
            kind="set",
            object_id=node.id,
            field=field,
            value=value,
            lands=self._now + float(params.get("in", 0)),
            old=node.get(field, self._now),
            actor=f"102{number:015d}" if actor else "",
            actor_name=actor,
            application_id=str(params.get("application_id") or ""),
        )
        return self.truth.state(node.id, now=self._now)

    def _token(self, params: dict[str, Any]) -> dict[str, Any]:
        scopes = _value(params.get("scopes")) or list(people.ALL_SCOPES)
        names = tuple(scopes.split(",")) if isinstance(scopes, str) else tuple(scopes)
        life = int(params.get("expires_in", people.LONG_LIFE))
        return {"access_token": self.mint(str(params.get("user", "alice")), names, life)}

    def _revoke(self, params: dict[str, Any]) -> dict[str, Any]:
        person = self.world.people[str(params.get("user", "alice"))]
        self.world.record(
            at=self._now, kind="revoke", user=person.id, subcode=int(params.get("subcode", 458)) or None
        )
        return {"revoked": person.id}

    def _truth(self, params: dict[str, Any]) -> dict[str, Any]:
        if params.get("object_id"):
            return self.truth.state(str(params["object_id"]), now=self._now)
        account = str(params.get("account") or next(iter(self.world.accounts)))
        today = self.truth.today(account, self._now)
        since = dt.date.fromisoformat(str(params.get("since") or today.isoformat()))
        until = dt.date.fromisoformat(str(params.get("until") or today.isoformat()))
        if str(params.get("by", "")) == "day":
            return {
                "account": account,
                "days": self.truth.by_day(account, since=since, until=until, now=self._now),
            }
        level = str(params.get("level", "account"))
        head = {"account": account, "level": level}
        span: dict[str, Any] = {"since": since, "until": until, "now": self._now, "level": level}
        if str(params.get("by", "")) == "hour":
            return {**head, "hours": self.truth.by_hour(account, **span)}
        if str(params.get("by", "")) == "window":
            return {**head, "measures": self.truth.measures(account, **span)}
        return {**head, "totals": self.truth.totals(account, **span)}

    def _history(self, params: dict[str, Any]) -> dict[str, Any]:
        """Requests after number ``after``, and every effect after sequence ``effects_after``."""
        first, effect = int(params.get("after", 0)), int(params.get("effects_after", 0))
        effects = [dataclasses.asdict(entry) for entry in self.world.journal.since(effect)]
        return {"requests": [line for line in self.history if line["n"] > first], "effects": effects}

    def _webhook(self, params: dict[str, Any]) -> dict[str, Any]:
        """A signed delivery, ready to be POSTed to the product (reference 9.2): non-ASCII escaped before signing."""
        entry_id = str(params.get("entry_id") or next(iter(self.world.accounts)).removeprefix("act_"))
        body = json.dumps(
            {
                "object": str(params.get("object", "ad_account")),
                "entry": [
                    {"id": entry_id, "time": int(self._now), "changes": _value(params.get("changes")) or []}
                ],
            },
            separators=(",", ":"),
        )
        digest = hmac.new(self.app_secret.encode(), body.encode(), hashlib.sha256).hexdigest()
        return {"body": body, "header": {"X-Hub-Signature-256": f"sha256={digest}"}}

    def _signed_request(self, params: dict[str, Any]) -> dict[str, Any]:
        """What the deauthorise and data-deletion callbacks carry (reference 2.6): the encoded payload is signed."""
        person = self.world.people[str(params.get("user", "alice"))]
        payload = {
            "user_id": person.id,
            "algorithm": "HMAC-SHA256",
            "issued_at": int(self._now),
            "expires": int(self._now) + 3600,
        }
        encoded = _base64(json.dumps(payload, separators=(",", ":")).encode())
        seal = hmac.new(self.app_secret.encode(), encoded.encode(), hashlib.sha256).digest()
        return {"signed_request": f"{_base64(seal)}.{encoded}"}

    def _limits(self, params: dict[str, Any]) -> dict[str, Any]:
        if params.get("tier"):
            if params["tier"] not in TIERS:
                raise _Refused(f"tier is one of: {', '.join(TIERS)}")
            self.limits.use_tier(str(params["tier"]))
        if "retired" in params:
            self.retired.clear()
            self.retired.update(_value(params["retired"]) or [])
        return {"tier": self.limits.tier.label, "retired": sorted(self.retired)}


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _yes(raw: Any) -> bool:
    return str(raw).lower() in ("true", "1")


def _value(raw: Any) -> Any:
    if not isinstance(raw, str):
        return raw
    try:
        return json.loads(raw)
    except ValueError:
        return raw
