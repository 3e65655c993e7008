"""How much room the envelopes around an object leave, counting what is approved and on its way.

    ledger.locked(account) -> ledger.lock_client(client) -> read trees, changes, spend -> Use per envelope

A change that is approved, or open, reserves: its target counts as if it stood there. So whoever approves or sends a
raise takes the client's lock first (after the head of the account, and never a head after it: heads in the order of
their accounts, then the client, so two can wait for each other nowhere), and the room that it saw is its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from django.db.models import Q, Sum

import campaigns.changes.envelopes as envelopes
import campaigns.changes.ledger as ledger
from accounts.models import AdAccount
from campaigns.changes.envelopes import Owner, Period, Scope, Spend, Use
from campaigns.changes.guards import Around
from campaigns.models import Ad, AdSet, Campaign, Change, Envelope, ExposureRow
from campaigns.states import IN_DOUBT, OPEN, ChangeState, Field, Level, canonical_amount, direction

#: A report of the account's spend older than this tells nothing about today.
KNOWN_FOR: Final = timedelta(hours=6)
#: States in which a change reserves its target.
RESERVES: Final = sorted(state.value for state in OPEN | {ChangeState.APPROVED})
#: States in which a change's rise counts once it may have been applied.
COUNTS: Final = sorted(state.value for state in IN_DOUBT | {ChangeState.APPLIED})
#: The careful cap of the first complete read: so many times what the budgets there allow.
DEFAULT_TIMES: Final = 3
DEFAULT_PERIODS: Final = (Period.DAY, Period.WEEK)
_CAREFUL: Final = f"{DEFAULT_TIMES} times what the budgets allowed at the first complete read."
_GONE: Final = ("ARCHIVED", "DELETED")


@dataclass(frozen=True)
class Wanted:
    """What is asked for, as far as it moves money."""

    level: Level
    object_id: str
    field: Field
    target: str


@dataclass(frozen=True)
class Room:
    """What the guards have to know of everything around the object. `lacking`: who has no cap for its day, by name;
    `foreign`: the amounts that stand there in another currency, and hold nothing."""

    known: bool
    around: tuple[Around, ...]
    uses: tuple[Use, ...]
    lacking: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()


def today_of(ad_account: AdAccount, now: datetime) -> date:
    return now.astimezone(ZoneInfo(ad_account.timezone_name)).date()


def room(
    *, ad_account: AdAccount, wanted: Wanted, before: str, now: datetime, leave_out: Change | None
) -> Room:
    """The room around the object as it would be after the change. Call it under the client's lock to rely on it."""
    if not direction(wanted.field, before, wanted.target).spends_more:
        return Room(known=True, around=(), uses=())
    return Rooms(ad_account, now=now, leave_out=leave_out).room(wanted, before)


class Rooms:
    """The room for one change after the other, each with what those before it would take; read once."""

    def __init__(self, ad_account: AdAccount, *, now: datetime, leave_out: Change | None = None) -> None:
        self.account = ad_account
        self._caps = caps_of(ad_account)
        self._trees = {one.pk: Tree(one, now=now, leave_out=leave_out) for one in siblings(ad_account)}

    def room(self, wanted: Wanted, before: str) -> Room:
        """The room around the object as it would be after the change, which counts as made from here on."""
        if not direction(wanted.field, before, wanted.target).spends_more:
            return Room(known=True, around=(), uses=())
        trees = self._trees
        tree = trees[self.account.pk]
        known = tree.known and all(one.known or not one.runs for one in trees.values())
        around: tuple[Around, ...] = ()
        if wanted.field.is_budget:
            around = tuple(
                Around(
                    name=name,
                    base=sum((one.base(wanted.field) for one in of), Decimal(0)),
                    rises_24h=sum((one.rises(wanted.field) for one in of), Decimal(0)),
                )
                for name, of in _wider(self.account, trees)
            )
        rise = _rise(wanted, before)
        tree.apply([wanted])
        uses = tuple(
            _use(cap, ad_account=self.account, trees=trees, wanted=wanted, rise=rise)
            for cap in self._caps
            if _concerns(cap, tree, wanted)
        )
        tree.ahead.append((wanted.object_id, wanted.field, rise))
        lacking = lacks(self.account, self._caps)
        foreign = foreign_caps(self.account) if lacking else []
        return Room(
            known=known,
            around=around,
            uses=uses,
            lacking=tuple(lacking.values()),
            foreign=tuple(sorted({f"{envelopes.money(one.amount)} {one.currency}" for one in foreign})),
        )

    def left(self) -> list[Use]:
        """How full the limits of the account and its client are with everything that was thought about."""
        return [
            _use(cap, ad_account=self.account, trees=self._trees, wanted=_nothing(), rise=Decimal(0))
            for cap in self._caps
            if cap.scope in (Scope.ACCOUNT, Scope.CLIENT)
        ]


