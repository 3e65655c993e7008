"""People, clients (the tenants), connections to Meta, ad accounts, and the small tables every floor leans on."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower

from accounts.fields import EncryptedTextField, MoneyField
from accounts.tenancy import Tenant


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **extra: Any) -> User:
        user = self.model(email=email.strip().lower(), **extra)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **extra: Any) -> User:
        return self.create_user(email, password, is_staff=True, is_superuser=True, **extra)

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser, PermissionsMixin):
    """A person (or an integrator's service user). The e-mail is the login, lower-case and unique."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=200, blank=True)
    is_staff = models.BooleanField(default=False, help_text="May sign in to the agency's admin.")
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    # Where the person was last; read through `access`, so a choice that is not theirs any more is no choice.
    last_client = models.ForeignKey(
        "accounts.Client", on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )
    last_ad_account = models.ForeignKey(
        "accounts.AdAccount",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
    )

    objects = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [
            models.UniqueConstraint(Lower("email"), name="user_email_lower_unique"),
            models.CheckConstraint(condition=Q(email=Lower("email")), name="user_email_is_lower"),
        ]

    def __str__(self) -> str:
        return self.name or self.email

    def clean(self) -> None:
        super().clean()
        self.email = self.email.strip().lower()

    def get_full_name(self) -> str:
        return str(self)

    get_short_name = get_full_name


class Client(models.Model):
    """The agency's customer: the tenant. `result_action` names the Meta action that counts as its result
    (docs/metrics.md); empty: each ad set has the result that it is optimised for."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=200, unique=True)
    slug = models.SlugField(max_length=60, unique=True)
    result_action = models.CharField(
        max_length=100,
        blank=True,
        default="",
        help_text="Meta's action type, e.g. omni_purchase. Empty: what each ad set is optimised for.",
    )
    target_cpa = MoneyField(null=True, blank=True)
    target_roas = models.DecimalField(max_digits=9, decimal_places=4, null=True, blank=True)
    goods_cost_percent = models.DecimalField(
        max_digits=5,
        decimal_places=2,
        null=True,
        blank=True,
        help_text="Cost of goods in percent of the conversion value. Without it profit is unknown.",
    )
    fee_percent = models.DecimalField(
        max_digits=5,
        decimal_places=2,
        null=True,
        blank=True,
        help_text="The agency's fee in percent of the spend; 0 for none. Without it profit is unknown.",
    )
    wrong_calls_percent = models.DecimalField(
        max_digits=4,
        decimal_places=2,
        default=Decimal(5),
        validators=[MinValueValidator(Decimal("0.1")), MaxValueValidator(Decimal(50))],
        help_text="Of ad sets on target, how many a strategy may at most call worse, in percent; 5 unless set.",
    )
    approval_hours = models.PositiveSmallIntegerField(
        default=24, help_text="How long an approval or proposal stays good."
    )
    archived_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=(Q(goods_cost_percent__isnull=True) | Q(goods_cost_percent__range=(0, 100)))
                & (Q(fee_percent__isnull=True) | Q(fee_percent__range=(0, 100))),
                name="client_costs_are_percentages",
            )
        ]

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    OWNER = "owner", "Owner"
    MANAGER = "manager", "Manager"
    BUYER = "buyer", "Buyer"
    ANALYST = "analyst", "Analyst"
    APPROVER = "approver", "Client's approver"
    VIEWER = "viewer", "Client's viewer"
    INTEGRATOR = "integrator", "Integrator"


class Membership(models.Model):
    """A person's role at a client; an owner's has no client and means all."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    client = models.ForeignKey(
        Client, on_delete=models.CASCADE, null=True, blank=True, related_name="memberships"
    )
    role = models.CharField(max_length=12, choices=Role.choices)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("user", "client", name="membership_once"),
            models.CheckConstraint(
                condition=Q(role=Role.OWNER, client__isnull=True)
                | (~Q(role=Role.OWNER) & Q(client__isnull=False)),
                name="membership_only_owners_are_everywhere",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.get_role_display()} · {self.client or 'all clients'}"


