"""The brief's paths, each with one good request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

#: What exists for nobody.
NOWHERE = "act_999999999999999"
NO_OBJECT = "999999999999999"
NO_UUID = str(UUID(int=4 << 76 | 8 << 62))


@dataclass(frozen=True)
class Path:
    """One path of the brief. `fill(house)` gives the address and body of a good request, `lost()` that of a
    request for something that does not exist; `who` may do it; `status` is the good answer."""

    name: str
    method: str
    template: str
    fill: Callable[[Any], tuple[str, Any]]
    lost: tuple[str, Any]
    who: str = "bob"
    status: int = 200

    def __str__(self) -> str:
        return self.name


def _of_client(name: str, base: str = "/api/meta", who: str = "bob") -> Path:
    at = f"{base}/{name}"
    return Path(
        name, "get", at, lambda house: (f"{at}?client=northwind", None), (f"{at}?client=nowhere", None), who
    )


def _of_account(name: str) -> Path:
    at = f"/api/meta/{name}"
    return Path(
        name,
        "get",
        f"{at}/{{account_id}}",
        lambda house: (f"{at}/{house.ad_account.act_id}", None),
        (f"{at}/{NOWHERE}", None),
    )


def _of_object(name: str, ref: str, pick: Callable[[Any], Any]) -> Path:
    at = f"/api/meta/{name}"
    return Path(
        name,
        "get",
        f"{at}/{{{ref}}}",
        lambda house: (f"{at}/{pick(house).meta_id}", None),
        (f"{at}/{NO_OBJECT}", None),
    )


def _write(name: str, body: dict[str, Any]) -> Path:
    at = "/api/meta/campaigns"
    return Path(
        f"campaign-{name}",
        "post",
        f"{at}/{{campaign_id}}/{name}",
        lambda house: (f"{at}/{house.campaign.meta_id}/{name}", body),
        (f"{at}/{NO_OBJECT}/{name}", body),
        status=202,
    )


def _of_connection(name: str) -> Path:
    at = f"/api/meta-oauth/{name}"
    return Path(
        name,
        "post",
        at,
        lambda house: (at, {"connection_id": str(house.connection.uuid)}),
        (at, {"connection_id": NO_UUID}),
        who="alice",
    )


EXECUTE = "/api/meta/strategies/execute"
PATHS = (
    _of_client("validate-token"),
    _of_client("user-info"),
    _of_client("ad-accounts"),
    _of_account("performance"),
    _of_account("campaigns"),
    _of_object("insights", "object_id", lambda house: house.campaign),
    _of_account("realtime"),
    _of_object("ad-sets", "campaign_id", lambda house: house.campaign),
    _of_object("ads", "adset_id", lambda house: house.ad_set),
    _of_account("strategies"),
    _write("status", {"status": "PAUSED", "reason": "sold out"}),
    _write("budget", {"daily_budget": 80.5}),
    Path(
        "strategies-execute",
        "post",
        EXECUTE,
        lambda house: (
            EXECUTE,
            {"accountId": house.ad_account.act_id, "strategyId": str(house.strategy.uuid)},
        ),
        (EXECUTE, {"accountId": NOWHERE, "strategyId": NO_UUID}),
        status=202,
    ),
    _of_client("authorize-url", "/api/meta-oauth", who="alice"),
    _of_connection("disconnect"),
    _of_connection("refresh"),
)
#: It has no JSON to show: Meta sends a browser there, and the session is the key.
CALLBACK = "/api/meta-oauth/callback"
BRIEF = {(path.method, path.template) for path in PATHS} | {("get", CALLBACK)}
READS = tuple(path for path in PATHS if path.method == "get")
WRITES = tuple(path for path in PATHS if path.method == "post")
