"""allauth's hooks: the OAuth dance ends in a pending grant, never in a stored token and never in a new sign-in.

    POST /connections/connect -> provider.redirect(process=redirect, data={purpose, client, user, at})
      -> Meta's dialog -> callback (allauth: single-use state of this session, code exchange, /me)
      -> pre_social_login: token taken out, pending grant written, redirect to the confirm page

The state's process is *redirect*: should our hook ever not run, allauth merely redirects and stores nothing.
"""

from __future__ import annotations

import logging
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.providers.base import ProviderException
from allauth.socialaccount.providers.base.constants import AuthError, AuthProcess
from allauth.socialaccount.providers.facebook.views import FacebookOAuth2Adapter
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView, OAuth2LoginView
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

import accounts.connections as connections
import accounts.grants as grants
from accounts.errors import Refused
from metaads.clock import now

log = logging.getLogger(__name__)


class MetaOAuth2Adapter(FacebookOAuth2Adapter):
    """Facebook's, with the redirect URI that is entered in the Meta app's settings."""

    def get_callback_url(self, request: HttpRequest, app: Any) -> str:
        return connections.redirect_uri()


class AccountAdapter(DefaultAccountAdapter):
    """Nobody signs up: the first visit makes the owner, later people are added by an owner or manager."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False


class SocialAccountAdapter(DefaultSocialAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        return False

    def get_provider(self, request: HttpRequest, provider: str, client_id: str | None = None) -> Any:
        found = super().get_provider(request, provider, client_id=client_id)
        if found.id == "facebook":
            found.oauth2_adapter_class = MetaOAuth2Adapter
            # Signing in asks for who it is and nothing else; only `connect` asks for META_SCOPES.
            found.get_scope_from_request = lambda request: ["public_profile"]
        return found

    def get_requests_session(self) -> Any:
        """The product's own door to Meta: host allow-list, time-outs, no URL in any exception."""
        return connections.requests_session()

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        """Take the token out, whatever the purpose; a connect ends here, in a pending grant."""
        token, sociallogin.token = sociallogin.token, None
        if sociallogin.state.get("process") != AuthProcess.REDIRECT:
            return  # signing in with Facebook: who it is matters, the token does not
        try:
            grant = grants.open_(
                state=sociallogin.state.get("data"),
                user=request.user,
                session_key=request.session.session_key or "",
                meta_user_id=str(sociallogin.account.uid),
                meta_user_name=str(sociallogin.account.extra_data.get("name", "")),
                token=token.token if token else "",
                now=now(),
            )
        except Refused as refusal:
            raise ImmediateHttpResponse(failed(request, refusal)) from None
        raise ImmediateHttpResponse(HttpResponseRedirect(reverse("confirm_connection", args=[grant.uuid])))

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,
        error: str | None = None,
        exception: BaseException | None = None,
        extra_context: dict[str, Any] | None = None,
    ) -> None:
        """Answer a page that names the cause and the next step, instead of allauth's general one."""
        has_state = bool((extra_context or {}).get("state"))
        refusal = grants.why_failed(
            cancelled=error == AuthError.CANCELLED,
            has_state=has_state,
            query=request.GET.dict(),
            code_refused=isinstance(exception, OAuth2Error),
            # allauth hands over four kinds; what is none of these came from the wire.
            unreachable=exception is not None
            and not isinstance(exception, OAuth2Error | PermissionDenied | ProviderException),
        )
        log.warning("connect failed: %s", refusal.code)
        raise ImmediateHttpResponse(failed(request, refusal))


def failed(request: HttpRequest, refusal: Refused) -> HttpResponse:
    """The page for every way in which connecting can fail; nothing was stored."""
    context = {
        "refusal": refusal,
        "redirect_uri": connections.redirect_uri(),
        "scopes": settings.META["scopes"],
    }
    return render(request, "accounts/connect_failed.html", context, status=refusal.status)


#: `META_REDIRECT_PATH` and `/api/meta-oauth/callback` are this one view.
callback = OAuth2CallbackView.adapter_view(MetaOAuth2Adapter)
sign_in_with_facebook = OAuth2LoginView.adapter_view(MetaOAuth2Adapter)
