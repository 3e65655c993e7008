"""The tree of objects as Meta last showed it, and everything about changing it.

Objects are keyed by `meta_id` (text), ours by `uuid` outside. A removed object keeps its row (`removed_at`).
`Change`, `Attempt`, `Observation` and `LedgerLine` are protected by triggers as well (migration 0002): what a
change
is for never changes, and what happened is only ever added to.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.db.models import Q

from accounts.fields import MoneyField
from accounts.models import AdAccount, Client, User
from accounts.tenancy import AccountFacts, Tenant
from campaigns.states import IN_FLIGHT, ChangeState, Direction, Field, Level, Source, direction


def _words(members: Any) -> list[str]:
    """Plain texts, so that a migration does not depend on the enum."""
    return sorted(member.value for member in members)


def _choices(members: Any) -> list[tuple[str, str]]:
    return [(member.value, member.value) for member in members]


class AdObject(Tenant):
    """What campaigns, ad sets, ads and creatives share. `known` is false while a status is a word that we do
    not know."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    ad_account = models.ForeignKey(AdAccount, on_delete=models.CASCADE, related_name="+")
    meta_id = models.CharField(max_length=40, unique=True)
    name = models.CharField(max_length=400, blank=True)
    status = models.CharField(max_length=40, blank=True, help_text="What somebody set.")
    known = models.BooleanField(default=True)
    seen_at = models.DateTimeField(help_text="Last complete structure read that held it.")
    removed_at = models.DateTimeField(null=True, blank=True)

    class Meta(Tenant.Meta):
        abstract = True

    def __str__(self) -> str:
        return self.name or self.meta_id


class Delivering(AdObject):
    """An object that delivers: campaign, ad set, ad."""

    level: Level

    effective_status = models.CharField(max_length=40, blank=True, help_text="What really happens.")
    created_time = models.DateTimeField(null=True, blank=True)
    updated_time = models.DateTimeField(
        null=True, blank=True, help_text="Meta does not move it for budget edits."
    )

    class Meta(Tenant.Meta):
        abstract = True


class Budgeted(Delivering):
    """An object that may own a budget. Budgets are in major units; both empty: the other level owns it, or
    unknown."""

    daily_budget = MoneyField(null=True, blank=True)
    lifetime_budget = MoneyField(null=True, blank=True)
    bid_strategy = models.CharField(max_length=60, blank=True)
    start_time = models.DateTimeField(null=True, blank=True)
    end_time = models.DateTimeField(null=True, blank=True)

    class Meta(Tenant.Meta):
        abstract = True


class Campaign(Budgeted):
    level = Level.CAMPAIGN

    objective = models.CharField(max_length=60, blank=True)
    buying_type = models.CharField(max_length=40, blank=True)
    bid_amount = None
    learning_stage = ""

    class Meta(Tenant.Meta):
        indexes = [models.Index(fields=["ad_account", "removed_at"], name="campaign_by_account")]


class AdSet(Budgeted):
    level = Level.AD_SET

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="+")
    optimization_goal = models.CharField(max_length=60, blank=True)
    conversion_event = models.CharField(
        max_length=60, blank=True, help_text="Of its pixel: PURCHASE, LEAD ..."
    )
    billing_event = models.CharField(max_length=60, blank=True)
    bid_amount = MoneyField(null=True, blank=True)
    learning_stage = models.CharField(
        max_length=40, blank=True, help_text="LEARNING, SUCCESS, FAIL, or empty."
    )

    class Meta(Tenant.Meta):
        indexes = [models.Index(fields=["ad_account", "removed_at"], name="adset_by_account")]


class Creative(AdObject):
    title = models.CharField(max_length=400, blank=True)
    body = models.TextField(blank=True)
    object_type = models.CharField(max_length=60, blank=True)
    call_to_action = models.CharField(max_length=60, blank=True)
    thumbnail_url = models.TextField(blank=True)
    image_url = models.TextField(blank=True)


