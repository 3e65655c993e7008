"""Facts (what Meta reported), what was known before, what was read when, and sums that are kept at hand.

Facts hold Meta's ids without foreign keys, so rows may arrive before structure. Additive columns follow
`insights.metrics.ADDITIVE` in that order; `insights.store` writes all of this and nothing else does.
Ratios are never stored.
"""

from __future__ import annotations

from typing import Any

from django.db import models

from accounts.fields import MoneyField
from accounts.models import Client, User
from accounts.tenancy import AccountFacts, Tenant

ID = 40  # length of a Meta id


def _action() -> Any:
    # Counts of actions in micro-units too: data-driven attribution reports fractions of a conversion.
    return MoneyField(default=0)


class Measures(models.Model):
    """The additive columns: whole numbers, and micro-units for money and actions."""

    spend = MoneyField(default=0)
    impressions = models.BigIntegerField(default=0)
    clicks = models.BigIntegerField(default=0)
    link_clicks = models.BigIntegerField(default=0)
    outbound_clicks = _action()
    landing_page_views = _action()
    engagements = _action()
    video_plays = _action()
    video_views = _action()
    video_p25 = _action()
    video_p50 = _action()
    video_p75 = _action()
    video_p100 = _action()
    thruplays = _action()
    purchases = _action()
    purchase_value = MoneyField(default=0)
    leads = _action()
    lead_value = MoneyField(default=0)
    add_to_carts = _action()
    add_to_cart_value = MoneyField(default=0)
    checkouts = _action()
    checkout_value = MoneyField(default=0)
    registrations = _action()
    registration_value = MoneyField(default=0)

    class Meta:
        abstract = True


class Fact(AccountFacts, Measures):
    """What Meta says about one object: its key, its parents, its numbers, and since when we know them.

    `actions` keeps every action type with every window that was reported, under Meta's own keys:
    ``{"actions": {"lead": {"value": "3", "7d_click": "2"}}, "action_values": {...}}``.
    """

    level = models.CharField(max_length=8)  # account, campaign, adset, ad: Meta's words
    object_id = models.CharField(max_length=ID)
    campaign_id = models.CharField(max_length=ID, blank=True)
    adset_id = models.CharField(max_length=ID, blank=True)
    breakdown = models.CharField(max_length=200, blank=True)  # a cell: age=25-34|gender=female
    reach = models.BigIntegerField(null=True)
    actions = models.JSONField(default=dict)
    known_from = models.DateTimeField()

    class Meta(AccountFacts.Meta):
        abstract = True


class DayRow(Fact):
    """One object on one account day."""

    day = models.DateField()

    class Meta(AccountFacts.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["ad_account_id", "level", "object_id", "day", "breakdown"], name="day_row_once"
            )
        ]
        indexes = [
            models.Index(fields=["ad_account_id", "level", "day"], name="day_row_by_account"),
            models.Index(fields=["campaign_id", "day"], name="day_row_by_campaign"),
        ]

    def __str__(self) -> str:
        return f"{self.level} {self.object_id} on {self.day}"


class HourRow(Fact):
    """One object in one hour label (0..23) of an account day. Reach is unknown here: Meta answers 0.

    The repeated hour of a 25-hour day has one label, so it is one row.
    """

    day = models.DateField()
    hour = models.PositiveSmallIntegerField()

    class Meta(AccountFacts.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["ad_account_id", "level", "object_id", "day", "hour", "breakdown"],
                name="hour_row_once",
            )
        ]
        indexes = [models.Index(fields=["ad_account_id", "level", "day"], name="hour_row_by_account")]

    def __str__(self) -> str:
        return f"{self.level} {self.object_id} on {self.day} at {self.hour}"


