"""What this floor's API takes and answers, field by field."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

import campaigns.changes.ledger as ledger
import campaigns.changes.standing as standing
from accounts.tenancy import Principal
from campaigns.changes.batches import Wish
from campaigns.changes.standing import Standing
from campaigns.diff import written
from campaigns.models import Change, Switch
from campaigns.states import ChangeState, Field, canonical_amount
from metaads.clock import now

_VALUE = {"oneOf": [{"type": "number"}, {"type": "string"}], "nullable": True}


class Amount(serializers.DecimalField):
    """Money as a JSON number. A text is refused: `"1,500"` and `"1.500"` mean different things to different people."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_digits=18, decimal_places=6, **kwargs)

    def to_internal_value(self, data: Any) -> Decimal:
        if not isinstance(data, int | Decimal) or isinstance(data, bool):
            raise serializers.ValidationError("A JSON number is needed, such as 12.5.", code="invalid")
        return super().to_internal_value(data)


def _choice(*words: str, required: bool = True) -> serializers.ChoiceField:
    """One of `words`; the refusal lists them."""
    says = f"{{input}} is not possible here. One of: {', '.join(words)}."
    return serializers.ChoiceField(choices=words, required=required, error_messages={"invalid_choice": says})


class StatusBody(serializers.Serializer[Any]):
    status = _choice("ACTIVE", "PAUSED")
    reason = serializers.CharField(required=False, allow_blank=True, max_length=1000)