class Invitation(Tenant):
    """An offer of a role by e-mail, good once and until a day. Only a keyed digest of the link's secret is kept."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    client = models.ForeignKey(
        Client,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        help_text="Empty: an owner's.",
    )
    email = models.EmailField()
    role = models.CharField(max_length=12, choices=Role.choices)
    digest = models.CharField(max_length=64, unique=True)
    invited_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(Tenant.Meta):
        constraints = [
            models.UniqueConstraint(
                F("client"),
                Lower("email"),
                condition=Q(accepted_at__isnull=True, withdrawn_at__isnull=True),
                name="invitation_open_once",
                nulls_distinct=None,
            ),
            models.CheckConstraint(
                condition=Q(role=Role.OWNER, client__isnull=True)
                | (~Q(role=Role.OWNER) & Q(client__isnull=False)),
                name="invitation_only_owners_are_everywhere",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.email} · {self.get_role_display()} · {self.client or 'all clients'}"


class RolePolicy(models.Model):
    """What the agency asks of everybody with a role; a role without a row is asked for nothing."""

    role = models.CharField(max_length=12, choices=Role.choices, primary_key=True)
    mfa_required = models.BooleanField(default=False)
    changed_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    changed_at = models.DateTimeField()


class ConnectionState(models.TextChoices):
    CONNECTED = "connected", "Connected"
    DEGRADED = "degraded", "Degraded"
    EXPIRING = "expiring", "Expiring"
    REAUTH_NEEDED = "reauth_needed", "Reconnect needed"
    REVOKED = "revoked", "Revoked"
    PAUSED = "paused", "Paused"
    DELETING = "deleting", "Being deleted"


#: States in which a token may be used to read, and to write for a person. Automation needs `CONNECTED`.
READABLE = (ConnectionState.CONNECTED, ConnectionState.DEGRADED, ConnectionState.EXPIRING)
WRITABLE = (ConnectionState.CONNECTED, ConnectionState.EXPIRING)


class MetaConnection(Tenant):
    """One Meta user's (or system user's) grant to one client. The token column is a Fernet token, never plain."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    meta_user_id = models.CharField(max_length=40)
    meta_user_name = models.CharField(max_length=200, blank=True)
    kind = models.CharField(max_length=12, default="USER", help_text="USER or SYSTEM_USER, as Meta names it.")
    token = EncryptedTextField(bound_to=("client_id", "meta_user_id"))
    scopes = models.JSONField(default=list)
    granular_scopes = models.JSONField(default=list)
    expires_at = models.DateTimeField(null=True, blank=True)
    data_access_expires_at = models.DateTimeField(null=True, blank=True)
    state = models.CharField(
        max_length=14, choices=ConnectionState.choices, default=ConnectionState.CONNECTED
    )
    reason = models.CharField(max_length=300, blank=True)
    auth_failures = models.PositiveSmallIntegerField(
        default=0, help_text="Consecutive; one good call resets it."
    )
    checked_at = models.DateTimeField(null=True, blank=True)
    refreshed_at = models.DateTimeField(null=True, blank=True, help_text="When its token was last exchanged.")
    held = models.BooleanField(
        default=False,
        help_text="Restored from a backup: nothing but the check until Meta has answered for it.",
    )
    connected_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    connected_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(Tenant.Meta):
        constraints = [models.UniqueConstraint("client", "meta_user_id", name="connection_once_per_client")]

    def __str__(self) -> str:
        return f"{self.meta_user_name or self.meta_user_id} at {self.client}"


