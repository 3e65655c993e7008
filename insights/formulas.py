"""A client's own metrics: saved after their check, asked for as `my.<name>`, computed like the registry's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import IntegrityError, transaction

import accounts.access as access
import accounts.audit as audit
from accounts.errors import Conflict, Invalid, NotFound
from accounts.models import Client, User
from accounts.tenancy import Principal
from insights.errors import BadFormula, UnknownMetric
from insights.expressions import Formula, parse
from insights.metrics import ALIASES, METRICS
from insights.models import CustomMetric

PREFIX: Final = "my."
#: More than anybody can read, and few enough to list.
MOST: Final = 100
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{1,39}")


@dataclass(frozen=True)
class Own:
    """A saved metric with its checked formula."""

    row: CustomMetric
    formula: Formula

    @property
    def name(self) -> str:
        return PREFIX + self.row.name

    @property
    def unit(self) -> str:
        return "percent" if self.row.percent else self.formula.unit


def of(client: Client | int) -> list[Own]:
    """The client's metrics by name. One whose formula the registry no longer knows is left out."""
    found = []
    for row in CustomMetric.objects.of(client).order_by("name"):
        try:
            found.append(Own(row, parse(row.expression)))
        except BadFormula:
            continue
    return found


def named(client: Client | int, names: Iterable[str]) -> dict[str, Formula]:
    """The formulas of those names that begin with `my.`; raises `UnknownMetric` for one that the client has not."""
    wanted = [name for name in names if name.startswith(PREFIX)]
    if not wanted:
        return {}
    mine = {one.name: one.formula for one in of(client)}
    for name in wanted:
        if name not in mine:
            raise UnknownMetric(name, tuple(mine))
    return {name: mine[name] for name in wanted}


def save(
    *,
    client: Client,
    principal: Principal,
    user: User | None,
    name: str,
    label: str,
    expression: str,
    percent: bool = False,
    decimals: int = 2,
    good: str = "",
    now: datetime,
) -> Own:
    """Check and keep a metric. Raises `Invalid` for a formula that would mean nothing, `Conflict` for a taken name."""
    access.require(principal, "edit_metrics", client)
    if not _NAME.fullmatch(name) or name in METRICS or name in ALIASES:
        words = "A name has small letters, digits and _, begins with a letter, and is no metric's already."
        raise Invalid(words, code="metric_name", errors=[("name", words)])
    try:
        formula = parse(expression)
    except BadFormula as wrong:
        text = f"{wrong.message} {wrong.advice}".strip()
        raise Invalid(
            wrong.message, code="bad_formula", advice=wrong.advice, errors=[("expression", text)]
        ) from None
    if formula.private:
        access.require(principal, "see_costs", client)
    if percent and formula.unit != "ratio":
        raise Invalid(
            f"The outcome is {formula.kind}, which has no percent.",
            code="bad_formula",
            errors=[("percent", "Only a ratio is shown in percent.")],
        )
    if CustomMetric.objects.of(client).count() >= MOST:
        raise Conflict(
            f"There are {MOST} metrics already.", code="too_many_metrics", advice="Delete one first."
        )
    try:
        with transaction.atomic():
            row: CustomMetric = CustomMetric.objects.of(client).create(
                client=client,
                name=name,
                label=label.strip()[:120] or name,
                expression=formula.text,
                percent=percent,
                decimals=decimals,
                good=good,
                created_by=user,
                created_at=now,
            )
            audit.record(
                principal=principal,
                client=client,
                verb="save_metric",
                subject=name,
                now=now,
                formula=formula.text,
            )
    except IntegrityError:
        raise Conflict(
            f"There is a metric {PREFIX}{name} already.",
            code="metric_exists",
            advice="Delete it, or take another name.",
        ) from None
    return Own(row, formula)


def delete(*, client: Client, principal: Principal, name: str, now: datetime) -> None:
    """Forget a metric. What was computed with it stays where it was shown."""
    access.require(principal, "edit_metrics", client)
    with transaction.atomic():
        gone, _ = CustomMetric.objects.of(client).filter(name=name.removeprefix(PREFIX)).delete()
        if not gone:
            raise NotFound("There is no such metric.")
        audit.record(principal=principal, client=client, verb="delete_metric", subject=name, now=now)