class BudgetBody(serializers.Serializer[Any]):
    """Exactly one of the two budgets, in major units of the account's currency."""

    daily_budget = Amount(required=False)
    lifetime_budget = Amount(required=False)
    reason = serializers.CharField(required=False, allow_blank=True, max_length=1000)
    confirm_large_step = serializers.BooleanField(
        required=False, default=False, help_text="Needed for a raise of more than 50 %."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("daily_budget" in attrs) == ("lifetime_budget" in attrs):
            raise serializers.ValidationError(
                "Send either daily_budget or lifetime_budget, a number in major units."
            )
        return attrs

    @staticmethod
    def wanted(data: dict[str, Any]) -> tuple[Field, Decimal]:
        field = Field.DAILY_BUDGET if "daily_budget" in data else Field.LIFETIME_BUDGET
        return field, data[field.value]


class DigestBody(serializers.Serializer[Any]):
    digest = serializers.CharField(max_length=64, help_text="Of the change as you read it.")


class ReasonBody(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=500)


class ResolveBody(ReasonBody):
    outcome = _choice("APPLIED", "FAILED", "SUPERSEDED")


class StopBody(serializers.Serializer[Any]):
    """What to stop: everything (owners), a client, an ad account, or a strategy of a client."""

    scope = _choice("everything", "client", "ad_account", "strategy")
    client = serializers.CharField(required=False, help_text="Slug or UUID; for client and strategy.")
    account_id = serializers.CharField(required=False, help_text="act_1 or 1; for ad_account.")
    strategy_id = serializers.CharField(required=False, max_length=100)
    reason = serializers.CharField(max_length=500)


class ApprovalRulesBody(serializers.Serializer[Any]):
    """A client's rules of approving."""

    four_eyes_percent = serializers.IntegerField(
        min_value=0, max_value=1000, allow_null=True,
        help_text="A raise of more than this within 24 hours needs somebody else than who asked. null: never.",
    )  # fmt: skip
    batch_objects = serializers.IntegerField(
        min_value=1, max_value=500, help_text="A batch of more objects passes nothing at once."
    )
    approval_hours = serializers.IntegerField(
        min_value=1, max_value=168, help_text="How long a change waits for its approval."
    )


class ApprovalRulesSet(ApprovalRulesBody):
    """The same, and with a `currency` what one person may both ask for and approve in it within 24 hours."""

    currency = serializers.CharField(required=False, max_length=3, help_text="Of four_eyes_amount.")
    four_eyes_amount = Amount(
        required=False, allow_null=True, min_value=0, help_text="null takes the amount of this currency away."
    )


class CurrencyAmount(serializers.Serializer[Any]):
    currency = serializers.CharField()
    amount = serializers.DecimalField(max_digits=18, decimal_places=6)


class AuthorityBody(serializers.Serializer[Any]):
    """What a person or a role may approve in 24 hours. Without percent and amount the limit goes."""

    email = serializers.CharField(required=False, max_length=254)
    role = serializers.CharField(required=False, max_length=12)
    percent = serializers.IntegerField(required=False, allow_null=True, min_value=0, max_value=1000)
    currency = serializers.CharField(required=False, max_length=3)
    amount = Amount(required=False, allow_null=True, min_value=0)


class AuthorityRow(serializers.Serializer[Any]):
    person = serializers.CharField(source="user.email", allow_null=True, default=None)
    role = serializers.CharField()
    percent = serializers.IntegerField(allow_null=True)
    currency = serializers.CharField()
    amount = serializers.DecimalField(max_digits=18, decimal_places=6, allow_null=True)
    set_at = serializers.DateTimeField()


class ApprovalRulesShape(ApprovalRulesBody):
    four_eyes_amounts = CurrencyAmount(many=True)
    limits = AuthorityRow(many=True)


class EnvelopeBody(serializers.Serializer[Any]):
    """One cap. `client` means all of the client's accounts in this account's currency."""

    account_id = serializers.CharField(help_text="act_1 or 1")
    scope = _choice("object", "campaign", "account", "client")
    object_id = serializers.CharField(required=False, max_length=40, help_text="For object and campaign.")
    period = _choice("hour", "day", "week", "month", "flight", "rise")
    amount = Amount(allow_null=True, help_text="Major units of the account's currency; null takes it away.")
    reason = serializers.CharField(max_length=500)


class EnvelopeRow(serializers.Serializer[Any]):
    """One cap and how full it is; made from a pair of the row and its use."""

    scope = serializers.CharField()
    name = serializers.CharField()
    account_id = serializers.CharField(allow_null=True)
    object_id = serializers.CharField()
    period = serializers.CharField()
    currency = serializers.CharField()
    amount = serializers.DecimalField(max_digits=18, decimal_places=6)
    worst = serializers.DecimalField(
        max_digits=24, decimal_places=6, allow_null=True, help_text="null: not known, or without a bound."
    )
    used_percent = serializers.DecimalField(max_digits=12, decimal_places=1, allow_null=True)
    stage = serializers.CharField(help_text="open, soft, hard or unknown")
    set_at = serializers.DateTimeField()
    set_by = serializers.CharField(allow_null=True, help_text="null: the careful default.")
    reason = serializers.CharField()

    def to_representation(self, pair: Any) -> dict[str, Any]:
        row, use = pair
        return {
            "scope": row.scope,
            "name": use.name,
            "account_id": row.ad_account.act_id if row.ad_account else None,
            "object_id": row.object_id,
            "period": row.period,
            "currency": row.currency,
            "amount": row.amount,
            "worst": use.worst,
            "used_percent": use.percent,
            "stage": use.stage,
            "set_at": serializers.DateTimeField().to_representation(row.set_at),
            "set_by": str(row.set_by) if row.set_by else None,
            "reason": row.reason,
        }


class ForeignEnvelopeRow(serializers.Serializer[Any]):
    """One cap in a currency that the account has no more. Setting the same scope and period anew replaces it."""

    scope = serializers.CharField()
    account_id = serializers.CharField(source="ad_account.act_id")
    object_id = serializers.CharField()
    period = serializers.CharField()
    currency = serializers.CharField()
    amount = serializers.DecimalField(max_digits=18, decimal_places=6)
    set_at = serializers.DateTimeField()
    reason = serializers.CharField()


class EnvelopeList(serializers.Serializer[Any]):
    envelopes = EnvelopeRow(many=True)
    in_another_currency = ForeignEnvelopeRow(
        many=True, help_text="They hold nothing, since nothing is converted: set them anew."
    )
    lacking = serializers.ListField(
        child=serializers.CharField(),
        help_text="account, client: has no cap for its day, so nothing may spend more.",
    )


class ChangeShape(serializers.Serializer[Any]):
    """A change. `before` and `target` are numbers in major units for budgets, words for a status."""

    id = serializers.CharField(source="uuid")
    state = serializers.CharField()
    client = serializers.CharField(source="client.slug")
    account_id = serializers.CharField(source="ad_account.act_id")
    level = serializers.CharField()
    object_id = serializers.CharField()
    object_name = serializers.CharField()
    field = serializers.CharField()
    before = serializers.SerializerMethodField()
    target = serializers.SerializerMethodField()
    currency = serializers.CharField()
    direction = serializers.CharField()
    digest = serializers.CharField()
    reason = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]
    strategy_id = serializers.CharField(source="strategy_ref", allow_null=True)
    requested_by = serializers.SerializerMethodField()
    approved_by = serializers.SerializerMethodField()
    approval_policy = serializers.CharField()
    created_at = serializers.DateTimeField()
    approved_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField()
    applied_at = serializers.DateTimeField(allow_null=True)
    attempts = serializers.IntegerField()
    possibly_applied = serializers.BooleanField()
    error = serializers.CharField(source="error_text")
    advice = serializers.CharField()
    story = serializers.SerializerMethodField()
    may_approve = serializers.SerializerMethodField(
        help_text="Whether you may approve it: your role, four eyes and your limits."
    )
    why_not_approve = serializers.SerializerMethodField(
        help_text="Why you may not, and what to do; empty where you may, and when it waits no more."
    )
    cannot_be_undone = serializers.SerializerMethodField(
        help_text="What an undo will not bring back, as sentences: say them before anybody approves."
    )

    def get_cannot_be_undone(self, change: Change) -> list[str]:
        return list(ledger.cannot_be_undone(change))

    @extend_schema_field(_VALUE)
    def get_before(self, change: Change) -> Decimal | str | None:
        return _value(change, change.before)

    @extend_schema_field(_VALUE)
    def get_target(self, change: Change) -> Decimal | str | None:
        return _value(change, change.target)

    def get_requested_by(self, change: Change) -> str | None:
        return str(change.requested_by) if change.requested_by else None

    def get_approved_by(self, change: Change) -> str | None:
        return str(change.approved_by) if change.approved_by else None

    def get_story(self, change: Change) -> str:
        return ledger.story(change)

    def get_may_approve(self, change: Change) -> bool:
        return self._standing(change).may

    def get_why_not_approve(self, change: Change) -> str:
        found = self._standing(change)
        waits = change.state == ChangeState.PROPOSED
        return f"{found.why} {found.advice}".strip() if waits else ""

    def _standing(self, change: Change) -> Standing:
        """Read once per change, and the client's rules once per answer."""
        principal: Principal | None = self.context.get("principal")
        if principal is None:
            return Standing(may=False)
        context: dict[str, Any] = self.context  # type: ignore[assignment]
        known: dict[int, Standing] = context.setdefault("standings", {})
        if change.pk not in known:
            if "reader" not in context:
                context["reader"] = standing.Reader(principal, now=now())
            known[change.pk] = context["reader"].of(change)
        return known[change.pk]


