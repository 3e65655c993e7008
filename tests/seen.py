"""The wire, looked at: which connection's token each request to the sandbox carried, and for which ad account."""

from __future__ import annotations

import io
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
import requests.adapters
from urllib3.response import HTTPResponse

from accounts.errors import NoConnection
from metaads.sandbox.app import Sandbox
from metaads.sandbox.world import people
from tests.door import WSGIAdapter


@dataclass(frozen=True)
class Seen:
    """One request: `account` (act_1, "" for a call that belongs to none), and what its token says of itself."""

    method: str
    path: str
    account: str
    token: str
    user: str
    asked_for: str  # the client whose connection holds this token, "" when none does
    granted: bool  # that connection sees the account


class Wire(WSGIAdapter):
    """The tests' adapter, which also asks our database about each token as it passes."""

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox)
        self.seen: list[Seen] = []
        self.before: Callable[[Seen], None] | None = None
        self.instead: Callable[[Seen], tuple[int, dict[str, Any]] | None] | None = None
        self._lock = threading.Lock()

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Note, then answer in process; `before(seen)` may do something between the two, and `instead(seen)` may
        give an answer (status, body) in the sandbox's place."""
        one = self._look(request)
        with self._lock:
            self.seen.append(one)
        if self.before is not None:
            self.before(one)
        other = self.instead(one) if self.instead is not None else None
        if other is None:
            return super().send(request, *args, **kwargs)
        self.requests.append(request)
        return _response(request, *other)

    def of_accounts(self) -> list[Seen]:
        """Requests that read or write an ad account or something in it."""
        return [one for one in self.seen if one.account]

    def exchanges(self) -> int:
        return sum(
            "fb_exchange_token" in str(request.url) or "fb_exchange_token" in str(request.body or "")
            for request in self.requests
        )

    def _look(self, request: requests.PreparedRequest) -> Seen:
        from accounts.models import GrantedAsset, MetaConnection

        path = re.sub(r"^/v\d+\.\d+", "", urlsplit(str(request.url)).path).strip("/")
        node = self.sandbox.world.nodes.get(path.partition("/")[0])
        account = node.account_id or node.id if node is not None else ""
        token = str(request.headers.get("Authorization", "")).removeprefix("Bearer ")
        read = people.read(token, app_id=self.sandbox.app_id, secret=self.sandbox.app_secret)
        holders = MetaConnection.everything.select_related("client")
        holder = next((row for row in holders if _token_of(row) == token), None)
        granted = (
            holder is not None
            and GrantedAsset.everything.filter(
                connection=holder,
                client_id=holder.client_id,
                ad_account__meta_id=account.removeprefix("act_"),
                ad_account__client_id=holder.client_id,
                gone_at__isnull=True,
            ).exists()
        )
        return Seen(
            method=str(request.method),
            path=path,
            account=account,
            token=token,
            user=read.user if read is not None else "",
            asked_for=holder.client.name if holder is not None else "",
            granted=granted,
        )


def _token_of(row: Any) -> str:
    try:
        return str(row.token)
    except NoConnection:  # a stored token that does not open is nobody's
        return ""


def _response(request: requests.PreparedRequest, status: int, body: dict[str, Any]) -> requests.Response:
    raw = HTTPResponse(
        body=io.BytesIO(json.dumps(body).encode()),
        status=status,
        headers={"Content-Type": "application/json"},
        preload_content=False,
        decode_content=False,
    )
    return requests.adapters.HTTPAdapter().build_response(request, raw)


def ran_out(subcode: int = 463) -> tuple[int, dict[str, Any]]:
    """Meta's answer to a token that is no longer good."""
    error = {"message": "Error validating access token.", "code": 190, "error_subcode": subcode}
    return 400, {"error": {**error, "type": "OAuthException"}}