class Ad(Delivering):
    level = Level.AD

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="+")
    ad_set = models.ForeignKey(AdSet, on_delete=models.CASCADE, related_name="+")
    creative = models.ForeignKey(Creative, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    daily_budget = None
    lifetime_budget = None
    learning_stage = ""

    class Meta(Tenant.Meta):
        indexes = [models.Index(fields=["ad_account", "removed_at"], name="ad_by_account")]


class SyncState(models.TextChoices):
    COMPLETE = "complete", "Complete"
    PARTIAL = "partial", "Partial"
    FAILED = "failed", "Failed"


class SyncRun(Tenant):
    """One structure read. Only a complete one may turn missing objects into tombstones."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    ad_account = models.ForeignKey(AdAccount, on_delete=models.CASCADE, related_name="+")
    state = models.CharField(max_length=10, choices=SyncState.choices)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()
    activities_until = models.DateTimeField(null=True, help_text="Activities are recorded up to here.")
    seen = models.PositiveIntegerField(default=0)
    created = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    removed = models.PositiveIntegerField(default=0)
    edits = models.PositiveIntegerField(default=0, help_text="Edits made outside that were found.")
    error_text = models.CharField(max_length=500, blank=True)
    advice = models.CharField(max_length=500, blank=True)

    class Meta(Tenant.Meta):
        indexes = [models.Index(fields=["ad_account", "-started_at"], name="syncrun_by_account")]


class Change(Tenant):
    """One intended write of one field of one object: absolute `before` and `target`, in canonical text.

    `state` is assigned by `campaigns.changes.ledger.transition` only. `target`, `before`, `key` and what they
    are
    about never change (trigger). While `lease_until` is in the future, one worker has it; `fence` tells its
    late work.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="+")
    ad_account = models.ForeignKey(AdAccount, on_delete=models.PROTECT, related_name="+")
    level = models.CharField(max_length=10, choices=_choices(Level))
    object_id = models.CharField(max_length=40)
    object_name = models.CharField(max_length=400, blank=True)
    field = models.CharField(max_length=20, choices=_choices(Field))
    before = models.CharField(max_length=400)
    target = models.CharField(max_length=400)
    currency = models.CharField(max_length=3)
    rise = MoneyField(
        default=0, help_text="target - before when it is more, else 0; what rolling limits sum."
    )
    adds = MoneyField(
        null=True,
        blank=True,
        help_text="What it lets be spent more, as limits of people count it; written at its approval.",
    )
    key = models.CharField(max_length=200, unique=True)
    digest = models.CharField(max_length=64)
    reason = models.CharField(max_length=1000, blank=True)
    source = models.CharField(max_length=10, choices=_choices(Source))
    strategy_ref = models.CharField(max_length=100, null=True, blank=True)
    requested_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    acknowledged = models.BooleanField(default=False, help_text="The person saw that it is a large step.")
    undo_of = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    batch = models.UUIDField(null=True, blank=True)
    evidence_version = models.BigIntegerField(null=True, blank=True)
    evidence_as_of = models.DateTimeField(null=True, blank=True)
    evidence_checksum = models.CharField(max_length=64, blank=True)
    evidence_valid_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()

    state = models.CharField(max_length=12, choices=_choices(ChangeState), default=ChangeState.PROPOSED.value)
    state_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    approved_at = models.DateTimeField(null=True, blank=True)
    approved_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    approval_policy = models.CharField(max_length=40, blank=True)
    not_before = models.DateTimeField(null=True, blank=True)
    lease_owner = models.CharField(max_length=100, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    fence = models.BigIntegerField(default=0)
    attempts = models.PositiveSmallIntegerField(default=0)
    settle_after = models.DateTimeField(
        null=True, blank=True, help_text="Until then the last request may still land."
    )
    possibly_applied = models.BooleanField(default=False)
    applied_at = models.DateTimeField(null=True, blank=True)
    error_text = models.CharField(max_length=500, blank=True)
    advice = models.CharField(max_length=500, blank=True)

    class Meta(Tenant.Meta):
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["object_id", "field"],
                condition=Q(state__in=_words(IN_FLIGHT)),
                name="change_one_open_per_field",
            ),
            models.CheckConstraint(condition=Q(state__in=_words(ChangeState)), name="change_state_is_known"),
            models.CheckConstraint(condition=Q(field__in=_words(Field)), name="change_field_is_known"),
            models.CheckConstraint(condition=~Q(target=""), name="change_has_a_target"),
            models.CheckConstraint(
                condition=~Q(field=Field.STATUS.value) | Q(target__in=["ACTIVE", "PAUSED"]),
                name="change_status_is_a_status",
            ),
            models.CheckConstraint(condition=Q(rise__gte=0), name="change_rise_is_not_negative"),
        ]
        indexes = [
            models.Index(fields=["state", "not_before"], name="change_due"),
            models.Index(fields=["object_id", "field", "-created_at"], name="change_by_object"),
            models.Index(fields=["client", "-created_at"], name="change_by_client"),
        ]

    def __str__(self) -> str:
        return f"{self.object_name or self.object_id}: {self.field} {self.before} -> {self.target}"

    @property
    def direction(self) -> Direction:
        return direction(Field(self.field), self.before, self.target)


