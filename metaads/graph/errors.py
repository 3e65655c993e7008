"""Meta's answers: one tree, one table, one total reader.

    wire (status, content type, bytes, headers)
        -> parse      JSON or nothing, never an exception
        -> judge      success, error envelope, or neither
        -> RULES      (code, subcode) -> Rule: kind, reason, advice         closed by default
        -> Answer     exactly one Kind                                      error_for(answer) -> exception

    GraphError
      Refused         Meta said no for a definite reason; nothing happened. Change the request.
      Throttled       too many calls; nothing happened. Wait `retry_after` seconds.
      AuthFailed      the token no longer works. `definite` says whether one such answer is proof.
      NotPermitted    the token works, the permission does not. A person has to act.
      Transient       Meta says "try again". A read may; a write has to be read back first.
        TooMuchData   ask for less: smaller page, fewer days, fewer fields, or a report run.
      Unknown         nobody can tell what happened. Same caution as Transient.

Two things that this module will never do: guess *ok*, and guess *refused*. What it cannot place is UNKNOWN,
because for a write UNKNOWN costs one read-back, while a wrong *refused* costs somebody's money.

Source: Meta's error reference and rate-limit pages; docs/meta.md, section 3 (codes) and section 4 (limits).
PURE: no Django, no clock, no I/O.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import msgspec


class Kind(StrEnum):
    """What an answer of Meta means for the caller. There is no eighth."""

    OK = "ok"
    REFUSED = "refused"
    THROTTLED = "throttled"
    AUTH = "auth"
    NOT_PERMITTED = "not_permitted"
    TRANSIENT = "transient"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Rule:
    """One row of the table: what a code means, and what the reader of the message should do."""

    name: str
    kind: Kind
    advice: str
    wait: float | None = None  # THROTTLED: seconds to stay away, where Meta's pages give a figure
    throttles: str = ""  # THROTTLED: who has to stay away - app, account, or object (that one kind of change)
    reduce: bool = False  # ask for less
    definite: bool = False  # AUTH only: one answer is proof that the token is dead


@dataclass(frozen=True)
class Answer:
    """One answer of the Graph API, classified. Safe to log: repr leaves out `body`, which may hold tokens.

    `status` is 0 when no complete answer arrived. `sent` is False only when the request provably never left
    this machine; a TRANSIENT or UNKNOWN answer with `sent=True` may have taken effect. `retry_after` is in
    seconds, and `throttles` says who has to wait: the app, the account, or only changes like this one to this
    object. `headers` holds only usage and version headers and the date, names in lower case. `blame` names the
    parameters that Meta complains about.
    """

    kind: Kind
    status: int = 0
    body: Any = field(default=None, repr=False)
    code: int | None = None
    subcode: int | None = None
    message: str = ""
    user_title: str = ""
    user_message: str = ""
    trace_id: str | None = None
    retry_after: float | None = None
    reduce: bool = False
    advice: str = ""
    rule: str = ""
    throttles: str = ""
    definite: bool = False
    sent: bool = True
    blame: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def ok(self) -> bool:
        return self.kind is Kind.OK

    @property
    def maybe_gone(self) -> bool:
        """Tell whether the object may be gone: to be confirmed by a second look (list the parent), as Meta
        uses 100/33 for *missing*, *no access* and *unsupported* alike."""
        return self.rule in ("object_missing_or_hidden", "unknown_object")


# ----------------------------------------------------------------------------------------------------------
# The table. Key: (code, subcode); (code, None) = that code with any other subcode; (None, subcode) = that
# subcode under any code. Looked up in the order (code, subcode), (None, subcode), (code, None), 200..299,
# else UNKNOWN.
# ----------------------------------------------------------------------------------------------------------

_RETRY: Final = "Meta had a passing problem. The read is tried again by itself."
_LESS: Final = "Ask for less: a smaller page, fewer days or fields, or an asynchronous report."
_FIX: Final = "Change the request; sending it again unchanged will not help."
_SLOW: Final = "Wait until the limit has recovered. Calling on while throttled makes the block longer."
_RECONNECT: Final = "Reconnect the Meta account."
_ACT: Final = "The connected person has to log in on facebook.com and resolve it there; then reconnect."
_GRANT: Final = "Ask someone with access to grant the permission in Meta Business settings, then reconnect."
_BUDGET: Final = (
    "Choose a higher budget; Meta's minimum depends on currency, bid strategy and what was spent today."
)
_DELETED: Final = "The object was deleted or archived at Meta; only its name can still change."


def _refused(name: str, advice: str = _FIX) -> Rule:
    return Rule(name, Kind.REFUSED, advice)


def _throttled(name: str, wait: float, advice: str = _SLOW, *, throttles: str = "account") -> Rule:
    return Rule(name, Kind.THROTTLED, advice, wait=wait, throttles=throttles)


def _transient(name: str, advice: str = _RETRY) -> Rule:
    return Rule(name, Kind.TRANSIENT, advice)


def _too_much(name: str) -> Rule:
    return Rule(name, Kind.TRANSIENT, _LESS, reduce=True)


def _auth(name: str, advice: str = _RECONNECT, *, definite: bool = True) -> Rule:
    return Rule(name, Kind.AUTH, advice, definite=definite)


def _denied(name: str, advice: str = _GRANT) -> Rule:
    return Rule(name, Kind.NOT_PERMITTED, advice)


RULES: Final[Mapping[tuple[int | None, int | None], Rule]] = {
    # Meta's own trouble
    (1, None): _transient("unknown_error"),
    (1, 99): _transient(
        "unknown_error", "Tried again by itself; if it stays, check the level of the insights request."
    ),
    (None, 99): _transient("unknown_error"),
    (2, None): _transient("service_unavailable"),
    (960, None): _transient("batch_timed_out"),
    (-2, 2490547): _transient("report_failed", "The report is requested again later."),
    (None, 1504043): _transient("insights_intermittent"),
    (None, 1504044): _transient("insights_unexpected"),
    (3910001, None): _transient("account_trouble"),
    (100, 3910001): _transient("account_trouble"),
    # Too much asked for. Docs print 100/1504018 and 2/1504038, live traces 2/1504018: the subcode decides.
    (-3, 1504045): _too_much("report_too_large"),
    (None, 1504018): _too_much("insights_timed_out"),
    (None, 1504038): _too_much("insights_timed_out"),
    (100, 1487534): _too_much("insights_too_large"),
    # Throttles. Meta sends them as HTTP 400 and without Retry-After; waits are its published block times.
    (4, None): _throttled("app_limit", 300.0, throttles="app"),
    (4, 1504022): _throttled("insights_load", 60.0, throttles="app"),
    (4, 1504039): _throttled("insights_app_limit", 60.0, throttles="app"),
    (17, None): _throttled("user_limit", 300.0),
    (17, 2446079): _throttled("account_score", 300.0),
    (17, 1885172): _throttled(
        "spend_limit_changes",
        86400.0,
        "The account's spend limit changed ten times today.",
        throttles="object",
    ),
    (32, None): _throttled("page_limit", 300.0),
    (341, None): _throttled("app_limit_temporary", 600.0, throttles="app"),
    (613, None): _throttled("custom_limit", 300.0),
    (613, 1487742): _throttled("account_calls", 300.0),
    (613, 5044001): _throttled("mutations_per_second", 10.0),
    (613, 1487632): _throttled(
        "budget_changes",
        3600.0,
        "An ad set takes four budget changes an hour; wait for one hour.",
        throttles="object",
    ),
    (613, 1487225): _throttled(
        "ad_creation", 3600.0, "Wait, or raise the account's daily spend limit at Meta.", throttles="object"
    ),
    (613, 1996): _throttled("irregular_volume", 300.0),
    **{
        (code, None): _throttled("use_case_limit", 300.0)
        for code in (*range(80000, 80007), 80008, 80009, 80014)
    },
    # Tokens
    (102, None): _auth("session_expired", definite=False),
    (190, None): _auth("token_invalid", definite=False),
    (190, 458): _auth("app_removed"),
    (190, 459): _auth("checkpointed", _ACT),
    (190, 460): _auth("password_changed"),
    (190, 463): _auth("token_expired"),
    (190, 464): _auth("user_unconfirmed", _ACT),
    (190, 467): _auth("token_revoked"),
    # The subcodes alone: debug_token and a few edges report them under 102 or without a code of their own.
    (102, 458): _auth("app_removed"),
    (102, 460): _auth("password_changed"),
    (102, 463): _auth("token_expired"),
    (102, 467): _auth("token_revoked"),
    # Permissions; 200..299 are one family, see `_find`
    (3, None): _denied(
        "app_lacks_capability", "The Meta app lacks this capability: ask for it in App Review."
    ),
    (10, None): _denied("action_not_permitted"),
    (190, 492): _denied("page_role_lost"),
    (100, 3191001): _denied("insights_not_permitted"),
    (200, 1870034): _denied("audience_terms", "Accept Meta's custom-audience terms for this ad account."),
    (200, 1870047): _denied("audience_too_small", "The audience is too small to be used."),
    (294, None): _denied("ads_management_missing"),
    (368, None): _denied(
        "policy_block", "Meta blocked this action for policy reasons; look into Account Quality at Meta."
    ),
    (2654, 1713092): _denied("audience_no_write"),
    (1404163, None): _denied(
        "advertising_restricted", "The account may not advertise; look into Account Quality at Meta."
    ),
    (100, 1404163): _denied(
        "advertising_restricted", "The account may not advertise; look into Account Quality at Meta."
    ),
    # Definite refusals
    (100, None): _refused("invalid_parameter"),
    (100, 33): _refused("object_missing_or_hidden", "The object is gone, or this connection may not see it."),
    (803, None): _refused("unknown_object", "The object does not exist, or this connection may not see it."),
    (104, None): _refused(
        "bad_signature", "Check META_APP_SECRET: the proof sent with the call does not match the app."
    ),
    (194, None): _refused("missing_parameter"),
    (506, None): _refused("duplicate"),
    (None, 1504041): _refused("breakdown_combination", "These breakdowns or metrics cannot be combined."),
    (None, 1504042): _refused("custom_metric"),
    (2500, None): _refused("query_unreadable"),
    (2606, None): _refused("preview_impossible"),
    (2607, None): _refused("currency_invalid"),
    (2615, None): _refused("account_update_invalid"),
    (2654, None): _refused("audience_creation"),
    (2635, None): _refused(
        "api_version_retired", "Meta has retired this API version: set META_GRAPH_VERSION to v26.0."
    ),
    (3018, None): _refused("beyond_37_months", "Insights reach back 37 months; begin later."),
}

# Ad-object validation, seen as `code` or as `error_subcode` of 100 [Meta's error reference].
_VALIDATION: Final[Mapping[int, tuple[str, str]]] = {
    1340029: ("dynamic_creative_ad", "Delete the ad set instead: the ad belongs to a dynamic creative."),
    1487007: ("ad_set_ended", "The ad set has ended; give it a later end first."),
    1487033: ("end_in_past", "The end has to lie in the future."),
    1487056: ("ad_set_deleted", _DELETED),
    1487566: ("campaign_deleted", _DELETED),
    1487694: ("targeting_gone", "A targeting category no longer exists; choose another."),
    1487901: ("budget_too_low", _BUDGET),
    1487929: ("promoted_object_ambiguous", _FIX),
    1487990: ("too_many_archived", "Delete archived ads first."),
    1885088: ("ad_archived", _DELETED),
    1885204: ("bid_must_be_automatic", "The optimisation goal allows automatic bids only."),
    1885272: ("budget_too_low", _BUDGET),
    1885621: ("budget_on_two_levels", "The budget lives on the campaign or on its ad sets, never on both."),
    1885650: (
        "budget_below_spend",
        "The new budget is below what was spent, or about to be; choose a higher one.",
    ),
    2238055: ("campaign_budget_minimum", _BUDGET),
    2446149: ("instagram_ids_conflict", _FIX),
    2446307: ("spend_cap_minimum", "The campaign spend cap is below Meta's minimum."),
    2446394: ("targeting_options_gone", "Some detailed-targeting options no longer exist."),
    2490427: ("ad_rejected", "Meta rejected the ad; see its review feedback."),
    2490468: ("ad_rejected", "Meta rejected the ad; see its review feedback."),
    3858152: ("dsa_missing", "Ads in the EU need a beneficiary and a payer."),
    3858418: ("budget_sharing_fixed", "Budget sharing cannot be switched on while the campaign runs."),
    4834002: ("budget_sharing_with_campaign_budget", _FIX),
    4834005: ("budget_sharing_needs_strategy", _FIX),
    4834006: ("budget_sharing_strategy_locked", _FIX),
    4834009: ("budget_sharing_not_uniform", _FIX),
    4834011: ("budget_sharing_flag_missing", _FIX),
}

_PERMISSION_FAMILY: Final = _denied("permission_missing")
_IS_TRANSIENT: Final = _transient("is_transient")
_CURSOR_DEEP: Final = _refused("cursor_too_deep", "Narrow the query: Meta does not page this deep.")
_CURSOR_BAD: Final = _refused("cursor_rejected", "The list is read again from the start.")
_SUMMARY_RACE: Final = _transient("report_summary_race")
_REDUCE_TEXT: Final = _too_much("reduce_the_data")


def _unknown(
    name: str,
    advice: str = "Meta's answer could not be understood. A read is tried again; a change is looked up first.",
) -> Rule:
    return Rule(name, Kind.UNKNOWN, advice)


def _by_text(code: int, message: str) -> Rule | None:
    """Match the few conditions that Meta tells apart by words alone (docs/meta.md 3.3); everything else
    goes by code."""
    text = message.casefold()
    if code == 1 and "reduce the amount of data" in text:
        return _REDUCE_TEXT
    if code == 100 and "after cursor specified exceeds" in text:
        return _CURSOR_DEEP
    if code == 100 and "in summary param because they weren't there" in text.replace("\u2019", "'"):
        return _SUMMARY_RACE
    if code == 100 and "cursor" in text and ("invalid" in text or "expired" in text):
        return _CURSOR_BAD
    return None


def _listed(code: int) -> bool:
    return code in _NAMED or code in _VALIDATION


#: Every code that a rule names.
_NAMED: Final = frozenset(code for code, _ in RULES if code is not None)


def _find(*, code: int | None, subcode: int | None, message: str, status: int, transient: bool) -> Rule:
    if code is None:
        return _IS_TRANSIENT if transient else _unknown("error_without_code")
    by_text = _by_text(code, message)
    exact = RULES.get((code, subcode)) if subcode is not None else None
    if exact is None and subcode is not None:
        exact = RULES.get((None, subcode))
        if exact is not None and exact.kind is Kind.REFUSED and not _listed(code):
            exact = None  # a subcode beside a code that nobody knows proves nothing
    if exact is None:
        validation = _VALIDATION.get(code) or (_VALIDATION.get(subcode or 0) if code == 100 else None)
        exact = _refused(*validation) if validation else None
    rule = by_text or exact or RULES.get((code, None))
    if rule is None and 200 <= code <= 299:
        rule = _PERMISSION_FAMILY
    if rule is None:
        return _IS_TRANSIENT if transient else _unknown("unlisted_code")
    if rule.kind is Kind.REFUSED and transient:
        # Meta contradicts itself: it names a definite code and says "try again". Take the careful reading.
        return _IS_TRANSIENT
    if rule.kind is Kind.REFUSED and status >= 500 and exact is None and by_text is None:
        # A bare code 100 on a 5xx comes from a failing front end, so it does not prove that nothing happened.
        return _unknown("refused_with_5xx")
    return rule


# ----------------------------------------------------------------------------------------------------------
# Reading
# ----------------------------------------------------------------------------------------------------------

KEPT_HEADERS: Final = frozenset(
    {
        "x-app-usage",
        "x-ad-account-usage",
        "x-business-use-case-usage",
        "x-fb-ads-insights-throttle",
        "x-fb-ads-insights-reach-throttle",
        "x-ad-api-version-warning",
        "facebook-api-version",
        "date",  # the other side's clock
    }
)

_SECRET_PARAMS: Final = re.compile(
    r"(?i)\b(access_token|input_token|fb_exchange_token|appsecret_proof|client_secret|app_secret|signed_request"
    r"|verify_token|authorization)(\"?\s*[=:]\s*\"?)(?:bearer\s+)?[^\s&\"'<>,;)]+"
)
_CODES: Final = re.compile(
    r"(?i)\b(code=)[A-Za-z0-9_.%#-]{12,}"
)  # of the login dialog; error codes are short
_TOKEN_SHAPES: Final = re.compile(
    r"EA[A-Za-z0-9]{18,}|\b\d{6,}\|[A-Za-z0-9_-]{8,}|(?i:bearer\s+[^\s\"',;]+)|\b[0-9a-f]{64}\b"
)
_URLS: Final = re.compile(r"(?i)\bhttps?://[^\s\"'<>]+")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def redact(text: str, *, secrets: Iterable[str] = (), limit: int = 500) -> str:
    """Make text of the wire fit for a log line: no token, proof, secret or URL, no NUL, no lone surrogate,
    not long."""
    text = text[: limit * 8]
    for secret in secrets:
        if len(secret) >= 4:
            text = text.replace(secret, "[hidden]")
    text = _URLS.sub("[url]", text)
    text = _SECRET_PARAMS.sub(r"\1\2[hidden]", text)
    text = _CODES.sub(r"\1[hidden]", text)
    text = _TOKEN_SHAPES.sub("[hidden]", text)
    text = _CONTROL.sub(" ", text).encode("utf-8", "replace").decode("utf-8")
    return text[:limit]


def classify(
    *, status: int, content_type: str, body: bytes, headers: Mapping[str, str], secrets: Sequence[str] = ()
) -> Answer:
    """Turn whatever arrived into exactly one Answer. Total: never raises, for any bytes.

    `secrets` are values that must not survive into the texts, should Meta echo them (it does, for a
    malformed token).
    """
    kept = _kept(headers)
    parsed, data = _parse(body)
    if parsed and isinstance(data, dict) and "error" in data:
        answer = _failure(status=status, data=data, headers=kept, secrets=secrets)
    else:
        rule = _verdict(
            status=status, content_type=content_type, parsed=parsed, data=data, empty=not body.strip()
        )
        answer = _answer(rule, status=status, data=data, headers=kept)
    wait = _seconds(headers)
    if wait is not None and answer.kind is Kind.THROTTLED:
        answer = _with_wait(answer, wait)
    return answer


def passing(code: int | None) -> bool:
    """Whether an error code, seen without an answer of its own (`debug_token`), stands for trouble that passes."""
    rule = RULES.get((code, None)) if code is not None else None
    return rule is not None and rule.kind in (Kind.TRANSIENT, Kind.THROTTLED)


def not_answered(
    rule: str, *, sent: bool, status: int = 0, headers: Mapping[str, str] | None = None
) -> Answer:
    """Describe a call that brought no usable answer. `sent=False` (provably never left) is TRANSIENT, else
    UNKNOWN."""
    advice = (
        "The Graph API cannot be reached; check network and META_GRAPH_URL."
        if not sent
        else "Meta did not answer in full. A read is tried again; a change is looked up first."
    )
    kind = Kind.UNKNOWN if sent else Kind.TRANSIENT
    message = rule.replace("_", " ")
    return Answer(
        kind=kind,
        status=status,
        rule=rule,
        message=message,
        advice=advice,
        sent=sent,
        headers=_kept(headers or {}),
    )


_OK: Final = Rule("ok", Kind.OK, "")
_HTTP_429: Final = _throttled("http_429", 60.0)


def _verdict(*, status: int, content_type: str, parsed: bool, data: Any, empty: bool) -> Rule:
    """Judge an answer without an `error` key."""
    if status == 429:
        return _HTTP_429
    if not 200 <= status <= 299:
        return _unknown("redirect" if 300 <= status <= 399 else "status_without_error")
    if not parsed:
        return _unknown("empty_body" if empty else "not_json")
    if "html" in content_type.casefold():
        return _unknown("html")
    if isinstance(data, list):
        return _OK
    if isinstance(data, dict):
        if "success" not in data:
            return _OK
        return _OK if _is_true(data["success"]) else _unknown("success_false")
    # Meta's documents show a bare `true` for a few old edges; nothing else that is bare means anything.
    return _OK if data is True else _unknown("bare_value")


def _failure(
    *, status: int, data: dict[str, Any], headers: Mapping[str, str], secrets: Sequence[str]
) -> Answer:
    error = data["error"]
    if isinstance(error, str):
        # OAuth 2 style ({"error": "invalid_request"}): words without a code prove nothing.
        return _answer(
            _unknown("error_is_text"),
            status=status,
            data=data,
            headers=headers,
            message=redact(error, secrets=secrets),
        )
    if not isinstance(error, dict):
        return _answer(_unknown("error_malformed"), status=status, data=data, headers=headers)
    code = _integer(error.get("code"))
    subcode = _integer(error.get("error_subcode"))
    if subcode is None:
        subcode = _integer(error.get("subcode"))  # debug_token's spelling
    message = _text(error.get("message"))
    transient = _is_true(error.get("is_transient"))
    if 300 <= status <= 399:
        rule = _unknown("redirect")
    elif status == 429 and code is None:
        rule = _HTTP_429
    else:
        rule = _find(code=code, subcode=subcode, message=message, status=status, transient=transient)
    return _answer(
        rule,
        status=status,
        data=data,
        headers=headers,
        code=code,
        subcode=subcode,
        message=redact(message, secrets=secrets),
        user_title=redact(_text(error.get("error_user_title")), secrets=secrets),
        user_message=redact(_text(error.get("error_user_msg")), secrets=secrets),
        trace_id=redact(_text(error.get("fbtrace_id")), secrets=secrets, limit=64) or None,
        blame=_blame(error.get("error_data")),
    )


def _answer(rule: Rule, *, status: int, data: Any, headers: Mapping[str, str], **parts: Any) -> Answer:
    return Answer(
        kind=rule.kind,
        status=status,
        body=data,
        retry_after=rule.wait,
        reduce=rule.reduce,
        advice=rule.advice,
        rule=rule.name,
        throttles=rule.throttles,
        definite=rule.definite,
        headers=headers,
        **parts,
    )


def _with_wait(answer: Answer, wait: float) -> Answer:
    values = {name: getattr(answer, name) for name in answer.__dataclass_fields__}
    return Answer(**{**values, "retry_after": max(wait, answer.retry_after or 0.0)})


def _parse(body: bytes) -> tuple[bool, Any]:
    """Read JSON strictly: NaN and Infinity are not JSON, and a number too large for a float is no number
    either. msgspec reads what is well-formed and faster; whatever it stumbles over is looked at closely.
    """
    unstorable = _UNSTORABLE.search(body) is not None
    if not unstorable:
        try:
            return True, msgspec.json.decode(body)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            pass
    try:
        found = json.loads(body.decode("utf-8-sig"), parse_constant=_no_constant, parse_float=_finite)
        return True, _storable(found) if unstorable else found
    except (ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        return False, None


#: Half of a pair (an emoji that was cut) and NUL are legal in JSON's escapes, and in no text that can be stored.
_UNSTORABLE: Final = re.compile(rb"\\u(?:[dD][89a-fA-F]|0000)")


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list):
        return [_storable(one) for one in value]
    if isinstance(value, dict):
        return {_storable(name): _storable(one) for name, one in value.items()}
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("number out of range")
    return number


def _integer(value: object) -> int | None:
    """Read a code: an int, or a string of digits. Anything else, and anything absurdly long, is no code."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if abs(value) < 10**10 else None
    if isinstance(value, str) and re.fullmatch(r"\s*-?[0-9]{1,10}\s*", value):
        return int(value)
    return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _is_true(value: object) -> bool:
    """Meta writes booleans as true, 1 and "true" (the subscribed_apps sample)."""
    if isinstance(value, str):
        return value.strip().casefold() in ("true", "1")
    return value is True or (isinstance(value, int) and value == 1)


