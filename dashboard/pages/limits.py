"""How much may be spent, how full the limits are, and who may let how much pass."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.http import HttpRequest, HttpResponse

import accounts.access as access
import campaigns.changes.headroom as headroom
import campaigns.changes.ledger as ledger
import campaigns.changes.standing as standing
import campaigns.queries as queries
from accounts.models import AdAccount, Membership, Role
from accounts.tenancy import Principal
from campaigns.changes.envelopes import SOFT, Period, Scope, Use
from campaigns.models import AdSet, Authority, Envelope
from dashboard.pages.changes import names_of
from dashboard.pages.frame import Context, Part, page, principal, show
from dashboard.pages.stories import what_of, who_did
from metaads.clock import now

_SCOPES = tuple(Scope)
_PERIODS = {
    Period.HOUR: "Hour",
    Period.DAY: "Day",
    Period.WEEK: "Week, Sunday to Saturday",
    Period.MONTH: "Month",
    Period.FLIGHT: "Flight, start to end",
    Period.RISE: "Raises of 24 hours",
}
_STAGES = {
    "open": ("room", "ok"),
    "soft": ("raises stop", "warn"),
    "hard": ("only cuts and pauses pass", "bad"),
    "unknown": ("not known: nothing may spend more", "bad"),
}
_LINES = 12


@dataclass(frozen=True)
class Limit:
    """One spend limit, how full it is, and what a raise may still add before it stops (None: not known)."""

    row: Envelope
    use: Use
    scope: str
    period: str
    room: Decimal | None
    words: str
    tone: str
    default: bool

    @property
    def removable(self) -> bool:
        """The day of an account and of a client is only ever changed."""
        return self.use.period is not Period.DAY or self.use.scope not in (Scope.ACCOUNT, Scope.CLIENT)

    @property
    def bar(self) -> Decimal:
        """Percent of the bar, at most all of it; full where it is not known."""
        return Decimal(100) if self.use.percent is None else min(self.use.percent, Decimal(100))


@dataclass(frozen=True)
class Anew:
    """A limit that has to be set in the account's currency: what stands there in another one and holds nothing (`row`),
    or nothing at all. `needed`: nothing may spend more without it."""

    scope: Scope
    period: Period
    name: str
    over: str
    object_id: str = ""
    row: Envelope | None = None

    @property
    def needed(self) -> bool:
        return self.period is Period.DAY and self.scope in (Scope.ACCOUNT, Scope.CLIENT)


@dataclass(frozen=True)
class PersonLimit:
    """What one person or role may let pass; `used` of an amount within 24 hours, of a person."""

    row: Authority
    who: str
    used: Decimal | None


@page
def limits(request: HttpRequest, act_id: str) -> HttpResponse:
    who = principal(request)
    row = access.ad_account(who, act_id)
    moment = now()
    parts = {
        "envelopes": Part("dashboard/parts/envelopes.html", lambda: _envelopes(who, row, moment)),
        "approving": Part("dashboard/parts/approving.html", lambda: _approving(who, row, moment)),
        "limit_log": Part("dashboard/parts/limit_log.html", lambda: _log(who, row)),
    }
    context: Context = {
        "title": f"Limits of {row.name}",
        "account": row,
        "may_set": access.may(who, "manage_client", row.client_id),
        "owns": who.everywhere,
    }
    return show(
        request, "dashboard/limits.html", section="overview", client=row.client, account=row, context=context,
        parts=parts,
    )  # fmt: skip


def _envelopes(who: Principal, row: AdAccount, moment: datetime) -> Context:
    found = [_limit(one, use) for one, use in headroom.uses_now(ad_account=row, now=moment)]
    found.sort(
        key=lambda one: (_SCOPES.index(one.use.scope), one.use.name, list(Period).index(one.use.period))
    )
    ad_sets: list[AdSet] = list(
        AdSet.objects.for_(who).filter(ad_account=row, removed_at__isnull=True).order_by("name", "meta_id")
    )
    budgeted = [
        (one.meta_id, f"{one.level.words.capitalize()}: {one.name}")
        for one in (*queries.campaigns(who, ad_account=row), *ad_sets)
    ]
    return {
        "limits": found,
        "anew": _anew(row, [one.row for one in found], dict(budgeted)),
        "periods": _PERIODS.items(),
        "budgeted": budgeted,
        "spend_as_of": headroom.spend_as_of(row),
    }


def _anew(row: AdAccount, standing: list[Envelope], names: dict[str, str]) -> list[Anew]:
    """What a person has to set since the account's currency is another one than its limits'; those needed first."""
    foreign = headroom.foreign_caps(row)
    if not foreign:
        return []
    found = [
        Anew(
            Scope(one.scope), Period(one.period), names.get(one.object_id, one.object_id) or row.name,
            _PERIODS[Period(one.period)], one.object_id, one,
        )
        for one in foreign
    ]  # fmt: skip
    told = {(one.scope, one.period) for one in found}
    for scope, name in headroom.lacks(row, standing).items():
        if (scope, Period.DAY) not in told:
            found.append(Anew(scope, Period.DAY, name[:1].upper() + name[1:], _PERIODS[Period.DAY]))
    order = list(Period)
    return sorted(
        found, key=lambda one: (not one.needed, _SCOPES.index(one.scope), one.name, order.index(one.period))
    )


def _limit(row: Envelope, use: Use) -> Limit:
    words, tone = _STAGES[use.stage]
    name = use.name[:1].upper() + use.name[1:]
    room = None if use.worst is None else max(use.cap * SOFT - use.worst, Decimal(0))
    return Limit(
        row=row, use=use, scope=name, period=_PERIODS[use.period], room=room, words=words, tone=tone,
        default=not headroom.chosen(row),
    )  # fmt: skip


def _approving(who: Principal, row: AdAccount, moment: datetime) -> Context:
    rules = standing.policy(row.client_id)
    people = Membership.objects.filter(client=row.client, user__is_active=True).select_related("user")
    return {
        "rules": rules,
        "default_rules": rules.pk is None,
        "default_hours": row.client.approval_hours == 24 and rules.pk is None,
        "four_eyes_amount": standing.four_eyes_amounts(row.client_id).get(row.currency),
        "person_limits": [_person(one, row, moment) for one in standing.limits(who, client=row.client)],
        "table": [
            (direction, [Role(role).label for role in Role.values if role in approve], bool(alone))
            for direction, (approve, alone) in standing.WHO.items()
        ],
        "roles": [(role.value, role.label) for role in Role if role in standing.WHO_MAY],
        "people": sorted({one.user.email for one in people if one.role in standing.WHO_MAY}),
    }


def _person(one: Authority, row: AdAccount, moment: datetime) -> PersonLimit:
    used = None
    if one.user_id is not None and one.currency:
        used = standing.let_pass(row.client_id, one.user_id, one.currency, now=moment)
    return PersonLimit(
        row=one, who=str(one.user) if one.user else f"every {Role(one.role).label.lower()}", used=used
    )


def _log(who: Principal, row: AdAccount) -> Context:
    lines = list(ledger.lines(who, ad_account=row).filter(kind="limit").order_by("-seq")[:_LINES])
    names = names_of(lines)
    return {"lines": lines, "did": who_did(lines, names), "said": what_of(lines, names)}