class Attempt(Tenant):
    """One request for a change, committed before it is sent. Its outcome is filled in once, all else never
    changes."""

    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="+")
    change = models.ForeignKey(Change, on_delete=models.PROTECT, related_name="+")
    n = models.PositiveSmallIntegerField()
    object_id = models.CharField(max_length=40)
    field = models.CharField(max_length=20)
    value = models.CharField(max_length=400, help_text="As on the wire: a text, or whole minor units.")
    fence = models.BigIntegerField()
    build_id = models.CharField(max_length=60)
    committed_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(
        max_length=20, blank=True, help_text="Empty: no answer was recorded (a crash)."
    )
    http_status = models.PositiveSmallIntegerField(null=True, blank=True)
    code = models.IntegerField(null=True, blank=True)
    subcode = models.IntegerField(null=True, blank=True)
    fbtrace_id = models.CharField(max_length=60, blank=True)
    message = models.CharField(max_length=500, blank=True)

    class Meta(Tenant.Meta):
        ordering = ["change_id", "n"]
        constraints = [models.UniqueConstraint("change", "n", name="attempt_numbered_once")]


class Observation(Tenant):
    """One read of a change's field at Meta. Two that agree, at least 3 s apart, are what decides.
    Append-only."""

    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="+")
    change = models.ForeignKey(Change, on_delete=models.PROTECT, related_name="+")
    attempt = models.PositiveSmallIntegerField(help_text="How many attempts there were when it was read.")
    phase = models.CharField(max_length=8, help_text="prepare, verify or log")
    at = models.DateTimeField()
    value = models.CharField(max_length=400, blank=True)
    error_text = models.CharField(max_length=300, blank=True, help_text="Why nothing could be read.")

    class Meta(Tenant.Meta):
        ordering = ["id"]


class LedgerHead(Tenant):
    """Where an ad account's chain ends. Its row is the lock under which changes of that account move."""

    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="+")
    ad_account = models.OneToOneField(AdAccount, on_delete=models.PROTECT, related_name="+")
    seq = models.BigIntegerField(default=0)
    hash = models.CharField(max_length=64, default="")