def _blame(error_data: object) -> tuple[str, ...]:
    """Read `blame_field_specs` from `error_data`, which is a dict or a JSON string: [["daily_budget"]] ->
    daily_budget."""
    if isinstance(error_data, str):
        _, error_data = _parse(error_data.encode("utf-8", "replace"))
    specs = error_data.get("blame_field_specs") if isinstance(error_data, dict) else None
    if not isinstance(specs, list):
        return ()
    paths = [path for path in specs if isinstance(path, list)]
    return tuple(
        redact(".".join(part for part in path if isinstance(part, str)), limit=100)
        for path in paths[:20]
        if path
    )


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {
        str(name).lower(): str(value)[:65536]
        for name, value in headers.items()
        if str(name).lower() in KEPT_HEADERS
    }


def _seconds(headers: Mapping[str, str]) -> float | None:
    """Read Retry-After in seconds. Meta does not send it today; a proxy before Meta may."""
    for name, value in headers.items():
        if str(name).lower() == "retry-after" and re.fullmatch(r"[0-9]{1,6}", str(value).strip()):
            return float(str(value).strip())
    return None


# ----------------------------------------------------------------------------------------------------------
# Exceptions
# ----------------------------------------------------------------------------------------------------------


class GraphError(Exception):
    """A call to Meta did not end in OK. `answer` says how; the text holds no token, secret or URL."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self.answer = answer

    def __str__(self) -> str:
        answer = self.answer
        numbers = "/".join(str(number) for number in (answer.code, answer.subcode) if number is not None)
        facts = [f"code {numbers}"] if numbers else []
        facts += [f"HTTP {answer.status}"] if answer.status else []
        facts += [f"trace {answer.trace_id}"] if answer.trace_id else []
        where = f" ({', '.join(facts)})" if facts else ""
        return f"{answer.rule or answer.kind}: {answer.message or answer.advice}{where}"


class Refused(GraphError):
    """Meta refused for a definite reason; nothing happened."""


class Throttled(GraphError):
    """Too many calls; nothing happened."""

    @property
    def retry_after(self) -> float:
        """Seconds to stay away from this account."""
        return self.answer.retry_after if self.answer.retry_after is not None else 300.0


class AuthFailed(GraphError):
    """The token was not accepted."""

    @property
    def definite(self) -> bool:
        """Tell whether this one answer proves the token dead (expired, revoked, app removed, password
        changed)."""
        return self.answer.definite


class NotPermitted(GraphError):
    """The token is good but may not do this."""


class Transient(GraphError):
    """Meta, or the way to it, had a passing problem."""


class TooMuchData(Transient):
    """Meta wants a smaller question."""


class Unknown(GraphError):
    """Nobody can tell what happened."""


_CLASSES: Final[Mapping[Kind, type[GraphError]]] = {
    Kind.REFUSED: Refused,
    Kind.THROTTLED: Throttled,
    Kind.AUTH: AuthFailed,
    Kind.NOT_PERMITTED: NotPermitted,
    Kind.TRANSIENT: Transient,
    Kind.UNKNOWN: Unknown,
}


def error_for(answer: Answer) -> GraphError:
    """Build the exception that stands for an answer other than OK."""
    if answer.kind is Kind.OK:
        raise ValueError("an OK answer is no error")
    if answer.reduce:
        return TooMuchData(answer)
    return _CLASSES[answer.kind](answer)
