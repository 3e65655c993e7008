"""A rule that really ran: whether the back-test's own look at the past says again what was logged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import strategies.archive as archives
import strategies.decisions as decisions
import strategies.documents as documents
from strategies.archive import Archive
from strategies.engine.judge import hold, judge, prepare
from strategies.engine.types import Judgement, Verdict
from strategies.models import Decision, Strategy

#: The newest decisions of a stretch are judged again.
MOST: Final = 2000
_SHOWN: Final = 20


@dataclass(frozen=True)
class Faithful:
    """Of the decisions that were logged, how many the back-test's own look at the past says again."""

    logged: int
    same: int
    differences: tuple[dict[str, Any], ...] = ()

    def json(self) -> dict[str, Any]:
        return {"logged": self.logged, "same": self.same, "differences": list(self.differences[:_SHOWN])}


def check(*, strategy: Strategy, since: datetime, until: datetime) -> Faithful:
    """Judge what was really decided between two instants again, on figures and structure as they were known.

    What the strategy itself had paused by then, and what held it from outside the rules, is taken from the record.
    Of a repeated answer its last instant is judged. Differences are listed with the reason of both sides.
    """
    rows = Decision.objects.of(strategy.client_id).filter(
        strategy=strategy, last_at__gte=since, last_at__lte=until
    )
    groups: dict[tuple[int, datetime], list[Decision]] = {}
    for row in rows.order_by("-last_at", "-pk")[:MOST]:
        groups.setdefault((row.strategy_version, row.last_at), []).append(row)
    opened: dict[int, Archive] = {}
    logged = same = 0
    differences: list[dict[str, Any]] = []
    for (version, moment), group in sorted(groups.items()):
        if version not in opened:
            document = documents.at(strategy, version)
            opened[version] = archives.open_(ad_account=strategy.ad_account, document=document, since=since)
        found = _again(opened[version], group, moment)
        for row in group:
            logged += 1
            wanted, got = _logged(row), found.get(row.object_id)
            if got is not None and wanted == _told(got):
                same += 1
                continue
            differences.append(
                {
                    "at": moment.isoformat(),
                    "object_id": row.object_id,
                    "logged": f"{row.verdict}: {row.reason_code}",
                    "replayed": f"{got.verdict.value}: {got.reason_code}" if got else "not there",
                    "trust": row.trust,
                }
            )
    return Faithful(logged, same, tuple(differences))


def _again(archive: Archive, group: Sequence[Decision], moment: datetime) -> dict[str, Judgement]:
    rows = {row.object_id: row for row in group}
    snapshot = archives.at(archive, moment).snapshot
    subjects = []
    for subject in snapshot.subjects:
        if subject.object_id in rows:
            kept = rows[subject.object_id].record["subject"]
            subject = replace(
                subject, paused_at=_moment(kept["paused_at"]), pause_ends=_moment(kept["pause_ends"])
            )
        subjects.append(subject)
    document = archive.document
    seen = prepare(document, replace(snapshot, subjects=tuple(subjects)), now=moment)
    found = {}
    for subject in seen.subjects:
        if subject.object_id in rows:
            judged = judge(document, subject, seen, now=moment)
            blocks = [
                (field, code, reason) for field, code, reason in rows[subject.object_id].record["blocks"]
            ]
            found[subject.object_id] = hold(judged, blocks)
    return found


def _logged(row: Decision) -> tuple[str, list[tuple[str, bool | None]]]:
    # What the change path refused afterwards was decided all the same.
    verdict = Verdict.FIRED.value if decisions.noted(row) else row.verdict
    return verdict, [(case["name"], case["result"]) for case in row.record["cases"]]


def _told(judgement: Judgement) -> tuple[str, list[tuple[str, bool | None]]]:
    return judgement.verdict.value, [(case.name, case.result) for case in judgement.cases]


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
