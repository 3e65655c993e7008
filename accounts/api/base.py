"""The base of every API view: who asks, for which client, about which ad account."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.views import APIView

import accounts.access as access
import accounts.acting as acting
import accounts.policies as policies
from accounts.models import AdAccount, ApiKey, Client, User
from accounts.tenancy import Principal
from metaads.clock import now


class TenantAPIView(APIView):
    """An API view that knows its `principal`. What the principal may not see answers 404, like a random id."""

    principal: Principal

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        # Read before anybody looks at `request.POST` (the CSRF check does), so that `idempotent` finds the body whole.
        _ = request._request.body
        self.principal = _principal(request)
        if (refusal := policies.refusal(request.user)) is not None:
            raise refusal
        if self.principal.kind == "acting":
            refused = acting.refusal(method=request.method or "", path=request.path)
            if refused is not None:
                raise refused
        super().initial(request, *args, **kwargs)

    @property
    def user(self) -> User:
        """Who is signed in (for a key: whose key it is)."""
        user = self.request.user
        assert isinstance(user, User)
        return user

    def client(self, verb: str = "view") -> Client:
        """The client named by `?client=` (slug or UUID); optional where the principal has one client."""
        return access.client(self.principal, self.request.query_params.get("client"), verb=verb)

    def ad_account(self, ref: str, verb: str = "view") -> AdAccount:
        """The ad account `act_1` or `1`, if the principal may do `verb` with it."""
        return access.ad_account(self.principal, ref, verb=verb)


def _principal(request: Request) -> Principal:
    if isinstance(request.auth, ApiKey):
        scopes = frozenset(request.auth.scopes) or None
        return access.principal_of(request.user, scopes=scopes, kind="key")
    if request.successful_authenticator is not None and request.auth is None:
        # By session: what this person views as, if anything. A token or key is always the person's own.
        return acting.principal(session=request.session, user=request.user, now=now())
    return access.principal_of(request.user)