class LedgerLine(Tenant):
    """What happened to an object, and who did it. Append-only; each line's hash covers its text and the hash
    before it."""

    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="+")
    ad_account = models.ForeignKey(AdAccount, on_delete=models.PROTECT, related_name="+")
    seq = models.BigIntegerField()
    at = models.DateTimeField()
    kind = models.CharField(max_length=12, help_text="change, edit, hold, switch, limit or note")
    change = models.ForeignKey(Change, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    state = models.CharField(max_length=12, blank=True)
    level = models.CharField(max_length=10, blank=True)
    object_id = models.CharField(max_length=40, blank=True)
    object_name = models.CharField(max_length=400, blank=True)
    field = models.CharField(max_length=40, blank=True)
    before = models.CharField(max_length=200, blank=True)
    after = models.CharField(max_length=200, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    by = models.CharField(
        max_length=10,
        help_text="person, key, system (us); outside, meta, other_app, unknown, us_outside, us_late",
    )
    actor_id = models.CharField(
        max_length=40, blank=True, help_text="Our user's number, or Meta's id of who did it."
    )
    actor_salt = models.CharField(
        max_length=32,
        blank=True,
        help_text="What hides the actor in the text; erased together with the actor.",
    )
    application_id = models.CharField(max_length=40, blank=True)
    note = models.CharField(max_length=1000, blank=True)
    build_id = models.CharField(max_length=60)
    text = models.TextField(help_text="Canonical JSON of the above, the actor sealed: what the hash covers.")
    previous_hash = models.CharField(max_length=64, blank=True)
    hash = models.CharField(max_length=64)
    activity_key = models.CharField(
        max_length=64, null=True, blank=True, help_text="Tells a Meta activity seen before."
    )

    class Meta(Tenant.Meta):
        ordering = ["-at", "-id"]
        constraints = [
            models.UniqueConstraint("ad_account", "seq", name="ledger_gap_free"),
            models.UniqueConstraint("ad_account", "activity_key", name="ledger_activity_once"),
        ]
        indexes = [
            models.Index(fields=["client", "-at"], name="ledger_by_client"),
            models.Index(fields=["change", "seq"], name="ledger_by_change"),
            models.Index(fields=["object_id", "-at"], name="ledger_by_object"),
        ]


class Switch(Tenant):
    """A pulled kill switch: while it is not released, nothing in its scope is sent. No client: everywhere."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    scope = models.CharField(max_length=10, help_text="global, client, account or strategy")
    scope_key = models.CharField(max_length=120, help_text="global, client:1, account:1 or strategy:...")
    client = models.ForeignKey(Client, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    ad_account = models.ForeignKey(
        AdAccount, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    strategy_ref = models.CharField(max_length=100, blank=True)
    reason = models.CharField(max_length=500)
    pulled_at = models.DateTimeField()
    pulled_by_id = models.BigIntegerField(null=True)
    released_at = models.DateTimeField(null=True, blank=True)
    released_by_id = models.BigIntegerField(null=True)
    release_reason = models.CharField(max_length=500, blank=True)

    class Meta(Tenant.Meta):
        verbose_name_plural = "switches"
        constraints = [
            models.UniqueConstraint(
                fields=["scope_key"], condition=Q(released_at__isnull=True), name="switch_pulled_once"
            )
        ]


class Hold(Tenant):
    """An object that we leave alone because somebody else changed it: until a time, or until a person resumes
    it."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    ad_account = models.ForeignKey(AdAccount, on_delete=models.CASCADE, related_name="+")
    level = models.CharField(max_length=10)
    object_id = models.CharField(max_length=40)
    field = models.CharField(max_length=20)
    ours = models.CharField(max_length=400, help_text="The value that we knew or wanted.")
    theirs = models.CharField(max_length=400, help_text="The value that stands now.")
    reason = models.CharField(max_length=500)
    change = models.ForeignKey(Change, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    held_at = models.DateTimeField()
    until = models.DateTimeField()
    resumed_at = models.DateTimeField(null=True, blank=True)
    resumed_by_id = models.BigIntegerField(null=True)

    class Meta(Tenant.Meta):
        indexes = [models.Index(fields=["object_id", "until"], name="hold_by_object")]


class Envelope(Tenant):
    """A spend cap: of an object, a campaign, an ad account, or of all of a client's accounts in one currency.

    `set_by` empty: the careful one that the first complete structure read sets. What it was before is in the audit.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    ad_account = models.ForeignKey(
        AdAccount, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    scope = models.CharField(max_length=10, help_text="object, campaign, account or client")
    scope_key = models.CharField(max_length=60, help_text="object:1, campaign:1, account:1 or client:1:USD")
    object_id = models.CharField(max_length=40, blank=True)
    period = models.CharField(max_length=10, help_text="hour, day, week, month, flight or rise")
    currency = models.CharField(max_length=3)
    amount = MoneyField()
    set_at = models.DateTimeField()
    set_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    reason = models.CharField(max_length=500, blank=True)

    class Meta(Tenant.Meta):
        ordering = ["scope_key", "period"]
        constraints = [
            models.UniqueConstraint("scope_key", "period", name="envelope_once"),
            models.CheckConstraint(condition=Q(amount__gte=0), name="envelope_is_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.scope_key} {self.period}: {self.amount} {self.currency}"


class ApprovalPolicy(Tenant):
    """A client's rules of approving. Without a row the careful values hold (`changes.standing.CAREFUL`)."""

    client = models.OneToOneField(Client, on_delete=models.CASCADE, related_name="+")
    four_eyes_percent = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="A larger raise needs somebody else than who asked. Empty: never."
    )
    batch_objects = models.PositiveSmallIntegerField(
        help_text="A batch of more objects passes nothing at once, pauses included."
    )
    set_at = models.DateTimeField(null=True)
    set_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")


class FourEyesAmount(Tenant):
    """What one person may both ask for and approve within 24 hours, in one currency. No row: no such limit."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    currency = models.CharField(max_length=3)
    amount = MoneyField()
    set_at = models.DateTimeField()
    set_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")

    class Meta(Tenant.Meta):
        constraints = [
            models.UniqueConstraint("client", "currency", name="four_eyes_amount_once"),
            models.CheckConstraint(condition=Q(amount__gte=0), name="four_eyes_amount_not_negative"),
        ]


class Authority(Tenant):
    """What a person or a role may approve in 24 hours: a percentage of an object, or an amount of one currency."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    who = models.CharField(max_length=40, help_text="user:1 or role:buyer")
    user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    role = models.CharField(max_length=12, blank=True)
    currency = models.CharField(max_length=3, blank=True, help_text="Of the amount; empty for a percentage.")
    percent = models.PositiveSmallIntegerField(null=True, blank=True)
    amount = MoneyField(null=True, blank=True)
    set_at = models.DateTimeField()
    set_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")

    class Meta(Tenant.Meta):
        verbose_name_plural = "authorities"
        constraints = [models.UniqueConstraint("client", "who", "currency", name="authority_once")]


class ClientLock(Tenant):
    """The row under which a client's headroom is reserved: raises and starts of all its accounts take it in turn."""

    client = models.OneToOneField(Client, on_delete=models.CASCADE, related_name="+")


class ExposureRow(AccountFacts):
    """Spend so far of one object on one account day, reported down by the insights floor with its age and
    trust. Level "account", no object: the whole account on a day that was read in full."""

    level = models.CharField(max_length=10)
    object_id = models.CharField(max_length=40)
    day = models.DateField()
    spend = MoneyField()
    as_of = models.DateTimeField()
    trust = models.CharField(max_length=12)
    reported_at = models.DateTimeField()

    class Meta(AccountFacts.Meta):
        constraints = [
            models.UniqueConstraint(
                "ad_account_id", "level", "object_id", "day", name="exposure_once_per_day"
            )
        ]