class PendingGrant(Tenant):
    """A token between Meta's answer and the person's confirmation; ten minutes, one session, one person, one client."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(
        User, on_delete=models.CASCADE, null=True, related_name="+", help_text="Empty: a guest with a link."
    )
    link = models.ForeignKey("accounts.ConnectLink", on_delete=models.CASCADE, null=True, related_name="+")
    renews = models.ForeignKey(
        MetaConnection,
        on_delete=models.CASCADE,
        null=True,
        related_name="+",
        help_text="The connection that was to be renewed, whose Meta user is expected.",
    )
    session_key = models.CharField(max_length=64)
    digest = models.CharField(
        max_length=64, blank=True, help_text="Of the state and code that brought it: a reload finds it again."
    )
    meta_user_id = models.CharField(max_length=40)
    meta_user_name = models.CharField(max_length=200, blank=True)
    token = EncryptedTextField(bound_to=("client_id", "uuid"))
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)


class ConnectLink(Tenant):
    """A one-time link that starts the OAuth dance: for the person who asked the API for it, or sent to a client's own
    person, who needs no account here (`user` empty, `sent_to` the address)."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, related_name="+")
    made_by = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    sent_to = models.EmailField(blank=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)


class AdAccount(Tenant):
    """A Meta ad account of one client. `meta_id` is the number without `act_`; a second client's claim is refused."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    meta_id = models.CharField(max_length=40, unique=True)
    connection = models.ForeignKey(
        MetaConnection,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="The one writer; reads use it first.",
    )
    name = models.CharField(max_length=400)
    currency = models.CharField(max_length=3)
    timezone_name = models.CharField(max_length=64)
    account_status = models.IntegerField(default=1)
    disable_reason = models.IntegerField(default=0)
    business_name = models.CharField(max_length=400, blank=True)
    is_personal = models.BooleanField(default=False)
    spend_cap = MoneyField(null=True, blank=True)
    amount_spent = MoneyField(null=True, blank=True)
    min_daily_budget = MoneyField(null=True, blank=True)
    user_tasks = models.JSONField(default=list)
    enabled_at = models.DateTimeField(null=True, blank=True)
    archived_at = models.DateTimeField(null=True, blank=True)
    poll_seconds = models.PositiveIntegerField(
        null=True, blank=True, help_text="Empty: the installation's POLL_SECONDS."
    )
    last_contact_at = models.DateTimeField(
        null=True, blank=True, help_text="Last good answer, reported by sync and fetch."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(Tenant.Meta):
        ordering = ["name"]

    def __str__(self) -> str:
        return f"{self.name} (act_{self.meta_id})"

    @property
    def act_id(self) -> str:
        return f"act_{self.meta_id}"

    @property
    def enabled(self) -> bool:
        return self.enabled_at is not None and self.archived_at is None

    def silent_since(self, *, now: datetime) -> datetime | None:
        """When a switched-on account was last heard of, if that is SILENCE_HOURS ago; automation rests then."""
        since = self.last_contact_at or self.enabled_at
        if not self.enabled or since is None or now - since < timedelta(hours=settings.SILENCE_HOURS):
            return None
        return since


class GrantedAsset(Tenant):
    """That a connection sees an ad account, and what Meta lets its user do there. Several may see the same one:
    reads fail over between them; `AdAccount.connection` names the one that writes."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    connection = models.ForeignKey(MetaConnection, on_delete=models.CASCADE, related_name="assets")
    ad_account = models.ForeignKey(AdAccount, on_delete=models.CASCADE, related_name="assets")
    tasks = models.JSONField(default=list, help_text="Meta's user_tasks of this connection's user.")
    seen_at = models.DateTimeField()
    gone_at = models.DateTimeField(null=True, blank=True, help_text="Meta lists it for this user no more.")

    class Meta(Tenant.Meta):
        constraints = [models.UniqueConstraint("connection", "ad_account", name="granted_asset_once")]