def _value(change: Change, text: str) -> Decimal | str | None:
    if not text:
        return None
    return Decimal(text) if Field(change.field).is_money else text


class BatchLine(serializers.Serializer[Any]):
    """One change of a batch: one field of one object. Amounts are major units, times carry their offset."""

    object_id = serializers.CharField(max_length=40, help_text="Meta's id of a campaign, ad set or ad.")
    status = _choice("ACTIVE", "PAUSED", required=False)
    daily_budget = Amount(required=False)
    lifetime_budget = Amount(required=False)
    bid_amount = Amount(required=False, help_text="Of an ad set with a bid or cost cap.")
    name = serializers.CharField(required=False, max_length=400)
    start_time = serializers.DateTimeField(required=False, help_text="Of an ad set that has not started.")
    end_time = serializers.DateTimeField(required=False, help_text="Of an ad set.")
    confirm_large_step = serializers.BooleanField(required=False, default=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if sum(field.value in attrs for field in Field) != 1:
            raise serializers.ValidationError(f"Send one of {', '.join(Field)}.")
        return attrs


class BatchBody(serializers.Serializer[Any]):
    changes = serializers.ListField(child=BatchLine(), min_length=1, max_length=100)
    reason = serializers.CharField(max_length=1000)

    @staticmethod
    def wish(line: dict[str, Any]) -> Wish:
        field = next(one for one in Field if one.value in line)
        value = line[field.value]
        target = canonical_amount(value) if field.is_money else written(value)
        return Wish(line["object_id"], field, target, line["confirm_large_step"])


class RejectBatchBody(DigestBody):
    reason = serializers.CharField(max_length=500)


class RefusedLine(serializers.Serializer[Any]):
    object_id = serializers.CharField()
    field = serializers.CharField()
    target = serializers.CharField()
    message = serializers.CharField()
    advice = serializers.CharField()


class BatchSheet(serializers.Serializer[Any]):
    """The review sheet of a batch."""

    id = serializers.CharField()
    digest = serializers.CharField(help_text="Approve with it; empty when nothing waits.")
    waiting = serializers.IntegerField()
    total_raise = CurrencyAmount(many=True)
    cannot_be_undone = serializers.ListField(child=serializers.CharField())
    may_approve = serializers.BooleanField(
        help_text="Whether you may give its one approval, of all or nothing, now."
    )
    why_not_approve = serializers.CharField(
        help_text="What holds it back, with the object; empty where nothing does."
    )
    approvers = serializers.ListField(
        child=serializers.CharField(), help_text="Who else may approve all of it, by name."
    )
    changes = ChangeShape(
        many=True, help_text="`may_approve` of each is judged after those before it, as the approval does."
    )
    joined = ChangeShape(many=True, help_text="Asked for before; not part of this batch.")
    refused = RefusedLine(many=True, help_text="Not put on record, with the reason.")


class LineShape(serializers.Serializer[Any]):
    seq = serializers.IntegerField()
    at = serializers.DateTimeField()
    kind = serializers.CharField()
    state = serializers.CharField()
    by = serializers.CharField()
    note = serializers.CharField()
    hash = serializers.CharField()


class ChangeDetail(ChangeShape):
    hindrances = serializers.SerializerMethodField(
        help_text="What would keep it back if it was approved now, whoever approves."
    )
    lines = serializers.SerializerMethodField(help_text="Its lines of the ledger, oldest first.")

    def get_hindrances(self, change: Change) -> list[str]:
        return [f"{one.message} {one.advice}".strip() for one in standing.hindrances(change, now=now())]

    @extend_schema_field(LineShape(many=True))
    def get_lines(self, change: Change) -> Any:
        rows = ledger.lines(self.context["principal"], change=change).order_by("seq")
        return LineShape(rows, many=True).data


class ChangeList(serializers.Serializer[Any]):
    changes = ChangeShape(many=True)
    next = serializers.CharField(allow_null=True, help_text="Send it as `after` for the next page.")


class SwitchShape(serializers.Serializer[Any]):
    id = serializers.CharField(source="uuid")
    scope = serializers.CharField()
    client = serializers.SerializerMethodField()
    account_id = serializers.SerializerMethodField()
    strategy_id = serializers.CharField(source="strategy_ref")
    reason = serializers.CharField()
    pulled_at = serializers.DateTimeField()

    def get_client(self, row: Switch) -> str | None:
        return row.client.slug if row.client else None

    def get_account_id(self, row: Switch) -> str | None:
        return row.ad_account.act_id if row.ad_account else None


class SwitchList(serializers.Serializer[Any]):
    stops = SwitchShape(many=True)


class Released(serializers.Serializer[Any]):
    released = serializers.BooleanField(help_text="False: it was not stopped.")


class HoldShape(serializers.Serializer[Any]):
    id = serializers.CharField(source="uuid")
    level = serializers.CharField()
    object_id = serializers.CharField()
    field = serializers.CharField()
    ours = serializers.CharField()
    theirs = serializers.CharField()
    reason = serializers.CharField()
    held_at = serializers.DateTimeField()
    until = serializers.DateTimeField()
    resumed_at = serializers.DateTimeField(allow_null=True)


class HoldList(serializers.Serializer[Any]):
    holds = HoldShape(many=True)
