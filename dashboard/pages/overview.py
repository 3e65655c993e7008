"""All ad accounts of a client on one page: what they spend and get, how fresh that is, and what needs a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

import accounts.access as access
import accounts.alerts as alerts
import accounts.clients as choices
import insights.analytics as analytics
import insights.metrics as registry
import strategies.proposals as proposals
from accounts.models import AdAccount, Client
from accounts.tenancy import Principal
from dashboard.pages.frame import Context, Part, clients, page, principal, show
from dashboard.pages.tiles import Tile, compared, period, tiles
from metaads.clock import now

_CARD = ("spend", "conversions", "cpa", "roas")
_WAITING_SHOWN = 5


@dataclass(frozen=True)
class AccountCard:
    """One ad account: its week in tiles, what it has spent today, and how far its first sync is."""

    account: AdAccount
    week: analytics.Header
    tiles: tuple[Tile, ...]
    today: Decimal | None
    spend: tuple[Decimal | None, ...]
    progress: analytics.Progress | None


@page
def home(request: HttpRequest) -> HttpResponse:
    """Where the person was last: an ad account or a client; else the only client, or the list of clients."""
    who = principal(request)
    last = choices.last_choice(who)
    if last is not None:
        there = f"/a/{last.ad_account.act_id}/" if last.ad_account else f"/c/{last.client.slug}/"
        return redirect(there)
    mine = clients(who)
    return redirect(f"/c/{mine[0].slug}/") if len(mine) == 1 else _list(request)


@page
def listing(request: HttpRequest) -> HttpResponse:
    """All clients of the person."""
    return _list(request)


def _list(request: HttpRequest) -> HttpResponse:
    who = principal(request)
    context: Context = {"clients": clients(who), "may_add": who.everywhere}
    return show(request, "dashboard/clients.html", section="overview", client=None, context=context)


@page
def client(request: HttpRequest, slug: str) -> HttpResponse:
    who = principal(request)
    here = access.client(who, slug)
    moment = now()
    parts = {
        "accounts": Part("dashboard/parts/account_cards.html", lambda: _accounts(who, here, moment)),
        "waiting": Part("dashboard/parts/waiting.html", lambda: _waiting(who, here)),
    }
    context: Context = {"title": here.name, "may_connect": access.may(who, "connect", here)}
    return show(
        request, "dashboard/overview.html", section="overview", client=here, context=context, parts=parts
    )


def _accounts(who: Principal, here: Client, moment: datetime) -> Context:
    rows = access.ad_accounts(who, client=here)
    cards = [_card(row, moment) for row in rows if row.enabled]
    by_currency: dict[str, Decimal] = {}
    for card in cards:
        spent = card.tiles[0].value
        if spent is not None:
            by_currency[card.account.currency] = by_currency.get(card.account.currency, Decimal(0)) + spent
    return {
        "cards": cards,
        "by_currency": sorted(by_currency.items()),
        "switched_off": [row for row in rows if not row.enabled],
        "result": registry.result_label(here.result_action),
    }


def _card(account: AdAccount, moment: datetime) -> AccountCard:
    week = period(account, "last_7d", moment)
    today = analytics.account_today(account, moment)
    found = compared(account, chosen=week, names=_CARD, drawn=15, drawn_to=today, now=moment)
    header, days = found.totals.header, found.points
    progress = analytics.progress(account) if header.trust.state in ("unavailable", "partial") else None
    return AccountCard(
        account=account,
        week=header,
        tiles=tiles(
            ad_account=account,
            names=_CARD,
            found=found,
            result=registry.result_label(account.client.result_action),
        ),
        today=next((point.values["spend"] for point in days if point.at == today), None),
        spend=tuple(point.values["spend"] for point in days if point.at != today),
        progress=progress,
    )


def _waiting(who: Principal, here: Client) -> Context:
    opened = proposals.open_(who, client=here).filter(expires_at__gt=now())
    return {
        "waiting": list(opened[:_WAITING_SHOWN]),
        "firing": alerts.open_alerts(who, here)[:_WAITING_SHOWN],
    }