def _nothing() -> Wanted:
    return Wanted(level=Level.CAMPAIGN, object_id="", field=Field.STATUS, target="")


def adds(
    *, ad_account: AdAccount, wanted: Wanted, before: str, now: datetime, leave_out: Change | None
) -> Decimal | None:
    """What the change lets be spent more, as limits of people count it, major units; None where it has no measure.

    A raise of a budget: its rise. A start: the budgets that begin to run, a day of a daily one and what is left of a
    lifetime one (an ad, or an ad set under its campaign's budget, adds nothing: what is above it counts as running).
    A later end or an earlier start: the daily budget for the days gained. A bid: nothing, its budget bounds it.
    """
    if not direction(wanted.field, before, wanted.target).spends_more or wanted.field is Field.BID_AMOUNT:
        return Decimal(0)
    if wanted.field.is_budget:
        return _rise(wanted, before)
    tree = Tree(ad_account, now=now, leave_out=leave_out)
    return tree.begins(wanted) if wanted.field is Field.STATUS else tree.lengthens(wanted, before)


def uses_now(*, ad_account: AdAccount, now: datetime) -> list[tuple[Envelope, Use]]:
    """How full every envelope of the account and of its client is now, for people to read."""
    trees = {one.pk: Tree(one, now=now, leave_out=None) for one in siblings(ad_account)}
    nothing = _nothing()
    found = []
    for cap in caps_of(ad_account):
        use = _use(cap, ad_account=ad_account, trees=trees, wanted=nothing, rise=Decimal(0))
        tree = trees[ad_account.pk]
        if not (tree.known if cap.scope != Scope.CLIENT else all(one.known for one in trees.values())):
            use = replace(use, worst=None)
        found.append((cap, use))
    return found


def spend_as_of(ad_account: AdAccount) -> datetime | None:
    """How old what is known of the account's spend is; None before the first report."""
    rows = ExposureRow.objects.of(ad_account).filter(level="account")
    found: datetime | None = rows.order_by("-as_of").values_list("as_of", flat=True).first()
    return found


def caps_of(ad_account: AdAccount) -> list[Envelope]:
    """Every envelope that can hold a change of this account: its own, its objects', and its client's. One in another
    currency than the account's holds nothing, since nothing is converted: a person sets it anew."""
    client = Q(scope_key=client_key(ad_account.client_id, ad_account.currency))
    own = Q(ad_account=ad_account, currency=ad_account.currency)
    rows = Envelope.objects.of(ad_account.client_id).filter(own | client)
    return list(rows.order_by("scope_key", "period").select_related("ad_account", "set_by", "client"))


def client_key(client_id: int, currency: str) -> str:
    return f"{Scope.CLIENT}:{client_id}:{currency}"


def account_key(ad_account_id: int) -> str:
    return f"{Scope.ACCOUNT}:{ad_account_id}"


def named(scope: Scope, period: Period) -> str:
    """What the ledger calls a cap."""
    return f"{scope} limit, {period}"


def foreign_caps(ad_account: AdAccount) -> list[Envelope]:
    """The account's own envelopes in another currency than it has by now: they hold nothing (`caps_of`)."""
    rows = Envelope.objects.of(ad_account.client_id).filter(ad_account=ad_account)
    rows = rows.exclude(currency=ad_account.currency).select_related("ad_account", "set_by")
    return list(rows.order_by("scope_key", "period"))


def chosen(cap: Envelope) -> bool:
    """Whether a person has set it, one who is forgotten by now as well; else it is the careful one of the first day."""
    return cap.set_by_id is not None or cap.reason != _CAREFUL


