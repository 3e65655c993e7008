"""Strategies with their versions, the record of every judgement, and what was offered to people.

Thresholds lie in JSON as plain text ("0.80"), so that no database makes them floats.
"""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from accounts.models import AdAccount, Client, User
from accounts.tenancy import Tenant
from campaigns.models import Change
from strategies.engine.types import Action, Intent


class StrategyType(models.TextChoices):
    BUDGET = "budget_optimization", "Budget optimisation"
    PERFORMANCE = "performance_optimization", "Performance optimisation"
    AUDIENCE = "audience_expansion", "Audience expansion"
    CUSTOM = "custom", "Own rules"


class StrategyStatus(models.TextChoices):
    ACTIVE = "active", "Active"
    PAUSED = "paused", "Paused"
    COMPLETED = "completed", "Completed"


class Stage(models.TextChoices):
    """How far a strategy may go by itself (see `ladder`)."""

    SHADOW = "shadow", "It decides and proposes nothing"
    APPROVAL = "approval", "A person approves each change"


class Strategy(Tenant):
    """A strategy of one ad account: the brief's `AccountStrategy` (type, rules, actions), or with the type `custom` a
    `document` of the rule language. An edit of what it would decide raises `version`."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    ad_account = models.ForeignKey(AdAccount, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=200)
    type = models.CharField(max_length=30, choices=StrategyType.choices)
    status = models.CharField(max_length=10, choices=StrategyStatus.choices, default=StrategyStatus.ACTIVE)
    rules = models.JSONField(default=dict, help_text="minCtr, maxCpc, targetCpm, budgetThreshold as text.")
    actions = models.JSONField(default=dict)
    document = models.JSONField(
        null=True, blank=True, help_text="Of own rules; the brief's types are made one when evaluated."
    )
    stage = models.CharField(max_length=10, choices=Stage.choices, default=Stage.APPROVAL)
    stage_since = models.DateTimeField(null=True, blank=True, help_text="Empty: since it was created.")
    version = models.PositiveIntegerField(default=1)
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    last_evaluated_at = models.DateTimeField(null=True, blank=True)
    last_data_version = models.BigIntegerField(null=True, blank=True)
    last_outcome = models.CharField(max_length=300, blank=True, help_text="What the last evaluation came to.")

    class Meta(Tenant.Meta):
        ordering = ["name", "id"]
        verbose_name_plural = "strategies"
        constraints = [
            models.UniqueConstraint("ad_account", "name", name="strategy_name_once_per_account"),
        ]
        indexes = [models.Index(fields=["status", "last_evaluated_at"], name="strategy_due")]

    def __str__(self) -> str:
        return self.name


class StrategyVersion(Tenant):
    """What a strategy said at one version; the present one is here too. Written once.

    `document` is what is evaluated, also of the brief's types: stored decisions are judged again by it.
    """

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    strategy = models.ForeignKey(Strategy, on_delete=models.CASCADE, related_name="+")
    version = models.PositiveIntegerField()
    type = models.CharField(max_length=30)
    rules = models.JSONField()
    actions = models.JSONField()
    document = models.JSONField()
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField()

    class Meta(Tenant.Meta):
        ordering = ["strategy_id", "-version"]
        constraints = [models.UniqueConstraint("strategy", "version", name="strategy_version_once")]

    def __str__(self) -> str:
        return f"{self.strategy_id} v{self.version}"


class Decision(Tenant):
    """What a strategy said about one object, and why; its first blocking reason, and the tree with every figure.

    A non-event is compact: while the same answer repeats, one row counts (`times`, `last_at`) and keeps the last
    full tree. An event (`fired`, `held`) has a row of its own whenever its figures differ.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    ad_account = models.ForeignKey(AdAccount, on_delete=models.CASCADE, related_name="+")
    strategy = models.ForeignKey(Strategy, on_delete=models.CASCADE, related_name="+")
    strategy_version = models.PositiveIntegerField()
    level = models.CharField(max_length=10)
    object_id = models.CharField(max_length=40)
    object_name = models.CharField(max_length=400, blank=True)
    verdict = models.CharField(max_length=10)
    reason_code = models.CharField(max_length=40)
    reason = models.CharField(max_length=600)
    since = models.DateField()
    until = models.DateField()
    data_version = models.BigIntegerField()
    as_of = models.DateTimeField(null=True, blank=True)
    trust = models.CharField(max_length=12)
    record = models.JSONField(help_text="The object as it was seen, and every case's tree with its values.")
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    times = models.PositiveIntegerField(default=1)
    current = models.BooleanField(default=True, help_text="The latest of this strategy about this object.")

    class Meta(Tenant.Meta):
        ordering = ["-last_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["strategy", "object_id"], condition=Q(current=True), name="decision_one_current"
            )
        ]
        indexes = [
            models.Index(fields=["strategy", "object_id", "-last_at"], name="decision_by_strategy"),
            models.Index(fields=["ad_account", "object_id", "-last_at"], name="decision_by_object"),
            models.Index(fields=["client", "-last_at"], name="decision_by_client"),
        ]

    def __str__(self) -> str:
        return f"{self.object_name or self.object_id}: {self.verdict}"