class Revision(AccountFacts):
    """What a row used to say, from when until when. Never changed, never thinned for closed days.

    `values` holds the stored columns (micro-units as stored) and the ids of the parents. A row that left has its
    last values here, too.
    """

    grain = models.CharField(max_length=4)  # day, hour
    level = models.CharField(max_length=8)
    object_id = models.CharField(max_length=ID)
    day = models.DateField()
    hour = models.PositiveSmallIntegerField(default=0)
    breakdown = models.CharField(max_length=200, blank=True)
    values = models.JSONField()
    known_from = models.DateTimeField()
    known_to = models.DateTimeField()

    class Meta(AccountFacts.Meta):
        indexes = [
            models.Index(
                fields=["ad_account_id", "grain", "level", "day", "object_id"], name="revision_by_row"
            )
        ]


class Odd(models.TextChoices):
    """Why a day's numbers cannot be taken at their word, and what that says after "On 2 days"."""

    NEGATIVE = "negative", "Meta has taken money or value back, so the numbers are not what the ads earned"
    UNSEEN = "unseen", "money was spent and no ad was seen"
    FREE = "free", "ads were seen a thousand times and more, and no money was spent"
    EMPTIED = "emptied", "what was spent before is told no more, and nothing else either"
    VANISHED = "vanished", "all results that were reported before are gone"
    SILENT = "silent", "no result was reported, though by their own past these campaigns had dozens coming"


class Slice(AccountFacts):
    """One (grain, level, day) of an account: whether it was read to the end, when, and in which zone.

    `as_of` is when its numbers last moved, `whole_from` when it was first read to the end. `agrees` is False while
    its rows do not add up to the account's; `odd` says what else keeps its numbers from being taken at their word.
    """

    kind = models.CharField(max_length=6)  # day, hour
    level = models.CharField(max_length=8)
    day = models.DateField()
    breakdown = models.CharField(max_length=120, blank=True)  # age,gender
    complete = models.BooleanField(default=False)
    whole_from = models.DateTimeField(null=True)
    fetched_at = models.DateTimeField()
    as_of = models.DateTimeField()
    zone = models.CharField(max_length=64)
    rows = models.PositiveIntegerField(default=0)
    agrees = models.BooleanField(default=True)
    odd = models.CharField(max_length=12, blank=True, choices=Odd.choices)  # insights.store.oddities

    class Meta(AccountFacts.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["ad_account_id", "kind", "level", "day", "breakdown"], name="slice_once"
            )
        ]


class PeriodReach(AccountFacts):
    """De-duplicated people of one object over one period, as Meta answered it. Never a sum."""

    level = models.CharField(max_length=8)
    object_id = models.CharField(max_length=ID)
    since = models.DateField()
    until = models.DateField()
    reach = models.BigIntegerField()
    as_of = models.DateTimeField()

    class Meta(AccountFacts.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["ad_account_id", "level", "object_id", "since", "until"], name="period_reach_once"
            )
        ]


class CampaignDay(AccountFacts, Measures):
    """Rollup: the ad rows of one campaign and day, added."""

    campaign_id = models.CharField(max_length=ID)
    day = models.DateField()

    class Meta(AccountFacts.Meta):
        constraints = [
            models.UniqueConstraint(fields=["ad_account_id", "day", "campaign_id"], name="campaign_day_once")
        ]


class CampaignWeek(AccountFacts, Measures):
    """Rollup: the days of one campaign from `week`, a Monday, to its Sunday, added: a long period reads fewer rows."""

    campaign_id = models.CharField(max_length=ID)
    week = models.DateField()

    class Meta(AccountFacts.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["ad_account_id", "week", "campaign_id"], name="campaign_week_once"
            )
        ]


class AdSetMonth(AccountFacts):
    """Rollup: on which days of a month an ad set had ad rows. `month` is its first day, and bit 0 of `days`."""

    campaign_id = models.CharField(max_length=ID)
    adset_id = models.CharField(max_length=ID)
    month = models.DateField()
    days = models.BigIntegerField()

    class Meta(AccountFacts.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["ad_account_id", "month", "campaign_id", "adset_id"], name="ad_set_month_once"
            )
        ]