def spent(
    cap: Envelope, *, ad_account: AdAccount, today_spend: Mapping[int, Mapping[str, Decimal]], now: datetime
) -> Decimal:
    """What was really spent in the envelope's period so far (not an hour's), major units. `today_spend`: what Meta says
    of running days, by ad account and object id, "" the whole account; what is not there, and the days before, is as
    reported."""
    of = siblings(ad_account) if cap.scope == Scope.CLIENT else [ad_account]
    total = Decimal(0)
    for one in of:
        today = today_of(one, now)
        first, _ = envelopes.window(Period(cap.period), today)
        rows = ExposureRow.objects.of(one).filter(object_id=cap.object_id, day__gte=first, day__lte=today)
        rows = rows.filter(level__in=["campaign", "adset"] if cap.object_id else ["account"])
        if one.pk in today_spend:
            rows = rows.exclude(day=today)
            total += today_spend[one.pk].get(cap.object_id, Decimal(0))
        total += rows.aggregate(total=Sum("spend"))["total"] or Decimal(0)
    return total


def running(*, ad_account: AdAccount, under: str, now: datetime) -> list[tuple[Level, str]]:
    """What to pause so that nothing under it spends any more: the object itself, or with "" every campaign of the
    account; only what may run, as far as its structure is known."""
    tree = Tree(ad_account, now=now, leave_out=None)
    if not under:
        return [(Level.CAMPAIGN, one) for one in tree.campaigns_running()]
    for owner in tree.owners():
        if owner.object_id == under and owner.running:
            return [(Level.CAMPAIGN if owner.campaign_id == under else Level.AD_SET, under)]
    return []


def lacks(ad_account: AdAccount, caps: Iterable[Envelope]) -> dict[Scope, str]:
    """Who has no cap for its day among these, by name: the account, its client in the account's currency. Without
    both nothing may spend more."""
    standing = {cap.scope for cap in caps if cap.period == Period.DAY}
    names = {Scope.ACCOUNT: _name(ad_account), Scope.CLIENT: f"the client in {ad_account.currency}"}
    return {scope: name for scope, name in names.items() if scope.value not in standing}


def siblings(ad_account: AdAccount) -> list[AdAccount]:
    """The client's accounts that share its envelope: the same currency, and switched on."""
    rows = AdAccount.objects.of(ad_account.client_id).filter(
        currency=ad_account.currency, enabled_at__isnull=False, archived_at__isnull=True
    )
    return [ad_account, *rows.exclude(pk=ad_account.pk).order_by("pk")]


def _wider(ad_account: AdAccount, trees: dict[int, Tree]) -> list[tuple[str, list[Tree]]]:
    found = [(_name(ad_account), [trees[ad_account.pk]])]
    if len(trees) > 1:
        found.append((f"the client in {ad_account.currency}", list(trees.values())))
    return found


def _name(ad_account: AdAccount) -> str:
    return f"the ad account {ad_account.name}"


def _rise(wanted: Wanted, before: str) -> Decimal:
    if wanted.field not in (Field.DAILY_BUDGET, Field.LIFETIME_BUDGET):
        return Decimal(0)
    return max(Decimal(wanted.target) - Decimal(before or 0), Decimal(0))


def _concerns(cap: Envelope, tree: Tree, wanted: Wanted) -> bool:
    if cap.scope == Scope.OBJECT:
        return cap.object_id in (wanted.object_id, *tree.above(wanted)[:1])
    if cap.scope == Scope.CAMPAIGN:
        return cap.object_id in (wanted.object_id, *tree.above(wanted))
    return True


def _use(
    cap: Envelope, *, ad_account: AdAccount, trees: dict[int, Tree], wanted: Wanted, rise: Decimal
) -> Use:
    of = list(trees.values()) if cap.scope == Scope.CLIENT else [trees[ad_account.pk]]
    period, scope = Period(cap.period), Scope(cap.scope)
    found: Decimal | None = Decimal(0)
    for tree in of:
        one = (
            tree.rises(None, under=cap.object_id)
            if period is Period.RISE
            else tree.worst(period, under=cap.object_id)
        )
        found = None if found is None or one is None else found + one
    if period is Period.RISE and found is not None:
        found += rise
    names = {Scope.ACCOUNT: _name(ad_account), Scope.CLIENT: f"the client in {cap.currency}"}
    name = names.get(scope) or trees[ad_account.pk].name_of(cap.object_id)
    return Use(
        scope=scope, period=period, name=name, cap=Decimal(cap.amount), worst=found, currency=cap.currency
    )