class ApiKey(models.Model):
    """A server's key. Only a keyed hash is kept; the key itself is shown once."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=12, unique=True)
    digest = models.CharField(max_length=64)
    scopes = models.JSONField(
        default=list, blank=True, help_text="Verbs it is narrowed to; empty: all of its user's."
    )
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class Lease(models.Model):
    """A named right that one holder has until a time; `fence` grows with each new holder."""

    name = models.CharField(max_length=100, primary_key=True)
    holder = models.CharField(max_length=100)
    until = models.DateTimeField()
    fence = models.BigIntegerField(default=1)


class AuditLine(Tenant):
    """Who did what to whom, besides changes at Meta (those have the ledger). Append-only."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, null=True, related_name="+")
    at = models.DateTimeField()
    actor_id = models.BigIntegerField(null=True)
    actor_kind = models.CharField(max_length=10)
    verb = models.CharField(max_length=60)
    subject = models.CharField(max_length=120)
    detail = models.JSONField(default=dict)

    class Meta(Tenant.Meta):
        ordering = ["-at", "-id"]
        indexes = [models.Index(fields=["client", "-at"], name="audit_by_client")]


class Alert(Tenant):
    """Something that needs a person: pending -> firing -> recovered, one open row per (client, key)."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    key = models.CharField(max_length=200)
    severity = models.CharField(max_length=10, default="warning", help_text="info, warning or critical")
    title = models.CharField(max_length=300)
    advice = models.CharField(max_length=500, blank=True)
    state = models.CharField(max_length=10, default="firing")
    stage = models.CharField(
        max_length=20, blank=True, help_text="How far it has come; people are told again when it changes."
    )
    opened_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta(Tenant.Meta):
        constraints = [
            models.UniqueConstraint(
                F("client"),
                F("key"),
                condition=Q(closed_at__isnull=True),
                name="alert_open_once",
                nulls_distinct=None,
            )
        ]


class OutboxMessage(Tenant):
    """A mail that is to leave. Written in the transaction of its reason, sent by a loop that needs no broker."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    key = models.CharField(
        max_length=200, unique=True, help_text="The same thing is said once to one address."
    )
    address = models.EmailField()
    subject = models.CharField(max_length=300)
    body = EncryptedTextField(bound_to=("uuid",))  # may hold a one-time link; empty once it has left
    created_at = models.DateTimeField()
    due_at = models.DateTimeField()
    tries = models.PositiveSmallIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, blank=True)
    given_up_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=300, blank=True)

    class Meta(Tenant.Meta):
        indexes = [
            models.Index(
                fields=["due_at"],
                condition=Q(sent_at__isnull=True, given_up_at__isnull=True),
                name="outbox_waiting",
            )
        ]


class UserRequest(models.Model):
    """What a Meta user asked for at facebook.com. The number is kept only while there is something left to do."""

    class Kind(models.TextChoices):
        DEAUTHORIZE = "deauthorize", "Remove the app"
        DELETION = "deletion", "Delete the data"

    code = models.CharField(max_length=32, unique=True, help_text="Shown to the person; not to be guessed.")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    meta_user_id = models.CharField(max_length=40, blank=True)
    received_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "kind",
                "meta_user_id",
                condition=Q(done_at__isnull=True),
                name="user_request_open_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.code}"


class UserRequestPart(models.Model):
    """One floor's share of a deletion."""

    request = models.ForeignKey(UserRequest, on_delete=models.CASCADE, related_name="parts")
    part = models.CharField(max_length=40)
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint("request", "part", name="user_request_part_once")]


class SignedRequest(models.Model):
    """A signed request that was taken, by a keyed digest, so that a repeat starts nothing."""

    digest = models.CharField(max_length=64, unique=True)
    request = models.ForeignKey(UserRequest, on_delete=models.CASCADE, related_name="+")
    received_at = models.DateTimeField()


class IdempotencyRecord(models.Model):
    """What an `Idempotency-Key` was answered, per person and route, so that a repeat moves nothing."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    route = models.CharField(max_length=200)
    key = models.CharField(max_length=200)
    request_hash = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(
        null=True, help_text="Empty: the first request is still at work."
    )
    body = models.TextField(blank=True, help_text="The answer's bytes: JSON with its exact numbers.")
    headers = models.JSONField(default=dict)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint("user", "route", "key", name="idempotency_once")]
