"""Where a person stands towards a change: may let it pass, or why not, and who may instead. It only reads.

    role         `WHO`: which role may let which direction pass
    four eyes    a raise above the client's threshold is not approved by who asked for it: percent of the object (what
                 raises of 24 hours have added to it counts, so that small steps are one large step), and an amount per
                 currency of all that this person both asked for and approved in 24 hours
    authority    what one person has approved in 24 hours: percent of an object, amount per currency; a person's own
                 limits go before those of the role
    guards       what would keep it back now, whoever approves

    measure      percent                        amount (`headroom.adds`)
    budget       of what stood there            its rise
    bid          of what stood there            nothing: its budget bounds it
    start        none                           the budgets that begin to run
    schedule     none                           the daily budget for the days gained

What has no percentage is judged by amounts; who has a limit in percent alone may not approve it, unless it adds
nothing.

`approvals` asks inside the locks and is bound by the answer. Pages and the API ask without them: what they say was so
a moment ago, and an approval asks once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.db.models import Q, QuerySet, Sum

import accounts.access as access
import campaigns.changes.exposure as exposure
import campaigns.changes.guards as guards
import campaigns.changes.headroom as headroom
import campaigns.changes.switch as switch
from accounts.errors import Forbidden
from accounts.models import Client, Membership, Role
from accounts.tenancy import Principal
from campaigns.changes.envelopes import money as written
from campaigns.changes.guards import Reason, Situation
from campaigns.changes.headroom import COUNTS, RESERVES, Rooms, Wanted
from campaigns.models import ApprovalPolicy, Authority, Change, FourEyesAmount
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


#: Roles that may approve anything at all: the ones that a limit can hold.
WHO_MAY: Final = frozenset().union(*(approve for approve, _ in WHO.values()))


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


def four_eyes_amounts(client_id: int) -> dict[str, Decimal]:
    """Currency -> what one person may both ask for and approve within 24 hours; empty by default."""
    rows = FourEyesAmount.objects.of(client_id).order_by("currency")
    return {row.currency: Decimal(row.amount) for row in rows}


def limits(principal: Principal, *, client: Client) -> QuerySet[Authority]:
    """The limits of people and roles at the client."""
    access.require(principal, "view", client)
    rows = Authority.objects.of(client).select_related("user", "set_by")
    return rows.order_by("role", "user_id", "currency")


def let_pass(client_id: int, user_id: int, currency: str, *, now: datetime) -> Decimal:
    """What a person's approvals of 24 hours have let be spent more in one currency."""
    rows = _approved(client_id, user_id, now).filter(currency=currency)
    return Decimal(rows.aggregate(total=Sum("adds"))["total"] or 0)


def adds(change: Change, *, now: datetime) -> Decimal | None:
    """What the change lets be spent more, see `headroom.adds`."""
    wanted = Wanted(
        level=Level(change.level), object_id=change.object_id, field=Field(change.field), target=change.target
    )
    return headroom.adds(
        ad_account=change.ad_account, wanted=wanted, before=change.before, now=now, leave_out=change
    )


def of(change: Change, principal: Principal, *, now: datetime) -> Standing:
    """Whether `principal` may approve the change. Inside the locks of an approval it counts what was approved a moment
    ago."""
    return Reader(principal, now=now).of(change)


def at_once(principal: Principal, *, client_id: int, direction: Direction, field: Field) -> bool:
    """Whether this person's own request in this direction needs no second step. A bid always does: a lower one may
    stop delivery, and what it costs cannot be seen from its amount."""
    _, roles = WHO[direction]
    return (
        field is not Field.BID_AMOUNT
        and access.may(principal, "approve", client_id)
        and bool(principal.roles_at(client_id) & roles)
    )


def closed(change: Change, *, now: datetime) -> Standing | None:
    """Why nobody can approve it any more; None while it waits."""
    if change.state != ChangeState.PROPOSED:
        return Standing(may=False, code="closed", why=f"This change is {change.state} already.")
    if change.expires_at <= now:
        return Standing(may=False, code="expired", why="This change has expired.", advice="Ask for it again.")
    return None


def situation(change: Change, *, now: datetime, rooms: Rooms | None = None) -> Situation:
    """What the guards look at for a change, as it stands now; with `rooms` after those thought about before it."""
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
        rooms=rooms,
    )


