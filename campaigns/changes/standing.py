"""Where a person stands towards a change: may let it pass, or why not, and who may instead. It only reads.

    role         `WHO`: which role may let which direction pass
    four eyes    a raise above the client's threshold is not approved by who asked for it (what raises of 24 hours have
                 added to the object counts, so that small steps are one large step)
    authority    what one person has approved in 24 hours: percent of an object, amount per currency; a person's own
                 limits go before those of the role
    guards       what would keep it back now, whoever approves

`approvals` asks inside the locks and is bound by the answer. Pages and the API ask without them: what they say was so
a moment ago, and an approval asks once more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from django.db.models import Q, QuerySet, Sum

import accounts.access as access
import campaigns.changes.exposure as exposure
import campaigns.changes.guards as guards
import campaigns.changes.switch as switch
from accounts.errors import Forbidden
from accounts.models import Membership, Role
from accounts.tenancy import Principal
from campaigns.changes.envelopes import money as written
from campaigns.changes.guards import Reason, Situation
from campaigns.changes.headroom import COUNTS, RESERVES
from campaigns.models import ApprovalPolicy, Authority, Change
from campaigns.states import ChangeState, Direction, Field, Level, Source

DAY: Final = timedelta(hours=24)
CAREFUL: Final = {"four_eyes_percent": 50, "batch_objects": 10}
#: People of a client who are looked at when somebody else is sought.
_ASKED: Final = 30

_CAREFUL: Final = frozenset({Role.OWNER, Role.MANAGER, Role.APPROVER})
_ANY: Final = _CAREFUL | {Role.BUYER}
_AGENCY: Final = frozenset({Role.OWNER, Role.MANAGER, Role.BUYER})

#: direction -> (roles that may approve, roles whose own request passes at once under the policy "hand")
WHO: Final[dict[Direction, tuple[frozenset[str], frozenset[str]]]] = {
    Direction.STOP: (frozenset(_ANY), _AGENCY),
    Direction.CUT: (frozenset(_ANY), _AGENCY),
    Direction.EDIT: (frozenset(_ANY), _AGENCY),
    Direction.RAISE: (_CAREFUL, frozenset()),
    Direction.START: (_CAREFUL, frozenset()),
}


@dataclass(frozen=True)
class Standing:
    """`may`, or `why` not, as a sentence with what to do next. `code`: closed, expired, may_not_approve,
    may_not_approve_raise, four_eyes or over_authority."""

    may: bool
    code: str = ""
    why: str = ""
    advice: str = ""

    @property
    def refusal(self) -> Forbidden | None:
        return None if self.may else Forbidden(self.why, code=self.code, advice=self.advice)


MAY: Final = Standing(may=True)


def policy(client_id: int) -> ApprovalPolicy:
    """The client's rules; unsaved with the careful values where nobody has set any."""
    found: ApprovalPolicy | None = ApprovalPolicy.objects.of(client_id).first()
    return found or ApprovalPolicy(client_id=client_id, **CAREFUL)


def of(change: Change, principal: Principal, *, now: datetime) -> Standing:
    """Whether `principal` may approve the change. Inside the locks of an approval it counts what was approved a moment
    ago."""
    return Reader(principal, now=now).of(change)


def closed(change: Change, *, now: datetime) -> Standing | None:
    """Why nobody can approve it any more; None while it waits."""
    if change.state != ChangeState.PROPOSED:
        return Standing(may=False, code="closed", why=f"This change is {change.state} already.")
    if change.expires_at <= now:
        return Standing(may=False, code="expired", why="This change has expired.", advice="Ask for it again.")
    return None


def situation(change: Change, *, now: datetime) -> Situation:
    """What the guards look at for a stored change, as it stands now."""
    stop = switch.stopped(
        client_id=change.client_id, ad_account_id=change.ad_account_id, strategy_ref=change.strategy_ref
    )
    return exposure.situation(
        ad_account=change.ad_account,
        level=Level(change.level),
        object_id=change.object_id,
        field=Field(change.field),
        stopped=stop,
        now=now,
        before=change.before,
        target=change.target,
        leave_out=change,
    )


def hindrances(change: Change, *, now: datetime) -> tuple[Reason, ...]:
    """What the guards would say if somebody approved the change now; empty when it would pass, or waits no more."""
    if closed(change, now=now) is not None:
        return ()
    return guards.evaluate(intent=exposure.intent_of(change), situation=situation(change, now=now), now=now)


def others(change: Change, principal: Principal, *, now: datetime) -> tuple[str, ...]:
    """Names of people who may approve the change, `principal` left out; the client's own and its managers first."""
    rows = Membership.objects.filter(
        Q(client_id=change.client_id) | Q(client__isnull=True), user__is_active=True
    )
    rows = rows.exclude(user_id=principal.user_id or 0).filter(role__in=WHO[change.direction][0])
    found: dict[int, str] = {}
    for row in rows.select_related("user").order_by("client_id", "user__name")[:_ASKED]:
        if row.user_id not in found and of(change, access.principal_of(row.user), now=now).may:
            found[row.user_id] = str(row.user)
    return tuple(found.values())


