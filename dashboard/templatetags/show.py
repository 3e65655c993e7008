"""How values read on a page: amounts with their currency, counts, percents, moments, states in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

import accounts.ad_accounts as ad_accounts
import accounts.capabilities as capabilities
from accounts.models import AdAccount
from campaigns.models import LedgerLine
from insights.metrics import RANKS, ranked
from metaads.graph.money import OFFSETS

register = template.Library()

NONE = mark_safe('<span class="none" title="not known">–</span>')

#: A change's state -> (words, tone of the badge). Tones: ok warn bad info, or none; "working" pulses.
CHANGE_WORDS: Mapping[str, tuple[str, str]] = {
    "PROPOSED": ("waits for approval", "warn"),
    "APPROVED": ("approved, to be sent", "info working"),
    "PREPARING": ("sending: asking Meta what stands there", "info working"),
    "SENDING": ("sending", "info working"),
    "ACKED": ("sent, not confirmed yet", "info working"),
    "UNKNOWN": ("sent, no answer: reading back", "warn working"),
    "THROTTLED": ("waiting: Meta asked us to slow down", "warn working"),
    "HELD_AUTH": ("waiting for a reconnect", "warn"),
    "VERIFYING": ("sent, reading back", "info working"),
    "NOT_APPLIED": ("had no effect yet: trying again", "warn working"),
    "APPLIED": ("applied", "ok"),
    "SUPERSEDED": ("stopped: somebody else changed it", "warn"),
    "NEEDS_HUMAN": ("a person has to look", "bad"),
    "FAILED": ("failed", "bad"),
    "REJECTED": ("rejected", ""),
    "EXPIRED": ("expired unsent", ""),
    "NOOP": ("nothing to send: it was so already", "ok"),
}
STATUS_WORDS: Mapping[str, tuple[str, str]] = {
    "ACTIVE": ("Active", "ok"),
    "PAUSED": ("Paused", "hollow"),
    "CAMPAIGN_PAUSED": ("Campaign paused", "hollow"),
    "ADSET_PAUSED": ("Ad set paused", "hollow"),
    "IN_PROCESS": ("In process", "info"),
    "WITH_ISSUES": ("With issues", "bad"),
    "PENDING_REVIEW": ("In review", "info"),
    "DISAPPROVED": ("Disapproved", "bad"),
    "ARCHIVED": ("Archived", "hollow"),
    "DELETED": ("Deleted", "hollow"),
}


def _rounded(value: Decimal, decimals: int) -> str:
    return f"{value.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP):,}"


def money_text(value: Decimal, currency: str) -> str:
    """Two decimals, or none where the currency has no minor unit at Meta."""
    return _rounded(value, 0 if OFFSETS.get(currency) == 1 else 2)


@register.simple_tag
def days(since: date, until: date) -> str:
    """`01 Nov – 27 Nov 2026`, one day, or both years where the days lie in two."""
    last = f"{until:%d %b %Y}"
    if since == until:
        return last
    return f"{since:%d %b} – {last}" if since.year == until.year else f"{since:%d %b %Y} – {last}"


@register.simple_tag
def money(value: Any, currency: str) -> SafeString:
    """An amount with its currency; unknown is a dash, never 0."""
    if value is None or value == "":
        return NONE
    try:
        amount = value if isinstance(value, Decimal) else Decimal(str(value))
    except InvalidOperation:
        return NONE
    return format_html(
        '<span class="num">{} <abbr class="unit">{}</abbr></span>', money_text(amount, currency), currency
    )


@register.simple_tag
def figure(value: Decimal | None, unit: str, currency: str = "", decimals: int | None = None) -> SafeString:
    """A metric's value in its unit: money, percent, ratio or count."""
    if value is None:
        return NONE
    if unit == "money":
        return money(value, currency)
    if unit == "rank":
        return format_html('<span class="rank">{}</span>', RANKS[ranked(value) or ""])
    places = {"percent": 2, "ratio": 2}.get(unit, 0)
    if unit == "count" and value != value.to_integral_value():
        places = 1
    text = _rounded(value, places if decimals is None or unit == "count" else decimals)
    sign = {"percent": "%", "ratio": "×"}.get(unit)
    if sign is None:
        return format_html('<span class="num">{}</span>', text)
    return format_html('<span class="num">{}<abbr class="unit">{}</abbr></span>', text, sign)


@register.simple_tag
def field_value(value: str, field: str, currency: str) -> SafeString:
    """A change's before or target: a status in words, an amount, or the text as it is."""
    if field.endswith("budget") or field == "bid_amount":
        return money(value, currency)
    if not value:
        return NONE
    if field != "status":
        return format_html("<span>{}</span>", value)
    return format_html(
        "<span>{}</span>", STATUS_WORDS.get(value, (value.replace("_", " ").capitalize(), ""))[0]
    )


