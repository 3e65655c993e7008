"""What a doctor says. PURE.

    Topic   one thing that is looked at: what it means, and every trouble it can find, each with its fix in plain words
    Exam    collects what was found out about a topic              -> Check, whose state is the worst of it
    Check   key, group, title, state, finding, fix

What could not be looked at is *unknown* and says why; it is never *ok*. `as_markdown` writes docs/troubleshooting.md
from the same topics, so the page, the command and the manual cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class State(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"


#: Worst first.
_ORDER: Final = (State.FAIL, State.WARN, State.UNKNOWN, State.OK)
#: So many findings of one check are told; the rest is counted.
_TOLD: Final = 5

LOGIN: Final = "Meta login fails"
TOKEN: Final = "Token validation errors"  # noqa: S105 - a heading
DATA: Final = "Real-time data does not update"
STRATEGY: Final = "Strategy execution fails"
GROUPS: Final = (LOGIN, TOKEN, DATA, STRATEGY)


@dataclass(frozen=True)
class Trouble:
    """Something that a check can find: how it shows, and what to do about it."""

    shows: str
    fix: str


@dataclass(frozen=True)
class Topic:
    """One thing to look at. `looks` says how; `troubles` are all that it may find besides *ok* and *unknown*."""

    key: str
    group: str
    title: str
    looks: str
    troubles: Mapping[str, Trouble]


@dataclass(frozen=True)
class Check:
    """One topic's outcome. `finding` is what was seen, `fix` what to do next; neither ever holds a secret."""

    key: str
    group: str
    title: str
    state: State
    finding: str
    fix: str


@dataclass
class Exam:
    """One topic being looked at."""

    topic: Topic
    _found: list[tuple[State, str, str]] = field(default_factory=list)

    def fail(self, trouble: str, finding: str) -> None:
        self._found.append((State.FAIL, finding, self.topic.troubles[trouble].fix))

    def warn(self, trouble: str, finding: str) -> None:
        self._found.append((State.WARN, finding, self.topic.troubles[trouble].fix))

    def unknown(self, why: str, fix: str = "") -> None:
        self._found.append((State.UNKNOWN, why, fix))

    def check(self, fine: str) -> Check:
        """The outcome; `fine` is what to say when nothing was found."""
        state = next((one for one in _ORDER if any(one == seen for seen, _, _ in self._found)), State.OK)
        found = sorted(self._found, key=lambda one: _ORDER.index(one[0]))
        findings = _once(finding for _, finding, _ in found)
        if len(findings) > _TOLD:
            findings = [*findings[:_TOLD], f"And {len(findings) - _TOLD} more like these."]
        # What is certain comes first; a fix for what could not be looked at would only distract from it.
        fixes = _once(fix for seen, _, fix in found if fix and (seen == state or seen != State.UNKNOWN))
        return Check(
            key=self.topic.key,
            group=self.topic.group,
            title=self.topic.title,
            state=state,
            finding=" ".join(findings) or fine,
            fix=" ".join(fixes),
        )


def unknown(topic: Topic, why: str, fix: str = "") -> Check:
    """A check that could not be made."""
    exam = Exam(topic)
    exam.unknown(why, fix)
    return exam.check("")


def worst(checks: Iterable[Check]) -> State:
    """The worst state of all; *ok* for none."""
    states = {check.state for check in checks}
    return next((one for one in _ORDER if one in states), State.OK)


def as_text(checks: Sequence[Check]) -> str:
    """For a terminal: the groups with their checks, what was found, and what to do."""
    lines: list[str] = []
    for group in GROUPS:
        lines += ["", group]
        for check in (one for one in checks if one.group == group):
            lines.append(f"  [{check.state:^7}] {check.title}: {check.finding}")
            if check.fix:
                lines.append(f"{'':12}-> {check.fix}")
    return "\n".join(lines).strip("\n")


def as_markdown(topics: Sequence[Topic]) -> str:
    """docs/troubleshooting.md."""
    lines = [_INTRODUCTION]
    for number, group in enumerate(GROUPS, start=1):
        lines.append(f"## {number}. {group}\n")
        for topic in (one for one in topics if one.group == group):
            lines.append(f"### {topic.title}\n\n`{topic.key}`. {topic.looks}\n")
            lines.append("| what it finds | what to do |\n|---|---|")
            lines += [f"| {one.shows} | {one.fix} |" for one in topic.troubles.values()]
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _once(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


_INTRODUCTION: Final = """# Troubleshooting

Generated from the checks of the connection doctor by `manage.py doctor --docs`; edit the checks, not this file.

Run the doctor first: *Connections*, then *Connection doctor*, or on the server

```sh
python manage.py doctor                      # every client; ends with 1 when a check fails
python manage.py doctor --client northwind   # one client
python manage.py doctor --json               # for a script
```

It makes sixteen checks. Each says *ok*, *warn*, *fail* or *unknown*, what it found, and what to do. *Unknown* means
that it could not be looked at (Meta or the database is away, or only your browser can tell), and says why; it never
means *ok*. No check shows a token or a secret. The doctor changes nothing at Meta, and its reads count against Meta's
limits like any other.

To see more in the log, set `DEBUG=true` (or `LOG_LEVEL=DEBUG`) and start again: each call to Meta becomes a line.
`DEBUG=true` also shows tracebacks in the browser and is refused in production. Neither ever writes a token, a secret
or a proof.
"""
