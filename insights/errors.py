"""What the measuring floor refuses. Pure; edges turn these into answers.

UnknownMetric   no such name in the registry or its aliases
UnknownBreakdown  parts that Meta does not tell
UnknownPeriod   a preset or range that nobody defined
UnknownAttribution  a window that is not read, or that Meta retired
BadFormula      a client's own metric that would be nonsense, with what to write instead
TooFarBack      days that Meta does not keep any more, with the first day there is
UnknownZone     the account's time zone is not in the zone database
"""

from __future__ import annotations

from datetime import date


class UnknownMetric(ValueError):
    """No metric of that name; `allowed` lists the names there are."""

    def __init__(self, name: str, allowed: tuple[str, ...]) -> None:
        super().__init__(f"There is no metric {name!r}.")
        self.name = name
        self.allowed = allowed


class UnknownPeriod(ValueError):
    """No preset of that name; `allowed` lists the names there are."""

    def __init__(self, name: str, allowed: tuple[str, ...]) -> None:
        super().__init__(f"There is no period {name!r}.")
        self.name = name
        self.allowed = allowed


class UnknownBreakdown(ValueError):
    """Breakdowns that Meta does not put together; `allowed` lists those it does."""

    def __init__(self, name: str, allowed: tuple[str, ...]) -> None:
        super().__init__(f"Numbers cannot be parted by {name!r}.")
        self.name = name
        self.allowed = allowed


class TooFarBack(ValueError):
    """Days before `first`, the first day that Meta still answers for; `months` is Meta's limit."""

    def __init__(self, first: date, months: int, what: str = "figures") -> None:
        super().__init__(
            f"Meta keeps {what} for {months} months: the first day there is is {first.isoformat()}."
        )
        self.first = first
        self.months = months


class UnknownAttribution(ValueError):
    """No attribution window of that name; `allowed` lists those there are."""

    def __init__(self, name: str, why: str, allowed: tuple[str, ...]) -> None:
        super().__init__(f"There is no attribution window {name!r} here. {why}")
        self.name = name
        self.allowed = allowed


class BadFormula(ValueError):
    """A formula that is none, or whose outcome would mean nothing. `advice` says what to write instead."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice


class UnknownZone(ValueError):
    """A time zone that the zone database does not hold."""


class BadRow(ValueError):
    """A row of Meta that cannot be what it says; its slice stays incomplete."""
