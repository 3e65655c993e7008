"""What every page shares: who looks, the frame around the content, parts that are read again alone, refusals.

    @page -> signed in? -> the view reads -> show(): the whole page, or with ?part=name only that part's markup

A part is a template and a function that gives its context, so that a re-read costs that part's queries only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

import accounts.access as access
import accounts.clients as choices
import accounts.policies as policies
import campaigns.changes.sweeper as sweeper
from accounts.errors import Invalid, NotFound, Refused
from accounts.models import AdAccount, Alert, Client, Role, User
from accounts.tenancy import Principal
from campaigns.models import Switch
from metaads.clock import now
from strategies.models import Proposal, ProposalState

View = Callable[..., HttpResponse]
Context = dict[str, Any]

NAVIGATION = (
    ("overview", "Overview", "/"),
    ("proposals", "Proposals", "/proposals/"),
    ("ledger", "Ledger", "/ledger/"),
    ("strategies", "Strategies", "/strategies/"),
    ("alerts", "Alerts", "/alerts/"),
    ("connections", "Connections", "/connections/"),
    ("people", "People", "/people/"),
)

#: Regions of the frame that every page can read again: counts that wait, and what is stopped.
_FRAME_PARTS = {"nav": "dashboard/parts/nav.html", "stops": "dashboard/parts/stops.html"}
#: Ad accounts in the switcher of a page; a client with more of them gets the rest when the menu is opened.
SWITCHABLE = 40


@dataclass(frozen=True)
class Part:
    """A region that can be read again alone: its template and what fills it."""

    template: str
    fill: Callable[[], Context]


def page(view: View) -> View:
    """Sign-in, no caching, and a refusal shown as a page that says what to do next."""
    return _guarded(require_safe(view))


def asked(view: View) -> View:
    """A page whose question is too long for an address; it reads like every other."""
    return _guarded(require_POST(view))


def _guarded(view: View) -> View:
    @wraps(view)
    def shown(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except Refused as refusal:
            context = {**_frame(request, client=None, section=""), "refusal": refusal}
            return render(request, "dashboard/refused.html", context, status=refusal.status)

    guarded: View = login_required(never_cache(shown))
    return guarded


def principal(request: HttpRequest) -> Principal:
    found: Principal = request.principal  # type: ignore[attr-defined]
    return found


def clients(who: Principal) -> list[Client]:
    """Clients that the principal may see, by name."""
    rows = Client.objects.filter(archived_at__isnull=True)
    return list(rows if who.everywhere else rows.filter(pk__in=who.client_ids))


def asked_client(request: HttpRequest) -> Client | None:
    """The client of `?client=`; the only one there is; None for all of several."""
    if request.GET.get("client"):
        return access.client(principal(request), request.GET["client"])
    mine = clients(principal(request))
    return mine[0] if len(mine) == 1 else None


def show(
    request: HttpRequest,
    template: str,
    *,
    section: str,
    client: Client | None,
    context: Context,
    parts: Mapping[str, Part] | None = None,
    account: AdAccount | None = None,
) -> HttpResponse:
    """The page with all its parts, or the one part that `?part=` names. `account`: the one it is about."""
    parts = parts or {}
    wanted = request.GET.get("part")
    if wanted == "switcher":
        return render(
            request, "dashboard/parts/account_items.html", _switcher(request, client, account, most=None)
        )
    if wanted in _FRAME_PARTS:
        return render(request, _FRAME_PARTS[wanted], _frame(request, client=client, section=section))
    context = {**context, "now": now(), "poll_seconds": settings.POLL_SECONDS, "client": client}
    if wanted is not None:
        part = parts.get(wanted)
        if part is None:
            raise NotFound("There is no such part of this page.")
        return render(request, part.template, {**context, **part.fill()})
    for part in parts.values():
        context |= part.fill()
    frame = _frame(request, client=client, section=section)
    frame |= _switcher(request, frame["frame_client"], account, most=SWITCHABLE)
    _remember(request, client, account)
    return render(
        request, template, {**frame, **context, "parts": {name: p.template for name, p in parts.items()}}
    )


def whole_number(request: HttpRequest, name: str, *, default: int, most: int) -> int:
    """A number of the query string; a refusal that names it for anything else."""
    text = request.GET.get(name, str(default))
    if not text.isascii() or not text.isdigit() or not 0 < len(text) < 9 or int(text) < 1:
        raise Invalid(f"{name} must be a whole number.", advice="Follow a link of the page instead.")
    return min(int(text), most)


def _frame(request: HttpRequest, *, client: Client | None, section: str) -> Context:
    """Navigation, the people's own counts, and what is stopped."""
    who = principal(request)
    mine = clients(who)
    proposals = Proposal.objects.for_(who).filter(state=ProposalState.OPEN, expires_at__gt=now())
    alerts = Alert.objects.for_(who).filter(closed_at__isnull=True)
    stops = Switch.objects.for_(who) | Switch.everything.filter(client__isnull=True)
    if client is not None:
        proposals, alerts = proposals.filter(client=client), alerts.filter(client=client)
    counts = {"proposals": proposals.count(), "alerts": alerts.count()}
    query = f"?client={client.slug}" if client is not None and len(mine) > 1 else ""
    at = client or (mine[0] if len(mine) == 1 else None)
    return {
        "server_now": now(),
        "frame_clients": mine,
        "frame_client": at,
        "frame_section": section,
        "frame_nav": [
            {
                "key": key,
                "label": label,
                "href": (f"/c/{at.slug}/" if at else "/clients/") if key == "overview" else href + query,
                "count": counts.get(key, 0),
            }
            for key, label, href in NAVIGATION
        ],
        "frame_stops": list(stops.filter(released_at__isnull=True).select_related("client", "ad_account")),
        "frame_unswept": sweeper.silent_since(now=now()),
        "frame_role": _role(who, at),
        # Asked for only where the whole frame is shown.
        "frame_ask_mfa": lambda: _asks_for_second_step(request),
        "frame_may_act_as": at is not None and access.may(who, "act_as", at),
        "may_stop": at is not None and access.may(who, "stop", at),
        "may_release": at is not None and access.may(who, "release", at),
    }