class AccountDay(AccountFacts, Measures):
    """Rollup: all ad rows of one day, added."""

    day = models.DateField()

    class Meta(AccountFacts.Meta):
        constraints = [models.UniqueConstraint(fields=["ad_account_id", "day"], name="account_day_once")]


class AccountHour(AccountFacts, Measures):
    """Rollup: all hour rows of one hour label, added."""

    day = models.DateField()
    hour = models.PositiveSmallIntegerField()

    class Meta(AccountFacts.Meta):
        constraints = [
            models.UniqueConstraint(fields=["ad_account_id", "day", "hour"], name="account_hour_once")
        ]


class WindowSum(AccountFacts, Measures):
    """The ad rows of one object over the last `days` full days up to `until`, added: what rules read."""

    level = models.CharField(max_length=8)
    object_id = models.CharField(max_length=ID)
    days = models.PositiveSmallIntegerField()
    until = models.DateField()
    active_days = models.PositiveSmallIntegerField(default=0)

    class Meta(AccountFacts.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["ad_account_id", "level", "days", "object_id"], name="window_sum_once"
            )
        ]


class Completeness(AccountFacts):
    """What share of a column's final sum is reported k days after a day's end, k = 0..28, as learned."""

    base = models.CharField(max_length=30)
    shares = models.JSONField()
    days = models.PositiveSmallIntegerField()
    total = MoneyField()
    learned_at = models.DateTimeField()

    class Meta(AccountFacts.Meta):
        constraints = [models.UniqueConstraint(fields=["ad_account_id", "base"], name="completeness_once")]


class CustomMetric(Tenant):
    """A client's own metric: a formula over the registry's, checked when it was saved."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=40, help_text="Without the prefix `my.` under which it is asked for.")
    label = models.CharField(max_length=120)
    expression = models.CharField(max_length=300)
    percent = models.BooleanField(
        default=False, help_text="A plain number, shown in percent (not multiplied)."
    )
    decimals = models.PositiveSmallIntegerField(default=2)
    good = models.CharField(max_length=4, blank=True)
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField()

    class Meta(Tenant.Meta):
        constraints = [models.UniqueConstraint("client", "name", name="custom_metric_once")]

    def __str__(self) -> str:
        return f"my.{self.name}"


class DataVersion(AccountFacts):
    """Counts how often this account's rows changed. A number shown anywhere names the version it came from."""

    version = models.BigIntegerField(default=0)
    changed_at = models.DateTimeField(null=True)
    windows_until = models.DateField(null=True)

    class Meta(AccountFacts.Meta):
        constraints = [models.UniqueConstraint(fields=["ad_account_id"], name="data_version_once")]


class FetchRun(AccountFacts):
    """One fetch of many days: how far it is, in words, and what it cost. Slices make it resumable.

    first, manual and more: the newest `days` days. refresh: what moved. parts: a breakdown of a level, over the days
    from `since` to `until`.
    """

    kind = models.CharField(max_length=8)  # first, refresh, manual, more, parts
    state = models.CharField(max_length=8)  # running, waiting, done, failed
    days = models.PositiveIntegerField()
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    rows = models.PositiveIntegerField(default=0)
    requests = models.PositiveIntegerField(default=0)
    sentence = models.CharField(max_length=300, blank=True)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    not_before = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    level = models.CharField(max_length=8, blank=True)
    breakdown = models.CharField(max_length=120, blank=True)  # age,gender
    since = models.DateField(null=True)
    until = models.DateField(null=True)
    longest = models.PositiveSmallIntegerField(
        null=True, help_text="Days in one question, after Meta refused more; kept for a day."
    )

    class Meta(AccountFacts.Meta):
        indexes = [models.Index(fields=["ad_account_id", "-started_at"], name="fetch_run_by_account")]
        constraints = [
            models.UniqueConstraint(
                fields=["ad_account_id", "kind"],
                condition=models.Q(kind__in=["first", "more"], state__in=["running", "waiting"]),
                name="long_fetch_once",
            ),
            models.UniqueConstraint(
                fields=["ad_account_id", "level", "breakdown", "since", "until"],
                condition=models.Q(kind="parts", state__in=["running", "waiting"]),
                name="parts_fetch_once",
            ),
        ]


