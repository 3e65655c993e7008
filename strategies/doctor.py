"""The connection doctor, uppermost floor: may a strategy act, is there money to act with, and does it make sense?

checks -> insights.doctor -> accounts.doctor        all sixteen, in the order of docs/troubleshooting.md
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import accounts.ad_accounts as ad_accounts
import accounts.claims as claims
import accounts.diagnosis as diagnosis
import accounts.tokens as tokens
import campaigns.changes.switch as switch
import campaigns.queries as queries
import insights.doctor as below
import metaads.graph.money as money
import strategies.drafts as drafts
from accounts.diagnosis import STRATEGY, Check, Exam, Topic, Trouble
from accounts.doctor import Patient, made
from accounts.models import AdAccount, Client
from accounts.tenancy import Principal
from strategies.errors import BadRules
from strategies.models import Strategy, StrategyStatus

_NEARLY: Final = Decimal("0.9")

MAY: Final = Topic(
    "strategy.permission",
    STRATEGY,
    "Permission to change campaigns",
    "Looks at what keeps a strategy from changing anything: the connection's state, its permission, the Meta user's"
    " tasks in the ad account, and the kill switch.",
    {
        "frozen": Trouble(
            "A strategy's changes rest, since the connection may not write.",
            "Do what the finding says on the connections page; strategies go on by themselves once the connection is"
            " *connected* and may write.",
        ),
        "stopped": Trouble(
            "Somebody pulled the kill switch.",
            "Look why, in the notice on every page, and release it there when the reason has gone.",
        ),
    },
)
BUDGET: Final = Topic(
    "strategy.budget",
    STRATEGY,
    "Budget constraints",
    "Compares what was spent with the ad account's spending limit, and each daily budget with Meta's minimum.",
    {
        "cap": Trouble(
            "The ad account's spending limit is reached or nearly reached.",
            "Raise or reset the spending limit at Meta (Billing, account spending limit). No budget goes beyond it.",
        ),
        "minimum": Trouble(
            "A budget lies below Meta's minimum.",
            "Raise it to the minimum that is named, or pause that campaign; Meta refuses other changes of it.",
        ),
        "currency": Trouble(
            "The minor unit of the ad account's currency is not known.",
            "Change budgets of this ad account in Ads Manager; here they are refused.",
        ),
    },
)
ACTIVE: Final = Topic(
    "strategy.campaign",
    STRATEGY,
    "Campaigns are active",
    "Looks whether there is a campaign that runs in each ad account with an active strategy.",
    {
        "none": Trouble(
            "No campaign runs in an ad account with an active strategy.",
            "Start a campaign, or pause the strategy: it judges only what runs.",
        ),
        "account": Trouble(
            "The ad account itself is not active at Meta.",
            "Open Account Quality and Billing at Meta; nothing delivers until it is active.",
        ),
        "unread": Trouble(
            "The campaigns have not been read yet.",
            "Wait for the first read of the structure, or press “Sync”.",
        ),
        "off": Trouble(
            "The ad account of an active strategy is switched off here.",
            "Switch the ad account on, or pause the strategy.",
        ),
    },
)
PARAMETERS: Final = Topic(
    "strategy.parameters",
    STRATEGY,
    "Strategy parameters",
    "Checks the stored rules and actions of each active strategy as saving does.",
    {
        "invalid": Trouble(
            "A strategy's stored rules cannot be used.",
            "Open the strategy, correct the field that is named, and save it.",
        ),
        "empty": Trouble(
            "A strategy has no threshold or no action, so it never proposes anything.",
            "Open the strategy, set a threshold and allow an action.",
        ),
    },
)
TOPICS: Final = (*below.TOPICS, MAY, BUDGET, ACTIVE, PARAMETERS)
_LACKS: Final = {
    "": "",
    "scope": "The connection is read-only: ads_management was not given.",
    "task": "The connected Meta user may not change ads there: the task Manage campaigns is missing.",
}
NO_STRATEGY: Final = "No strategy is active, so there is nothing to look at."


def checks(principal: Principal, *, client: Client | None, now: datetime) -> list[Check]:
    """All sixteen checks of one client, or of everything that `principal` may see, grouped as the manual is."""
    patient = Patient(principal, client=client, now=now)
    exams = ((MAY, _may), (BUDGET, _budget), (ACTIVE, _active), (PARAMETERS, _parameters))
    found = below.checks(principal, client=client, now=now, patient=patient)
    found += [made(topic, exam, patient) for topic, exam in exams]
    order = {topic.key: number for number, topic in enumerate(manual())}
    return sorted(found, key=lambda check: order[check.key])


def manual() -> tuple[Topic, ...]:
    """Every topic, group by group; within one in the order of its floors, lowest first."""
    return tuple(sorted(TOPICS, key=lambda topic: diagnosis.GROUPS.index(topic.group)))


def _strategies(patient: Patient) -> list[Strategy]:
    rows = drafts.list_(patient.principal, client=patient.client).filter(status=StrategyStatus.ACTIVE)
    return patient.look(lambda: list(rows))


def _may(patient: Patient) -> Check:
    exam = Exam(MAY)
    acting = {row.ad_account_id for row in _strategies(patient)}
    if not patient.accounts:
        exam.unknown("No ad account is switched on, so nothing may be changed.", "Switch one on.")
    for account in patient.accounts:
        # Without a strategy nothing fails by it: a read-only connection may be what was wanted.
        tell = exam.fail if account.pk in acting else exam.warn
        frozen = patient.look(lambda account=account: tokens.why_frozen(account) or _lacks(account))  # type: ignore[misc]
        if frozen:
            tell("frozen", f"{account.name}: {frozen}")
        stopped = patient.look(
            lambda account=account: switch.stopped(client_id=account.client_id, ad_account_id=account.pk)  # type: ignore[misc]
        )
        if stopped:
            tell("stopped", f"{account.name}: {stopped}")
    return exam.check("Strategies may change campaigns in every ad account that is switched on.")


def _lacks(account: AdAccount) -> str:
    """What the account's writer was not given for a change; "" when nothing."""
    writer = next(
        (one for one in claims.granted(account) if one.connection_id == account.connection_id), None
    )
    return _LACKS[claims.why_not_write(writer)] if writer is not None else ""


