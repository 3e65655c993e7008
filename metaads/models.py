"""What this floor remembers: how full each quota is, what Meta sent us, what Meta warned us of. No tenant's data."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class QuotaScope(models.Model):
    """One quota of Meta's: an ad account (`act_1`) or the app as a whole (`app`). Survives restarts.

    `points` counts what *we* spent, as [[ten-second slot, points], ...] of the last minutes; `percent` is what Meta's
    headers said last. `owner` is whoever the floors above name as the one that an account's calls are made for.
    """

    scope = models.CharField(max_length=60, primary_key=True)
    owner = models.CharField(max_length=60, blank=True)
    tier = models.CharField(
        max_length=30, blank=True, help_text="development_access or standard_access; empty: not told."
    )
    percent = models.FloatField(default=0.0)
    percent_at = models.DateTimeField(null=True, blank=True)
    blocked_until = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=200, blank=True)
    points = models.JSONField(default=list)
    calls = models.BigIntegerField(default=0)
    throttled = models.BigIntegerField(default=0)

    class Meta:
        verbose_name = "quota"

    def __str__(self) -> str:
        return self.scope


class Notice(models.Model):
    """Something Meta or the installation warns of, once per text while it lasts."""

    kind = models.CharField(max_length=40)
    text = models.CharField(max_length=500)
    opened_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    times = models.PositiveIntegerField(default=1)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "kind", "text", condition=Q(closed_at__isnull=True), name="notice_open_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


class WebhookDelivery(models.Model):
    """One verified POST of Meta's, raw. Meta repeats deliveries; the same bytes are kept once."""

    digest = models.CharField(max_length=64, unique=True)
    body = models.BinaryField()
    received_at = models.DateTimeField()
    processed_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=20, blank=True, help_text="announced, repeated or unreadable")
    repeats = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name_plural = "webhook deliveries"
        indexes = [
            models.Index(
                fields=["received_at"], condition=Q(processed_at__isnull=True), name="webhook_waiting"
            )
        ]

    def __str__(self) -> str:
        return f"delivery {self.pk}"


class WebhookEvent(models.Model):
    """One change inside a delivery, by the key that is equal for a repeat; a change is announced once."""

    key = models.CharField(max_length=64, unique=True)
    delivery = models.ForeignKey(WebhookDelivery, on_delete=models.CASCADE, related_name="events")
    object = models.CharField(max_length=40)
    entry_id = models.CharField(max_length=40)
    field = models.CharField(max_length=100)


class Strike(models.Model):
    """Work that has not come to an end: how often it was begun, and since when it is put aside (`metaads.strikes`)."""

    name = models.CharField(max_length=120, unique=True, help_text="What it is, and its number.")
    count = models.PositiveSmallIntegerField(default=0)
    begun_at = models.DateTimeField()
    parked_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=80, blank=True, help_text="Empty: its worker died.")

    class Meta:
        verbose_name = "strike"
        verbose_name_plural = "put aside"

    def __str__(self) -> str:
        return self.name
