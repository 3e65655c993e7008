"""allauth's hooks: the OAuth dance ends in a pending grant, never in a stored token and never in a new sign-in.

    POST /connections/connect -> provider.redirect(process=redirect, data={purpose, client, user or link, ...})
      -> Meta's dialog -> callback (allauth: single-use state of this session, code exchange, /me)
      -> pre_social_login: token taken out, pending grant written, redirect to the confirm page

The state's process is *redirect*: should our hook ever not run, allauth merely redirects and stores nothing.
"""

from __future__ import annotations

import logging
import uuid
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.providers.base import ProviderException
from allauth.socialaccount.providers.base.constants import AuthError, AuthProcess
from allauth.socialaccount.providers.facebook.views import FacebookOAuth2Adapter
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView, OAuth2LoginView
from django.conf import settings
from django.contrib.sites.shortcuts import get_current_site
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

import accounts.connections as connections
import accounts.grants as grants
import accounts.outbox as outbox
import accounts.sessions as sessions
import accounts.unfinished as unfinished
from accounts.errors import Refused
from accounts.pages import refused
from metaads.clock import now

log = logging.getLogger(__name__)


class Failed(ProviderException):
    """A call of the dance failed; the refusal says how, in the product's own words."""

    def __init__(self, refusal: Refused) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


class MetaOAuth2Adapter(FacebookOAuth2Adapter):
    """Facebook's, with the redirect URI that is entered in the Meta app's settings, and our own door to Graph.

    The library takes answers apart without looking and calls every failure a refused code; ours tells a Meta that
    does not answer from one that says no.
    """

    @property
    def authorize_url(self) -> str:
        """Read now; the library's own is fixed when it is imported."""
        return f"{settings.META['dialog_url']}/{settings.META['version']}/dialog/oauth"

    def get_callback_url(self, request: HttpRequest, app: Any) -> str:
        return connections.redirect_uri()

    def get_access_token_data(
        self, request: HttpRequest, app: Any, client: Any, pkce_code_verifier: str | None = None
    ) -> dict[str, Any]:
        self.did_fetch_access_token = True
        try:
            return {"access_token": connections.exchange(code=request.GET.get("code", ""))}
        except Refused as refusal:
            said_no = refusal.code in ("meta_refused", "token_invalid")
            raise Failed(grants.code_refused() if said_no else refusal) from None

    def complete_login(self, request: HttpRequest, app: Any, token: Any, **kwargs: Any) -> Any:
        try:
            person = connections.whose(token=token.token)
        except Refused as refusal:
            raise Failed(refusal) from None
        return self.get_provider().sociallogin_from_response(request, person)


class AccountAdapter(DefaultAccountAdapter):
    """Nobody signs up: the first visit makes the owner, later people are added by an owner or manager."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Through the outbox: a mail server that is away neither loses the mail nor fails the page."""
        about = {"request": self.request, "email": email, "current_site": get_current_site(self.request)}
        mail = self.render_mail(template_prefix, email, {**about, **context})
        key = f"{template_prefix.rpartition('/')[2]}:{uuid.uuid4().hex}"
        outbox.send(key=key, address=email, subject=mail.subject, body=mail.body, now=now())

    def get_reset_password_from_key_url(self, key: str) -> str:
        """At our own address, whatever host name the visitor asked under."""
        path = reverse("account_reset_password_from_key", kwargs={"uidb36": "UID", "key": "KEY"})
        return f"{settings.PUBLIC_URL}{path.replace('UID-KEY', key)}"


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
        process = sociallogin.state.get("process")
        if process != AuthProcess.REDIRECT:
            # Signing in with Facebook, or linking for it: who it is matters, the token does not.
            who = request.user if process == AuthProcess.CONNECT else sociallogin.user
            if not sociallogin.is_existing and process != AuthProcess.CONNECT:
                who = None
            if not sessions.may_use_facebook(who):
                raise ImmediateHttpResponse(render(request, "socialaccount/refused.html", status=403))
            return
        unfinished.end(request.session)
        state = sociallogin.state.get("data")
        try:
            grant = grants.open_(
                state=state,
                user=request.user,
                session_key=request.session.session_key or "",
                meta_user_id=str(sociallogin.account.uid),
                meta_user_name=str(sociallogin.account.extra_data.get("name", "")),
                token=token.token if token else "",
                answer=_digest(request),
                now=now(),
            )
        except Refused as refusal:
            raise ImmediateHttpResponse(failed(request, refusal, state=state)) from None
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
        state = (extra_context or {}).get("state") or {}
        if state.get("process") in (AuthProcess.LOGIN, AuthProcess.CONNECT):
            return  # not a connect: allauth's own pages say what happened
        if not state and (answer := self._known_answer(request)):
            raise ImmediateHttpResponse(answer)
        if state and state.get("process") != AuthProcess.REDIRECT:
            return  # signing in with Facebook has pages of its own
        if state:
            unfinished.end(request.session)
        refusal = (
            exception.refusal
            if isinstance(exception, Failed)
            else grants.why_failed(
                cancelled=error == AuthError.CANCELLED,
                has_state=bool(state),
                signed_in=request.user.is_authenticated,
                query=request.GET.dict(),
            )
        )
        log.warning("connect failed: %s", refusal.code)
        raise ImmediateHttpResponse(failed(request, refusal, state=state.get("data")))

    @staticmethod
    def _known_answer(request: HttpRequest) -> HttpResponse | None:
        """A reload of Meta's answer lands where the first one did; its code is not sent to Meta again."""
        grant = grants.back(
            answer=_digest(request), user_id=request.user.pk, session_key=request.session.session_key or ""
        )
        return HttpResponseRedirect(reverse("confirm_connection", args=[grant.uuid])) if grant else None


def _digest(request: HttpRequest) -> str:
    """Known by state and code together: the same state with another code is no reload."""
    state, code = request.GET.get("state", ""), request.GET.get("code", "")
    return grants.digest(state=state, code=code) if state and code else ""


def failed(request: HttpRequest, refusal: Refused, *, state: Any = None) -> HttpResponse:
    """The page for every way in which the dance can fail; nothing was stored. `state` tells whose dance it was."""
    return refused(request, refusal, dance=state if isinstance(state, dict) else None)


#: `META_REDIRECT_PATH` and `/api/meta-oauth/callback` are this one view.
callback = OAuth2CallbackView.adapter_view(MetaOAuth2Adapter)
_to_facebook = OAuth2LoginView.adapter_view(MetaOAuth2Adapter)


def sign_in_with_facebook(request: HttpRequest) -> HttpResponse:
    """Off to Facebook, to sign in or to link an account for it; there is no such page where it is switched off."""
    if not settings.FACEBOOK_SIGN_IN:
        raise Http404
    answer: HttpResponse = _to_facebook(request)
    return answer