def _asks_for_second_step(request: HttpRequest) -> bool:
    """Whether to suggest a second step at sign-in: to roles that may move money, until "later" or done."""
    if request.session.get("mfa_later") or principal(request).kind == "acting":
        return False
    return policies.should_ask(request.user)


def _switcher(
    request: HttpRequest, client: Client | None, account: AdAccount | None, *, most: int | None
) -> Context:
    """The client's ad accounts, those that are read first; `more` when they are not all here."""
    if client is None:
        return {}
    rows = AdAccount.objects.for_(principal(request)).filter(client=client, archived_at__isnull=True)
    listed = rows.order_by(F("enabled_at").asc(nulls_last=True), "name").only(
        "meta_id", "name", "enabled_at", "archived_at"
    )
    found = list(listed if most is None else listed[: most + 1])
    found.sort(key=lambda row: (not row.enabled, row.name.casefold(), row.meta_id))
    return {
        "switch_client": client,
        "switch_account": account,
        "switch_accounts": found[:most],
        "switch_more": most is not None and len(found) > most,
    }


def _remember(request: HttpRequest, client: Client | None, account: AdAccount | None) -> None:
    """A page whose address names a client or an ad account is the person's choice; a poll or a prefetch is nobody's."""
    match = request.resolver_match
    named = {"client", "account"} & request.GET.keys() or (match and {"slug", "act_id"} & match.kwargs.keys())
    silent = request.headers.get("X-Poll") == "1" or "prefetch" in request.headers.get("Sec-Purpose", "")
    user = getattr(request.user, "_wrapped", request.user)
    if client is None or not named or silent or not isinstance(user, User):
        return
    choices.choose(user=user, principal=principal(request), client=client, ad_account=account)


def _role(who: Principal, client: Client | None) -> str:
    roles = who.roles_at(client.pk) if client is not None else {role for _, role in who.roles}
    return ", ".join(sorted(Role(role).label for role in roles))