def _budget(patient: Patient) -> Check:
    exam = Exam(BUDGET)
    if not patient.accounts:
        exam.unknown("No ad account is switched on, so there are no budgets to compare.", "Switch one on.")
    for account in patient.accounts:
        if not money.known(account.currency):
            exam.fail("currency", f"{account.name}: amounts in {account.currency} cannot be written.")
            continue
        _cap(exam, account)
        _minimum(exam, account, patient)
    return exam.check("No spending limit is near, and every daily budget is above Meta's minimum.")


def _cap(exam: Exam, account: AdAccount) -> None:
    spent, cap = account.amount_spent, account.spend_cap
    if spent is None or not cap:
        return
    words = f"{account.name}: {_amount(spent)} of {_amount(cap)} {account.currency} are spent."
    if spent >= cap:
        exam.fail("cap", words)
    elif spent >= cap * _NEARLY:
        exam.warn("cap", words)


def _minimum(exam: Exam, account: AdAccount, patient: Patient) -> None:
    least = account.min_daily_budget
    if least is None:
        return
    for row in patient.look(lambda: queries.structure(ad_account=account)):
        if row.status == "ACTIVE" and row.daily_budget is not None and row.daily_budget < least:
            words = (
                f"{_amount(row.daily_budget)} {account.currency} a day; Meta's minimum is {_amount(least)}."
            )
            exam.fail("minimum", f"{row.name} in {account.name} has {words}")


def _active(patient: Patient) -> Check:
    exam = Exam(ACTIVE)
    found = {row.ad_account_id: row.ad_account for row in _strategies(patient)}
    if not found:
        exam.unknown(NO_STRATEGY)
    for account in found.values():
        if not account.enabled:
            exam.fail(
                "off", f"{account.name} is {'archived' if account.archived_at else 'switched off'} here."
            )
            continue
        if ad_accounts.tone(account.account_status) != "ok":
            words = ad_accounts.standing(account.account_status, account.disable_reason).lower()
            exam.fail("account", f"{account.name} is at Meta: {words}.")
        _running(exam, account, patient)
    return exam.check("In every ad account with an active strategy at least one campaign runs.")


def _running(exam: Exam, account: AdAccount, patient: Patient) -> None:
    rows: Any = queries.campaigns(patient.principal, ad_account=account)
    states = patient.look(lambda: list(rows.values_list("effective_status", flat=True)))
    if not states:
        exam.fail("unread", f"{account.name}: no campaign is known.")
    elif "ACTIVE" not in states:
        exam.fail("none", f"{account.name}: none of {len(states)} campaigns is active.")


def _parameters(patient: Patient) -> Check:
    exam = Exam(PARAMETERS)
    rows = _strategies(patient)
    if not rows:
        exam.unknown(NO_STRATEGY)
    for row in rows:
        given = {
            "name": row.name,
            "type": row.type,
            "status": row.status,
            "rules": row.rules,
            "actions": row.actions,
        }
        try:
            drafts.check(given)
        except BadRules as wrong:
            told = "; ".join(f"{where} {what}" for where, what in wrong.errors)
            exam.fail("invalid", f"{row.name}: {told}.")
            continue
        if not row.rules or not any(row.actions.values()):
            exam.warn("empty", f"{row.name} has no {'action' if row.rules else 'threshold'}.")
    return exam.check("The rules and actions of every active strategy can be used.")


def _amount(value: Decimal) -> str:
    return f"{value:,.2f}"