@register.simple_tag
def line_value(line: LedgerLine, which: str) -> SafeString:
    """What a ledger line says of `before` or `after`; a limit in a currency is an amount."""
    value = getattr(line, which)
    if line.kind == "limit" and line.currency:
        return money(value, line.currency)
    return field_value(value, line.field, line.currency)


@register.simple_tag
def compared(
    change: Decimal | None, tone: str, before: str = "the period before", why: str = ""
) -> SafeString:
    """A change in percent against what came before, with its direction in words for those who do not see it."""
    if change is None:
        words = why.partition(":")[0].lower() if why.startswith("Not comparable yet:") else "no comparison"
        return format_html('<span class="compared muted">{}</span>', tip(words, why))
    word = "up" if change > 0 else "down" if change < 0 else "unchanged"
    arrow = {"up": "↑", "down": "↓", "unchanged": "→"}[word]
    shown = _rounded(abs(change), 1 if abs(change) < 100 else 0)
    return format_html(
        '<span class="compared {}"><span aria-hidden="true">{}</span> <span class="visually-hidden">{} </span>'
        '<span class="num">{}%</span> <span class="muted">vs {}</span></span>',
        tone, arrow, word, shown, before,
    )  # fmt: skip


@register.simple_tag
def tip(words: str, told: str) -> SafeString:
    """A word that explains itself when it is pointed at or focused; read out with its explanation."""
    if not told:
        return format_html("{}", words)
    return format_html(
        '<span class="tip" tabindex="0" data-tip="{}">{}<span class="visually-hidden">: {}</span></span>',
        told, words, told,
    )  # fmt: skip


@register.simple_tag
def change_state(state: str, past: bool = False) -> SafeString:
    """A state in words; one that lies in the `past` (a ledger line) does not pulse."""
    words, tone = CHANGE_WORDS.get(state, (state.lower(), ""))
    tone = tone.replace(" working", "") if past else tone
    return format_html('<span class="badge {}" data-state="{}">{}</span>', tone, state, words)


@register.simple_tag
def status(word: str) -> SafeString:
    """What an object really does, in words; an unknown word of Meta's is shown as it is."""
    words, tone = STATUS_WORDS.get(word, (word.replace("_", " ").capitalize() or "unknown", "warn"))
    return format_html('<span class="badge {}">{}</span>', tone, words)


@register.simple_tag
def standing(account: AdAccount) -> SafeString:
    """What Meta says of an ad account, with its reason."""
    why = ad_accounts.reason_words(account.disable_reason)
    return format_html(
        '<span class="badge {}">{}</span>{}',
        ad_accounts.tone(account.account_status),
        ad_accounts.status_words(account.account_status),
        format_html(' <span class="small">reason: {}</span>', why) if why else "",
    )


@register.filter
def task_words(tasks: list[str]) -> str:
    """What the connected Meta user may do in an ad account."""
    return capabilities.task_words(tasks) or "not told by Meta"


@register.simple_tag
def age(at: datetime | None, stale_after: int = 0) -> SafeString:
    """A moment that base.js keeps telling as an age; without JavaScript it reads as the moment itself."""
    if at is None:
        return mark_safe('<span class="none">never</span>')
    iso = at.isoformat()
    return format_html(
        '<time datetime="{}" data-age data-stale-after="{}" title="{} UTC">{} UTC</time>',
        iso, stale_after, f"{at:%Y-%m-%d %H:%M:%S}", f"{at:%d %b %H:%M}",
    )  # fmt: skip


@register.simple_tag
def moment(at: datetime | None, zone: str = "UTC") -> SafeString:
    """A moment in a named zone."""
    if at is None:
        return NONE
    local = at.astimezone(ZoneInfo(zone))
    return format_html(
        '<time datetime="{}">{} <span class="muted">{}</span></time>',
        at.isoformat(),
        f"{local:%d %b %Y %H:%M:%S}",
        zone,
    )


@register.filter
def words(text: str) -> str:
    """`OUTCOME_SALES` -> Outcome sales."""
    return str(text).replace("_", " ").strip().capitalize()


@register.filter
def level_words(level: str) -> str:
    return {"campaign": "campaign", "adset": "ad set", "ad": "ad"}.get(level, level)


@register.filter
def short(text: str, length: int = 12) -> str:
    return str(text)[:length]


@register.filter
def get(mapping: Mapping[str, Any], key: str) -> Any:
    return mapping.get(key) if mapping else None