class Tree:
    """One account's owners of budgets, with what is on its way applied, and its spend; read when asked for."""

    def __init__(self, ad_account: AdAccount, *, now: datetime, leave_out: Change | None) -> None:
        self.account = ad_account
        self.now = now
        self.today = today_of(ad_account, now)
        rows = Change.objects.of(ad_account.client_id).filter(ad_account=ad_account)
        self._changes = rows.exclude(pk=leave_out.pk) if leave_out is not None else rows
        self._names: dict[str, str] = {}
        self._campaign_active: dict[str, bool] = {}
        self._own_active: dict[str, bool] = {}
        self._ends: dict[str, datetime | None] = {}
        self._owners: dict[str, Owner] = {}
        #: Rises that are not on record: those of changes that are only being thought about.
        self.ahead: list[tuple[str, Field, Decimal]] = []
        self._read()
        self._stands = {one: self._sum(one) for one in (Field.DAILY_BUDGET, Field.LIFETIME_BUDGET)}
        self.apply(self._reserved())

    # --- what stands there

    def _read(self) -> None:
        client_id = self.account.client_id
        campaigns = Campaign.objects.of(client_id).filter(ad_account=self.account, removed_at__isnull=True)
        ad_sets = AdSet.objects.of(client_id).filter(ad_account=self.account, removed_at__isnull=True)
        for row in campaigns.exclude(status__in=_GONE):
            self._campaign_active[row.meta_id] = row.status != "PAUSED"
            self._keep(row, row.meta_id)
        for ad_set in ad_sets.exclude(status__in=_GONE).select_related("campaign"):
            if ad_set.campaign.meta_id in self._campaign_active:
                self._keep(ad_set, ad_set.campaign.meta_id)

    def _keep(self, row: Campaign | AdSet, campaign_id: str) -> None:
        self._names[row.meta_id] = f"the {row.level.words} “{row.name or row.meta_id}”"
        # What is neither paused nor gone may spend: a word that we do not know counts as running.
        self._own_active[row.meta_id] = row.status != "PAUSED"
        self._ends[row.meta_id] = row.end_time
        self._owners[row.meta_id] = Owner(
            object_id=row.meta_id,
            campaign_id=campaign_id,
            daily=row.daily_budget,
            lifetime=row.lifetime_budget,
            running=False,
            ends_on=row.end_time.astimezone(ZoneInfo(self.account.timezone_name)).date()
            if row.end_time
            else None,
        )

    def _sum(self, field: Field) -> Decimal:
        name = "daily" if field is Field.DAILY_BUDGET else "lifetime"
        return sum((getattr(one, name) or Decimal(0) for one in self._owners.values()), Decimal(0))

    def _reserved(self) -> list[Wanted]:
        rows = self._changes.filter(state__in=RESERVES)
        rows = rows.exclude(state=ChangeState.APPROVED.value, expires_at__lte=self.now)
        return [
            Wanted(level=Level(row.level), object_id=row.object_id, field=Field(row.field), target=row.target)
            for row in rows
            if row.direction.spends_more
        ]

    def apply(self, wanted: Iterable[Wanted]) -> None:
        """Count these as if they stood there already."""
        for one in wanted:
            owner = self._owners.get(one.object_id)
            if owner is None or not one.object_id:
                continue
            if one.field is Field.STATUS:
                self._own_active[one.object_id] = True
                if one.object_id in self._campaign_active:
                    self._campaign_active[one.object_id] = True
            elif one.field is Field.END_TIME:
                end = datetime.fromisoformat(one.target)
                self._ends[one.object_id] = end
                owner = replace(owner, ends_on=end.astimezone(ZoneInfo(self.account.timezone_name)).date())
            elif one.field is Field.DAILY_BUDGET:
                owner = replace(owner, daily=max(owner.daily or Decimal(0), Decimal(one.target)))
            elif one.field is Field.LIFETIME_BUDGET:
                owner = replace(owner, lifetime=max(owner.lifetime or Decimal(0), Decimal(one.target)))
            self._owners[one.object_id] = owner

    def begins(self, wanted: Wanted) -> Decimal:
        """A day of the daily budgets that a start sets running, and what is left of the lifetime ones."""
        ran = {one.object_id for one in self.owners() if one.running}
        self.apply([wanted])
        begun = [one for one in self.owners() if one.running and one.object_id not in ran]
        spends = self._spends(Period.DAY, [one.object_id for one in begun])
        total = Decimal(0)
        for one in begun:
            spent = spends.get(one.object_id, envelopes.NO_SPEND).total
            total += one.daily or max((one.lifetime or Decimal(0)) - spent, Decimal(0))
        return total

    def lengthens(self, wanted: Wanted, before: str) -> Decimal | None:
        """The daily budget for the days that a moved end or start gains, begun days whole; None without a moment to
        count from."""
        mine = self._owners.get(wanted.object_id)
        if not before or mine is None:
            return None
        owner = mine if mine.daily or mine.lifetime else self._owners.get(mine.campaign_id, mine)
        gained = abs(datetime.fromisoformat(wanted.target) - datetime.fromisoformat(before))
        return (owner.daily or Decimal(0)) * -(-gained // timedelta(days=1))

    # --- what is known of it

    @property
    def known(self) -> bool:
        told_at = spend_as_of(self.account)
        return told_at is not None and told_at > self.now - KNOWN_FOR

    @property
    def runs(self) -> bool:
        return any(one.running and (one.daily or one.lifetime) for one in self.owners())

    def owners(self, under: str = "") -> list[Owner]:
        """Owners of budgets, those of one campaign or the one object with `under`."""
        return [
            replace(one, running=self._running(one))
            for one in self._owners.values()
            if not under or under in (one.object_id, one.campaign_id)
        ]

    def campaigns_running(self) -> list[str]:
        return [one.object_id for one in self.owners() if one.object_id == one.campaign_id and one.running]

    def _running(self, owner: Owner) -> bool:
        end = self._ends.get(owner.object_id)
        if end is not None and end <= self.now:
            return False
        return self._own_active[owner.object_id] and self._campaign_active.get(owner.campaign_id, True)

    def above(self, wanted: Wanted) -> tuple[str, ...]:
        """The ids of what the object stands under, nearest first (an ad: its ad set, its campaign)."""
        if wanted.level is Level.AD:
            ads = Ad.objects.of(self.account.client_id).filter(meta_id=wanted.object_id)
            row = ads.select_related("ad_set", "campaign").first()
            return () if row is None else (row.ad_set.meta_id, row.campaign.meta_id)
        owner = self._owners.get(wanted.object_id)
        return (owner.campaign_id,) if owner is not None and owner.campaign_id != wanted.object_id else ()

    def name_of(self, object_id: str) -> str:
        return self._names.get(object_id, object_id)

    # --- sums

    def base(self, field: Field) -> Decimal:
        """All budgets of this kind without what raises have added, or may have, in 24 hours."""
        done = self._changes.filter(self._done(), field=field.value)
        return self._stands[field] - Decimal(done.aggregate(total=Sum("rise"))["total"] or 0)

    def _done(self) -> Q:
        since = self.now - timedelta(hours=24)
        return Q(state__in=COUNTS, possibly_applied=True, state_at__gt=since)

    def rises(self, field: Field | None, *, under: str = "") -> Decimal:
        """Rises that were sent in 24 hours or may have been, and those that are approved."""
        waiting = Q(state__in=RESERVES) & ~Q(state=ChangeState.APPROVED.value, expires_at__lte=self.now)
        rows, ahead = self._changes.filter(self._done() | waiting), self.ahead
        if field is not None:
            rows, ahead = rows.filter(field=field.value), [one for one in ahead if one[1] is field]
        if under:
            ids = [one.object_id for one in self.owners(under)]
            rows, ahead = rows.filter(object_id__in=ids), [one for one in ahead if one[0] in ids]
        total = Decimal(rows.aggregate(total=Sum("rise"))["total"] or 0)
        return total + sum((rise for _, _, rise in ahead), Decimal(0))

    def worst(self, period: Period, *, under: str = "") -> Decimal | None:
        owners = self.owners(under)
        spends = self._spends(period, [one.object_id for one in owners])
        whole = None if under else self._whole(period)
        return envelopes.together(owners, spends, period, today=self.today, whole=whole)

    def _first(self, period: Period) -> date:
        """The first day whose spend matters: of this week at least, since a week's bound needs it."""
        return min(envelopes.window(period, self.today)[0], envelopes.window(Period.WEEK, self.today)[0])

    def _spends(self, period: Period, object_ids: list[str]) -> dict[str, Spend]:
        rows = ExposureRow.objects.of(self.account).filter(
            object_id__in=object_ids, level__in=["campaign", "adset"]
        )
        totals = dict(rows.values_list("object_id").annotate(total=Sum("spend")))
        days: dict[str, dict[date, Decimal]] = {}
        for object_id, day, spend in rows.filter(day__gte=self._first(period)).values_list(
            "object_id", "day", "spend"
        ):
            days.setdefault(object_id, {})[day] = spend
        return {
            object_id: Spend(days=days.get(object_id, {}), total=Decimal(total or 0))
            for object_id, total in totals.items()
        }

    def _whole(self, period: Period) -> Spend:
        rows = ExposureRow.objects.of(self.account).filter(level="account", day__gte=self._first(period))
        days = dict(rows.values_list("day", "spend"))
        return Spend(days=days, total=sum(days.values(), Decimal(0)))


def ensure_defaults(*, ad_account: AdAccount, now: datetime) -> None:
    """Give the account, and its client in that currency, a careful cap from the first complete structure read on.

    It is fixed then: budgets that grow later, by us or by anybody, do not move it; a person does. Each is a line of the
    ledger, the client's in the chain of each of its accounts. Holds no lock of a chain when it is called.
    """
    standing = Envelope.objects.of(ad_account.client_id)
    first = standing.filter(scope_key=account_key(ad_account.pk), period=Period.DAY)
    if first.exists():
        return
    with ledger.locked_client(ad_account.client_id, besides=ad_account.pk) as chains:
        if first.exists():
            return
        tree = Tree(ad_account, now=now, leave_out=None)
        for period in DEFAULT_PERIODS:
            amount = _allowed(tree, period) * DEFAULT_TIMES
            own = account_key(ad_account.pk)
            _default(ad_account, Scope.ACCOUNT, own, period, amount, now=now, chains=[ad_account.pk])
            key = client_key(ad_account.client_id, ad_account.currency)
            before = standing.filter(scope_key=key, period=period).first()
            if before is None or not chosen(before):
                _default(ad_account, Scope.CLIENT, key, period, amount, now=now, chains=chains, before=before)


def _allowed(tree: Tree, period: Period) -> Decimal:
    """What all budgets there would allow if everything ran, paused ones too: a person chose them."""
    first, last = envelopes.window(period, tree.today)
    total = Decimal(0)
    for one in tree.owners():
        if one.lifetime is not None:
            total += one.lifetime
        elif one.daily is not None:
            total += envelopes.may_spend(one.daily, first, last)
    return total


def _default(
    ad_account: AdAccount,
    scope: Scope,
    key: str,
    period: Period,
    amount: Decimal,
    *,
    now: datetime,
    chains: list[int],
    before: Envelope | None = None,
) -> None:
    """Set a careful cap, or add to the one that stands there, and say so in these chains."""
    if before is not None:
        amount += before.amount
    Envelope.everything.update_or_create(
        scope_key=key,
        period=period.value,
        defaults={
            "client_id": ad_account.client_id,
            "ad_account": ad_account if scope is Scope.ACCOUNT else None,
            "scope": scope.value,
            "currency": ad_account.currency,
            "amount": amount,
            "set_at": now,
            "reason": _CAREFUL,
        },
    )
    ledger.limit_set(
        client_id=ad_account.client_id, ad_account_ids=chains, by=ledger.SYSTEM, now=now, what=named(scope, period),
        before=canonical_amount(before.amount) if before is not None else "", after=canonical_amount(amount),
        currency=ad_account.currency, note=f"The default: {_CAREFUL}",
        object_name=ad_account.name if scope is Scope.ACCOUNT else ad_account.client.name,
    )  # fmt: skip