def hindrances(change: Change, *, now: datetime, rooms: Rooms | None = None) -> tuple[Reason, ...]:
    """What the guards would say if somebody approved the change now; empty when it would pass, or waits no more. With
    `rooms` after those thought about before it."""
    if closed(change, now=now) is not None:
        return ()
    found = situation(change, now=now, rooms=rooms)
    return guards.evaluate(intent=exposure.intent_of(change), situation=found, now=now)


def others(change: Change, principal: Principal, *, now: datetime) -> tuple[str, ...]:
    """Names of people who may approve the change, `principal` left out."""
    return People(change.client_id, principal, now=now).who([change])


class People:
    """Who of a client's people may approve, `principal` left out: the client's own and its managers first. Each
    person's rights and limits are read once, and only when they matter."""

    def __init__(self, client_id: int, principal: Principal, *, now: datetime) -> None:
        self._where = Q(client_id=client_id) | Q(client__isnull=True)
        self._without = principal.user_id or 0
        self._now = now
        self._rows: list[Membership] | None = None
        self._readers: dict[int, Reader] = {}

    def who(self, changes: Sequence[Change]) -> tuple[str, ...]:
        """Names of those who may approve all of these together, see `Reader.in_turn`."""
        if self._rows is None:
            rows = Membership.objects.filter(self._where, user__is_active=True, role__in=WHO_MAY)
            rows = rows.exclude(user_id=self._without).select_related("user")
            self._rows = list(rows.order_by("client_id", "user__name")[:_ASKED])
        roles = (
            frozenset.intersection(*(WHO[one.direction][0] for one in changes)) if changes else frozenset()
        )
        found: dict[int, str] = {}
        for row in self._rows:
            if row.role in roles and row.user_id not in found and self._reader(row).may_all(changes):
                found[row.user_id] = str(row.user)
        return tuple(found.values())

    def _reader(self, row: Membership) -> Reader:
        if row.user_id not in self._readers:
            self._readers[row.user_id] = Reader(access.principal_of(row.user), now=self._now)
        return self._readers[row.user_id]


class Reader:
    """One person's standing towards many changes: the rules of each client are read once."""

    def __init__(self, principal: Principal, *, now: datetime) -> None:
        self.principal = principal
        self.now = now
        self._policies: dict[int, ApprovalPolicy] = {}
        self._limits: dict[int, list[Authority]] = {}
        self._amounts: dict[int, dict[str, Decimal]] = {}
        self._added: dict[UUID, Decimal | None] = {}
        self._steps: dict[UUID, Step | None] = {}
        self._before: list[Change] = []

    def of(self, change: Change) -> Standing:
        return closed(change, now=self.now) or self._role(change) or self._limited(change) or MAY

    def in_turn(self, change: Change) -> Standing:
        """As `of`, for one line of a batch after the other: what this one adds counts for those after it, as it does
        in the batch's one approval."""
        found = self.of(change)
        if found.may:
            self._before.append(change)
        return found

    def may_all(self, changes: Sequence[Change]) -> bool:
        """Whether one approval of all of these would be this person's to give."""
        self._before = []
        return all(self.in_turn(one).may for one in changes)

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
        if not change.direction.spends_more:
            return None
        return self._four_eyes(change) or self._over(change)

    def _four_eyes(self, change: Change) -> Standing | None:
        by_hand = Source(change.source) in (Source.PERSON, Source.UNDO)
        if not by_hand or change.requested_by_id != self.principal.user_id:
            return None
        most = self._policy(change.client_id).four_eyes_percent
        step = None if most is None else self._step(change)
        if most is not None and step is not None and step.beyond(most):
            return _alone(f"more than {most} %")
        amount = self._amounts_of(change.client_id).get(change.currency)
        if amount is None:
            return None
        mine = self._approved(change).filter(requested_by_id=self.principal.user_id)
        return (
            _alone(f"more than {written(amount)} {change.currency}")
            if self._above(change, mine, amount, own=True)
            else None
        )

    def _over(self, change: Change) -> Standing | None:
        rows = self._of(change.client_id)
        if not rows:
            return None
        percent = [row.percent for row in rows if row.percent is not None]
        here = [row for row in rows if row.currency == change.currency and row.amount is not None]
        amount = max((Decimal(row.amount or 0) for row in here), default=Decimal(0))
        step = self._step(change)
        if percent and step is not None:
            mine = self._approved(change).filter(object_id=change.object_id, field=change.field)
            if step.base <= 0 or (_risen(mine) + step.rise) * 100 > step.base * max(percent):
                return _beyond(f"raises of up to {max(percent)} % of one {step.of} within 24 hours")
        if percent and step is None and not here and self._adds(change) != 0:
            return _beyond(
                f"raises of up to {max(percent)} %, and a start or a longer schedule has no percentage"
            )
        if any(row.currency for row in rows) and self._above(change, self._approved(change), amount):
            return _beyond(f"up to {written(amount)} {change.currency} more within 24 hours")
        return None

    def _above(self, change: Change, rows: QuerySet[Change], most: Decimal, *, own: bool = False) -> bool:
        """Whether the change, with what has passed already and what would before it (`own`: of what this person asked
        for), comes to more than `most`; adding nothing never does."""
        more = self._adds(change)
        if more is None or more == 0:
            return more is None
        total = Decimal(rows.filter(currency=change.currency).aggregate(total=Sum("adds"))["total"] or 0)
        for one in self._before:
            if one.currency == change.currency and (not own or one.requested_by_id == self.principal.user_id):
                total += self._adds(one) or Decimal(0)
        return total + more > most

    def _adds(self, change: Change) -> Decimal | None:
        if change.uuid not in self._added:
            self._added[change.uuid] = adds(change, now=self.now)
        return self._added[change.uuid]

    def _step(self, change: Change) -> Step | None:
        if change.uuid not in self._steps:
            self._steps[change.uuid] = _step(change, now=self.now)
        return self._steps[change.uuid]

    def _amounts_of(self, client_id: int) -> dict[str, Decimal]:
        if client_id not in self._amounts:
            self._amounts[client_id] = four_eyes_amounts(client_id)
        return self._amounts[client_id]

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
        return _approved(change.client_id, self.principal.user_id, self.now).exclude(pk=change.pk)


