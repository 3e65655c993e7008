"""A tiny world under a clock that stands still, and a plain client without the product's code."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import pytest
import requests

from metaads.sandbox.app import Sandbox
from metaads.sandbox.clock import ManualClock
from tests import door

START = dt.datetime(2026, 11, 18, 20, 7, tzinfo=dt.UTC)
ACCOUNT = "act_1910000000000011"
BASE = "https://graph.facebook.com/v26.0"


@dataclasses.dataclass
class Graph:
    """Alice's calls. ``get`` and ``post`` give JSON; ``raw`` the whole response."""

    sandbox: Sandbox
    token: str
    session: requests.Session

    def raw(self, method: str, path: str, *, base: str = BASE, **params: Any) -> requests.Response:
        params.setdefault("access_token", self.token)
        kind = "data" if method == "POST" else "params"
        return self.session.request(method, f"{base}/{path}", **{kind: params})

    def get(self, path: str, **params: Any) -> Any:
        return self.raw("GET", path, **params).json()

    def post(self, path: str, **params: Any) -> Any:
        return self.raw("POST", path, **params).json()

    def rows(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """All rows of an edge, page by page."""
        body = self.get(path, **params)
        found = list(body["data"])
        while "next" in body.get("paging", {}):
            body = self.session.get(body["paging"]["next"]).json()
            found += body["data"]
        return found

    def error(self, method: str, path: str, **params: Any) -> tuple[int, int | None]:
        """Code and subcode of a refusal."""
        error = self.raw(method, path, **params).json()["error"]
        return error["code"], error.get("error_subcode")


def make(world: str = "tiny", seed: int = 1, start: dt.datetime = START, **kwargs: Any) -> Graph:
    sandbox = Sandbox(world=world, seed=seed, clock=ManualClock(start), **kwargs)
    return Graph(sandbox, sandbox.token(), door.session(sandbox))


@pytest.fixture
def graph() -> Graph:
    return make()


@pytest.fixture
def tree(graph: Graph) -> dict[str, list[dict[str, Any]]]:
    """Campaigns, ad sets and ads of the tiny world: the first campaign owns its budget, the second does not."""
    return {
        "campaigns": graph.rows(f"{ACCOUNT}/campaigns", fields="id,name,daily_budget,effective_status"),
        "adsets": graph.rows(f"{ACCOUNT}/adsets", fields="id,name,campaign_id,daily_budget,effective_status"),
        "ads": graph.rows(f"{ACCOUNT}/ads", fields="id,name,adset_id,campaign_id,effective_status"),
    }