class ProposalState(models.TextChoices):
    OPEN = "open", "Waiting for a person"
    APPROVED = "approved", "Approved, on its way"
    REJECTED = "rejected", "Rejected"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    EXPIRED = "expired", "Expired"
    SUPERSEDED = "superseded", "No longer holds"


class Proposal(Tenant):
    """A decision offered: one field of one object, with its reason. Advice has no change.

    `digest` is what a person approves; it covers object, field, target and the change's own digest.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    ad_account = models.ForeignKey(AdAccount, on_delete=models.CASCADE, related_name="+")
    strategy = models.ForeignKey(Strategy, on_delete=models.CASCADE, related_name="+")
    strategy_version = models.PositiveIntegerField()
    decision = models.ForeignKey(Decision, on_delete=models.SET_NULL, null=True, related_name="+")
    change = models.ForeignKey(Change, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    level = models.CharField(max_length=10)
    object_id = models.CharField(max_length=40)
    object_name = models.CharField(max_length=400, blank=True)
    field = models.CharField(max_length=20)
    action = models.CharField(max_length=20)
    before = models.CharField(max_length=400, blank=True)
    target = models.CharField(max_length=400, blank=True)
    currency = models.CharField(max_length=3)
    sentence = models.CharField(max_length=1000)
    effect = models.CharField(max_length=300, blank=True, help_text="What to expect of it.")
    evidence = models.JSONField(default=dict)
    digest = models.CharField(max_length=64)
    state = models.CharField(max_length=10, choices=ProposalState.choices, default=ProposalState.OPEN)
    reason = models.CharField(max_length=500, blank=True, help_text="Why it was closed.")
    data_version = models.BigIntegerField()
    window_key = models.CharField(max_length=40)
    created_at = models.DateTimeField()
    refreshed_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")

    class Meta(Tenant.Meta):
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["strategy", "object_id", "field"],
                condition=Q(state="open"),
                name="proposal_one_open_per_field",
            ),
            models.UniqueConstraint(
                fields=["strategy", "strategy_version", "object_id", "field", "window_key"],
                name="proposal_once_per_window",
            ),
        ]
        indexes = [
            models.Index(fields=["client", "state", "-created_at"], name="proposal_by_client"),
            models.Index(fields=["ad_account", "state"], name="proposal_by_account"),
        ]

    def __str__(self) -> str:
        return f"{self.object_name or self.object_id}: {self.action}"

    @property
    def intent(self) -> Intent:
        """What it asks for, as the engine says it."""
        return Intent(
            action=Action(self.action),
            level=self.level,
            object_id=self.object_id,
            object_name=self.object_name,
            field=self.field,
            before=self.before or None,
            target=self.target or None,
            case="",
        )


class Draft(Tenant):
    """A strategy worth a look, generated from the account's own figures; saved as a strategy by a person."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    ad_account = models.ForeignKey(AdAccount, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=200)
    type = models.CharField(max_length=30, choices=StrategyType.choices)
    rules = models.JSONField()
    actions = models.JSONField()
    document = models.JSONField(null=True, blank=True, help_text="Of own rules, as for a strategy.")
    evidence = models.JSONField(default=list, help_text="What each threshold rests on, in sentences.")
    data_version = models.BigIntegerField()
    created_at = models.DateTimeField()
    current = models.BooleanField(default=True, help_text="Of the latest generation.")
    strategy = models.ForeignKey(Strategy, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")

    class Meta(Tenant.Meta):
        ordering = ["-created_at", "id"]
        indexes = [models.Index(fields=["ad_account", "current"], name="draft_current")]

    def __str__(self) -> str:
        return self.name


class BacktestState(models.TextChoices):
    QUEUED = "queued", "Waiting"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"


class Backtest(Tenant):
    """A strategy over the past of its ad account, as one version said it (`document`), instant by instant.

    A run that is cut off begins again from its first instant: nothing but the row's own end depends on it.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    ad_account = models.ForeignKey(AdAccount, on_delete=models.CASCADE, related_name="+")
    strategy = models.ForeignKey(Strategy, on_delete=models.CASCADE, related_name="+")
    strategy_version = models.PositiveIntegerField()
    document = models.JSONField()
    since = models.DateField(help_text="Account days.")
    until = models.DateField()
    hour = models.PositiveSmallIntegerField(help_text="Of the account's clock.")
    every_hours = models.PositiveSmallIntegerField()
    hindsight = models.BooleanField(
        default=False, help_text="Also days that were first read later, as they read then."
    )
    state = models.CharField(max_length=10, choices=BacktestState.choices, default=BacktestState.QUEUED)
    done = models.PositiveIntegerField(default=0, help_text="Instants that are judged.")
    total = models.PositiveIntegerField()
    data_version = models.BigIntegerField(null=True, blank=True, help_text="Of the figures when it ran.")
    result = models.JSONField(null=True, blank=True)
    error = models.CharField(max_length=300, blank=True)
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta(Tenant.Meta):
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["strategy"],
                condition=Q(state__in=["queued", "running"]),
                name="backtest_one_at_a_time",
            )
        ]
        indexes = [models.Index(fields=["state", "created_at"], name="backtest_waiting")]

    def __str__(self) -> str:
        return f"{self.strategy_id}: {self.since} to {self.until}"