class ReportRun(AccountFacts):
    """A report that Meta prepares: days that were too large to be read at once. A row that waits.

    A whole (`parent` empty) covers the days from `since` to `until`: every level (`level` empty), or one level by
    hour or breakdown. It is cut into parts, which are cut further when Meta fails; the leaves are started at Meta,
    looked at, and read together when all of them are done. `cut` says how a cut row's parts are put together.
    """

    parent = models.ForeignKey("self", on_delete=models.CASCADE, null=True, related_name="parts")
    level = models.CharField(max_length=8, blank=True)
    since = models.DateField()
    until = models.DateField()
    breakdown = models.CharField(max_length=120, blank=True)
    question = models.JSONField(default=dict)  # insights.questions.packed; a whole has none
    cut = models.CharField(max_length=8, blank=True)  # levels, days, objects, fields
    # wanted -> started -> ready -> read; cut: see its parts; failed: not to be had for now
    state = models.CharField(max_length=8)
    meta_run_id = models.CharField(max_length=ID, blank=True)
    percent = models.PositiveSmallIntegerField(default=0)
    attempts = models.PositiveSmallIntegerField(default=0)
    reason = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    not_before = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta(AccountFacts.Meta):
        indexes = [models.Index(fields=["ad_account_id", "state"], name="report_run_by_account")]
        constraints = [
            models.UniqueConstraint(
                fields=["ad_account_id", "level", "breakdown", "since", "until"],
                condition=models.Q(parent__isnull=True, state="cut"),
                name="report_run_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.level or 'all levels'} {self.since}..{self.until} {self.state}"


class Interest(AccountFacts):
    """Why somebody wants fresh numbers of this account, how much, and until when."""

    reason = models.CharField(max_length=60)
    weight = models.PositiveSmallIntegerField(default=1)
    until = models.DateTimeField()

    class Meta(AccountFacts.Meta):
        constraints = [models.UniqueConstraint(fields=["ad_account_id", "reason"], name="interest_once")]


class Sample(AccountFacts):
    """What one look saw of the account's running day: its totals so far. Thinned with age (`insights.samples`)."""

    day = models.DateField()
    at = models.DateTimeField()
    spend = MoneyField()
    impressions = models.BigIntegerField()
    clicks = models.BigIntegerField()

    class Meta(AccountFacts.Meta):
        constraints = [models.UniqueConstraint(fields=["ad_account_id", "at"], name="sample_once")]
        indexes = [models.Index(fields=["at"], name="sample_by_age")]


class PollState(AccountFacts):
    """Where the 30-second tick stands with one account: last look, when the data last moved, next look."""

    checked_at = models.DateTimeField(null=True)
    data_as_of = models.DateTimeField(null=True)
    next_check_at = models.DateTimeField()
    quiet = models.PositiveIntegerField(default=0, help_text="Looks in a row that found nothing new.")
    failures = models.PositiveIntegerField(default=0, help_text="Looks in a row that got no answer.")
    period_seconds = models.PositiveIntegerField(null=True, help_text="How often the data moves, as learned.")
    probe = models.JSONField(default=dict)
    pending = models.BooleanField(default=False, help_text="Moved, but not fetched to the end yet.")
    reason = models.CharField(max_length=300, blank=True, help_text="Why no fresh answer came, for a person.")
    stopped = models.BooleanField(default=False, help_text="A person stopped the polling of this account.")

    class Meta(AccountFacts.Meta):
        constraints = [models.UniqueConstraint(fields=["ad_account_id"], name="poll_state_once")]
        indexes = [models.Index(fields=["next_check_at"], name="poll_state_due")]