class Reader:
    """One person's standing towards many changes: the rules of each client are read once."""

    def __init__(self, principal: Principal, *, now: datetime) -> None:
        self.principal = principal
        self.now = now
        self._policies: dict[int, ApprovalPolicy] = {}
        self._limits: dict[int, list[Authority]] = {}

    def of(self, change: Change) -> Standing:
        return closed(change, now=self.now) or self._role(change) or self._limited(change) or MAY

    def _role(self, change: Change) -> Standing | None:
        allowed, _ = WHO[change.direction]
        if not access.may(self.principal, "approve", change.client_id):
            return Standing(
                may=False,
                code="may_not_approve",
                why="Your role may not approve changes here.",
                advice="Ask the client's approver, a buyer, a manager or an owner.",
            )
        if not self.principal.roles_at(change.client_id) & allowed:
            return Standing(
                may=False,
                code="may_not_approve_raise",
                why="Your role may not approve a change that spends more.",
                advice="Ask the client's approver, a manager or an owner.",
            )
        return None

    def _limited(self, change: Change) -> Standing | None:
        if change.direction is not Direction.RAISE or not Field(change.field).is_budget:
            return None
        return self._four_eyes(change) or self._over(change)

    def _four_eyes(self, change: Change) -> Standing | None:
        by_hand = Source(change.source) in (Source.PERSON, Source.UNDO)
        if not by_hand or change.requested_by_id != self.principal.user_id:
            return None
        most = self._policy(change.client_id).four_eyes_percent
        if most is None:
            return None
        risen = exposure.rises_24h(change, now=self.now)
        base = Decimal(change.before or 0) - risen
        if base > 0 and (risen + Decimal(change.rise)) * 100 <= base * most:
            return None
        return Standing(
            may=False,
            code="four_eyes",
            why=f"You asked for it: a raise of more than {most} % within 24 hours is approved by somebody else.",
            advice="Ask the client's approver, another manager or an owner. An owner can change this rule.",
        )

    def _over(self, change: Change) -> Standing | None:
        rows = self._of(change.client_id)
        if not rows:
            return None
        percent = [row.percent for row in rows if row.percent is not None]
        mine = self._approved(change)
        if percent:
            here = mine.filter(object_id=change.object_id, field=change.field)
            rise = Decimal(here.aggregate(total=Sum("rise"))["total"] or 0) + Decimal(change.rise)
            base = Decimal(change.before or 0) - exposure.rises_24h(change, now=self.now)
            if base <= 0 or rise * 100 > base * max(percent):
                return _beyond(f"{max(percent)} % of one budget within 24 hours")
        if any(row.currency for row in rows):
            amounts = [
                Decimal(row.amount)
                for row in rows
                if row.currency == change.currency and row.amount is not None
            ]
            most = max(amounts, default=Decimal(0))
            rows_here = mine.filter(currency=change.currency)
            total = Decimal(rows_here.aggregate(total=Sum("rise"))["total"] or 0)
            if total + Decimal(change.rise) > most:
                return _beyond(f"{written(most)} {change.currency} within 24 hours")
        return None

    def _policy(self, client_id: int) -> ApprovalPolicy:
        if client_id not in self._policies:
            self._policies[client_id] = policy(client_id)
        return self._policies[client_id]

    def _of(self, client_id: int) -> list[Authority]:
        if client_id not in self._limits:
            self._limits[client_id] = self._read_limits(client_id)
        return self._limits[client_id]

    def _read_limits(self, client_id: int) -> list[Authority]:
        roles = self.principal.roles_at(client_id)
        keys = [f"user:{self.principal.user_id}", *(f"role:{role}" for role in roles)]
        rows = list(Authority.objects.of(client_id).filter(who__in=keys))
        own = [row for row in rows if not row.role]
        if own:
            return own
        # Who also holds a role without any limit has that role's freedom.
        return rows if {row.role for row in rows} >= set(roles) else []

    def _approved(self, change: Change) -> QuerySet[Change]:
        rows = Change.objects.of(change.client_id).filter(
            approved_by_id=self.principal.user_id, approved_at__gt=self.now - DAY
        )
        counts = Q(state__in=COUNTS, possibly_applied=True) | Q(state__in=RESERVES)
        return rows.filter(counts).exclude(pk=change.pk)


def _beyond(text: str) -> Standing:
    return Standing(
        may=False,
        code="over_authority",
        why=f"You may approve raises of up to {text}; this one goes beyond.",
        advice="Ask somebody with a higher limit; owners and managers set the limits.",
    )