@dataclass(frozen=True)
class Step:
    """A raise in percent: `rise` of this change, `risen` by others in 24 hours, `base` what stood before those."""

    of: str
    rise: Decimal
    risen: Decimal
    base: Decimal

    def beyond(self, most: int) -> bool:
        """Whether all of it together is more than `most` percent of what stood there."""
        return self.base <= 0 or (self.risen + self.rise) * 100 > self.base * most


def _step(change: Change, *, now: datetime) -> Step | None:
    """None for what has no percentage: starts and schedules."""
    field = Field(change.field)
    if not field.is_money:
        return None
    before = Decimal(change.before or 0)
    if field.is_budget:
        risen = exposure.rises_24h(change, now=now)
        return Step("budget", Decimal(change.rise), risen, before - risen)
    others = Change.objects.of(change.client_id).filter(object_id=change.object_id, field=change.field)
    risen = _risen(others.filter(_counts(), state_at__gt=now - DAY).exclude(pk=change.pk))
    return Step("bid", Decimal(change.target) - before, risen, before - risen)


def _risen(rows: QuerySet[Change]) -> Decimal:
    """What these raises of one field come to together; a change's `rise` is of budgets only."""
    pairs = rows.exclude(before="").values_list("before", "target")
    return sum((max(Decimal(target) - Decimal(before), Decimal(0)) for before, target in pairs), Decimal(0))


def _counts() -> Q:
    return Q(state__in=COUNTS, possibly_applied=True) | Q(state__in=RESERVES)


def _approved(client_id: int, user_id: int | None, now: datetime) -> QuerySet[Change]:
    rows = Change.objects.of(client_id).filter(approved_by_id=user_id, approved_at__gt=now - DAY)
    return rows.filter(_counts())


def _alone(text: str) -> Standing:
    return Standing(
        may=False,
        code="four_eyes",
        why=f"You asked for it: {text} within 24 hours is approved by somebody else.",
        advice="Ask the client's approver, another manager or an owner. An owner can change this rule.",
    )


def _beyond(text: str) -> Standing:
    return Standing(
        may=False,
        code="over_authority",
        why=f"You may approve {text}; this one goes beyond.",
        advice="Ask somebody with a higher limit; owners and managers set the limits.",
    )
