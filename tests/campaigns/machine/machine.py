"""A hypothesis machine over the real change path: everybody acts in any order, Meta answers as badly as it can, and the
process dies anywhere. After each step the statements of section 5 of the reliability reference are asked of Meta's own
history.

    people    file, approve, reject, undo, resolve, pull and release the switch, release what was put aside, sync,
              reconnect
    outside   edits in Ads Manager, the token revoked, time passing (seconds to days)
    Meta      every fault of the sandbox around a read or a write
    process   two sweeps at once or one that dies: before a call, after it, or before any statement that writes

Most of what the judge asks of the database, it asks in a line of SQL: it asks after every sweep of every step.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID, uuid4

from django.db import connection
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import accounts.access as access
import campaigns.changes.approvals as approvals
import campaigns.changes.caps as caps
import campaigns.changes.request as request
import campaigns.changes.switch as switch
import campaigns.changes.undo as undoing
import metaads.strikes as strikes
from accounts.connections import connect
from accounts.errors import Refused
from accounts.models import Alert
from campaigns.changes.envelopes import Period
from campaigns.changes.envelopes import Scope as CapScope
from campaigns.changes.invariants import check
from campaigns.changes.switch import Scope
from campaigns.models import Ad, Attempt, Change, Envelope, Hold, LedgerLine
from campaigns.states import IN_FLIGHT, TERMINAL, ChangeState, Evidence, Field, Level, Source
from campaigns.tasks import step, sweep
from metaads.graph import money
from tests.campaigns.machine.history import History, Write
from tests.campaigns.machine.stage import Ground, Stage

SETTLE = 120
FAULTS_OF_WRITES = (
    ("applied_timeout", {}),
    ("applied_500", {}),
    ("lying_success", {}),
    ("late", {"seconds": 20}),
    ("late", {"seconds": 90}),
    ("late", {"seconds": 45, "answer": "success"}),
    ("human_edit_between", {"value": 7_700}),
)
FAULTS_OF_ALL = (
    ("dropped", {}),
    ("html", {}),
    ("html", {"status": 200}),
    ("empty", {}),
    ("truncated", {}),
    ("odd_body", {"body": {"error": None}}),
    ("throttle", {}),
    ("throttle", {"minutes": 5}),
    ("permission", {}),
    ("transient", {}),
    ("gone33", {}),
)
#: Twice what leaves nobody knowing: it is what the protections are for.
FAULTS_AROUND_A_WRITE = (
    None, None, None, *FAULTS_OF_WRITES, *FAULTS_OF_ALL,
    ("applied_timeout", {}), ("applied_500", {}), ("late", {"seconds": 20}), ("late", {"seconds": 90}), ("dropped", {}),
)  # fmt: skip
SPANS = (0, 1, 2, 3, 4, 5, 15, 16, 60, 61, 119, 121, 300, 900, 1801, 3600, 7300, 90_000, 3 * 86_400)
FACTORS = ("0.3", "0.9", "1", "1.1", "1.2", "1.5", "2", "5")
#: Mostly what one person may do alone: the usual way is to lead to a request.
USUAL = ("0.3", "0.8", "0.9", "0.9", "1.1", "1.1", "1.2", "1", "2")
#: Sweeps after an approval: the second one sends, the fourth one knows what became of it.
ROUNDS = (0, 1, 2, 2, 3, 3, 4, 6)
USUALLY = (True, True, True, False)
DEAD = ("before_call", "after_call", "in_sql")
#: What goes on by itself.
MOVING = sorted(
    state.value for state in set(ChangeState) - TERMINAL - {ChangeState.NEEDS_HUMAN, ChangeState.PROPOSED}
)
#: What a sweep looks for. Where nothing of it is there, one in `SOME` is run all the same, to see that it does nothing.
SWEPT = frozenset({*MOVING, ChangeState.PROPOSED.value})
SOME = 8
SILENT = frozenset(state.value for state in TERMINAL - {ChangeState.APPLIED, ChangeState.SUPERSEDED})


@dataclass
class Tally:
    """What a whole run has met: too little of it, and the run has proven nothing."""

    writes: int = 0
    unknown: int = 0
    edits: int = 0
    in_flight: int = 0
    kills: int = 0
    ends: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        ends = ", ".join(f"{state} {count}" for state, count in sorted(self.ends.items()))
        return (
            f"{self.writes} writes received, {self.unknown} without a clear answer, {self.edits} edits by people "
            f"({self.in_flight} of what a change was on its way to), {self.kills} deaths of the process; "
            f"changes ended: {ends}"
        )


class ChangePath(RuleBasedStateMachine):
    """Make a subclass with `ground` and `tally`; see `machine_for`."""

    ground: ClassVar[Ground]
    tally: ClassVar[Tally]

    def __init__(self) -> None:
        super().__init__()
        self.stage, self.agency = Stage(self.ground), self.ground.agency
        self.desk, self.clock, self.sandbox = self.stage.desk, self.stage.clock, self.stage.sandbox
        self.history = History(self.sandbox)
        self.wanted: dict[str, tuple[str, str, str]] = {}  # change -> before, target, key, as first filed
        self.synced_at = self.clock.now()
        self.told: set[str] = set()  # changes of which a person has said what became of them
        self.checked: object = None  # what stood when the product was last asked for breaches
        self.idle = 0
        self.asked: Counter[int] = Counter()  # how often each waiting change was put before Alice
        ads = Ad.everything.order_by("meta_id").values_list("meta_id", flat=True)
        self.objects = [
            (Level.CAMPAIGN, self.desk.campaign.meta_id),
            (Level.CAMPAIGN, self.desk.other.meta_id),
            (Level.AD_SET, self.desk.ad_set.meta_id),
            (Level.AD, ads[0]),
        ]

    # --- people ---------------------------------------------------------------------------------------------------

    @rule(
        which=st.sampled_from([0, 0, 2]),
        factor=st.sampled_from(USUAL),
        fault=st.sampled_from(FAULTS_AROUND_A_WRITE),
        rounds=st.sampled_from(ROUNDS),
        dies=st.sampled_from((None, None, *DEAD)),
        count=st.integers(0, 9),
        careful=st.sampled_from(USUALLY),
    )
    def move_a_budget(
        self,
        which: int,
        factor: str,
        fault: Any,
        rounds: int,
        dies: str | None,
        count: int,
        careful: bool = False,
    ) -> None:
        """The usual way, up to somewhere: asked for, approved, begun; Meta may fail the write, the worker die."""
        if careful:
            self._see_to(self.objects[which][1], "daily_budget")
        self._ask(which, Field.DAILY_BUDGET, self._amount(which, factor), "alice", sure=True)
        self._carry(fault, rounds, dies, count)

    @rule(
        which=st.integers(0, 3),
        fault=st.sampled_from(FAULTS_AROUND_A_WRITE),
        rounds=st.sampled_from(ROUNDS),
        dies=st.sampled_from((None, None, *DEAD)),
        count=st.integers(0, 9),
        careful=st.sampled_from(USUALLY),
    )
    def move_a_status(
        self, which: int, fault: Any, rounds: int, dies: str | None, count: int, careful: bool = False
    ) -> None:
        """The same, with whatever status the object has not got."""
        if careful:
            self._see_to(self.objects[which][1], "status")
        other = "ACTIVE" if self._truth(self.objects[which][1], "status") == "PAUSED" else "PAUSED"
        self._ask(which, Field.STATUS, other, "alice", sure=True)
        self._carry(fault, rounds, dies, count)

    @rule(
        which=st.integers(0, 3),
        field=st.sampled_from([Field.STATUS, Field.DAILY_BUDGET, Field.LIFETIME_BUDGET]),
        factor=st.sampled_from(FACTORS),
        word=st.sampled_from(["ACTIVE", "PAUSED"]),
        who=st.sampled_from(["alice", "bob", "vera", "rule"]),
        sure=st.booleans(),
        by_hand=st.booleans(),
        age=st.sampled_from([0, 60, 7200]),
    )
    def ask(
        self,
        which: int,
        field: Field,
        factor: str,
        word: str,
        who: str,
        sure: bool,
        by_hand: bool,
        age: int,
    ) -> None:
        """Anybody asks for anything; where their role may, it passes at once. A rule brings evidence, old or not."""
        target = word if field is Field.STATUS else self._amount(which, factor)
        if who == "rule":
            self._propose(which, field, target, age=age)
            return
        change = self._ask(which, field, target, who, sure=sure)
        if change is not None and by_hand:
            with contextlib.suppress(Refused):
                principal = getattr(self.agency.principals, who)
                approvals.approve_by_policy(change=change, policy="hand", principal=principal, now=self._now)

    @rule(amount=st.sampled_from(["0", "40", "150", "400", "5000"]), client=st.booleans())
    def move_a_cap(self, amount: str, client: bool) -> None:
        """Somebody sets how much a day may cost, of the ad account or of the client."""
        account = None if client else self.desk.account
        with contextlib.suppress(Refused):
            caps.set_(
                principal=self.agency.principals.alice,
                client=self.agency.northwind,
                scope=CapScope.CLIENT if client else CapScope.ACCOUNT,
                period=Period.DAY,
                amount=Decimal(amount),
                reason="a new plan",
                ad_account=account,
                currency=self.desk.account.currency if client else "",
                now=self._now,
            )

    @rule(
        what=st.sampled_from(["approve", "approve", "forge", "reject", "undo", "undo", "resolve"]),
        index=st.integers(0, 50),
        who=st.sampled_from(["alice", "vera", "bob"]),
    )
    def decide(self, what: str, index: int, who: str) -> None:
        """Somebody says something about a change that waits, has been applied, or needs a person."""
        wanted = {"undo": ChangeState.APPLIED, "resolve": ChangeState.NEEDS_HUMAN}.get(
            what, ChangeState.PROPOSED
        )
        change = self._pick(index, wanted)
        if change is None:
            return
        principal = getattr(self.agency.principals, who)
        with contextlib.suppress(Refused):
            if what in ("approve", "forge"):
                digest = change.digest if what == "approve" else "0" * 64
                approvals.approve(change=change, principal=principal, digest=digest, now=self._now)
                assert what == "approve", "a wrong digest was taken"
            elif what == "reject":
                approvals.reject(change=change, principal=principal, reason="no", now=self._now)
            elif what == "undo":
                found = undoing.undo(change=change, principal=principal, now=self._now)
                self._remember(found)
                assert found.target == change.before, "N14: an undo leads elsewhere"
            else:
                self._say_what_is_seen(change)

    def _say_what_is_seen(self, change: Change) -> None:
        """A person looks into Ads Manager and says what they see there."""
        self.told.add(str(change.uuid))
        stands = self._truth(change.object_id, change.field)
        seen = {_wire(change, change.target): "APPLIED", _wire(change, change.before): "FAILED"}
        approvals.resolve(
            change=change,
            principal=self.agency.principals.alice,
            outcome=seen.get(stands, "SUPERSEDED"),
            reason=f"I see {stands}",
            now=self._now,
        )

    @rule(
        scope=st.sampled_from(["global", "client", "account", "strategy"]),
        rounds=st.integers(0, 3),
        on=st.sampled_from([True, True, False]),
    )
    def stop(self, scope: str, rounds: int, on: bool) -> None:
        """The kill switch, for some sweeps or until somebody releases it."""
        with contextlib.suppress(Refused):
            principal = self.agency.principals.alice
            switch.pull(scope=self._scope(scope), principal=principal, reason="wait", now=self._now)
        self._carry(None, rounds, None, 0)
        if on:
            self._release_all()

    # --- outside --------------------------------------------------------------------------------------------------

    @rule(
        which=st.integers(0, 2),
        field=st.sampled_from(["status", "daily_budget", "daily_budget"]),
        budget=st.sampled_from([5_000, 9_000, 10_000, 12_345]),
    )
    def edit(self, which: int, field: str, budget: int) -> None:
        """Somebody edits in Ads Manager."""
        _, object_id = self.objects[which]
        if field == "status":
            self._edit(object_id, field, "ACTIVE" if self._truth(object_id, field) == "PAUSED" else "PAUSED")
        elif self._truth(object_id, field) != "None":
            self._edit(object_id, field, budget)

    @precondition(lambda self: self._on_their_way())
    @rule(
        index=st.integers(0, 9), budget=st.sampled_from([5_000, 9_000, 10_000, 12_345]), sweeps=st.booleans()
    )
    def edit_in_flight(self, index: int, budget: int, sweeps: bool) -> None:
        """Somebody edits just what a change is on its way to, and our work goes on or not."""
        flying = self._on_their_way()
        object_id, name = flying[index % len(flying)]
        paused = "ACTIVE" if self._truth(object_id, name) == "PAUSED" else "PAUSED"
        self._edit(object_id, name, paused if name == "status" else budget)
        if sweeps:
            self._sweep(1)

    @rule(
        subcode=st.sampled_from([458, 460, 463]),
        rounds=st.integers(0, 3),
        soon=st.sampled_from([True, True, False]),
    )
    def revoke(self, subcode: int, rounds: int, soon: bool) -> None:
        """The token dies; mostly somebody connects again."""
        self.clock.advance(1)
        self.sandbox.control.handle("POST", "revoke", {"user": "alice", "subcode": subcode})
        self._carry(None, rounds, None, 0)
        if soon:
            self._reconnect()

    @rule(seconds=st.sampled_from(SPANS), beat=st.sampled_from([True, True, True, False]))
    def wait(self, seconds: int, beat: bool) -> None:
        """Time passes, with the schedule running or not."""
        self.clock.advance(seconds)
        if beat:
            self._release_all()
            self._look_through()
            self._sync()
            self._sweep(1)

    # --- Meta -----------------------------------------------------------------------------------------------------

    @rule(
        fault=st.sampled_from(("calm", "stale", *FAULTS_OF_ALL)),
        method=st.sampled_from(["GET", "POST"]),
        times=st.sampled_from([1, 1, 2, 6]),
    )
    def fail(self, fault: Any, method: str, times: int) -> None:
        """Meta fails some calls, answers reads from a minute ago, or is well again."""
        if fault == "calm":
            self._disarm()
            self._reconnect()
        elif fault == "stale":
            self._arm(("stale_read", {"seconds": 60}), "GET", times)
        else:
            self._arm(fault, method, times)

    # --- the process ------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0, 3, 4, 15]), twice=st.booleans())
    def work(self, seconds: int, twice: bool) -> None:
        """What beat does every few seconds; a doubled one finds nothing more to do."""
        for _ in range(3):
            self._sweep(1 + twice)
            self.clock.advance(seconds)

    @precondition(lambda self: self._moving())
    @rule(how=st.sampled_from(DEAD), count=st.integers(0, 12), seconds=st.sampled_from([0, 4, 61]))
    def die(self, how: str, count: int, seconds: int) -> None:
        """The worker dies in the middle, and another one goes on later."""
        self._sweep(1, how=how, count=count)
        self.clock.advance(seconds)
        self._sweep(1)

    @rule(index=st.integers(0, 50))
    def wake(self, index: int) -> None:
        """A message that came twice."""
        rows = list(Change.everything.order_by("pk"))
        if rows:
            change = rows[index % len(rows)]
            with self._stops_hold():
                step(str(change.uuid), self._now)
                step(str(change.uuid), self._now)

    # --- what must hold after every step ------------------------------------------------------------------------------

    @invariant()
    def nothing_is_broken(self) -> None:
        self._look()
        stands = self._stands()
        if stands == self.checked:
            return
        breaches = [
            one for one in check(ad_account=self.desk.account, now=self._now) if one.invariant != "N27"
        ]
        assert breaches == [], breaches
        self.checked = stands

    @staticmethod
    def _stands() -> object:
        """All that the product's own check looks at, but for the text of the ledger's lines, which triggers keep."""
        return (
            _asked(
                "SELECT id, ad_account_id, object_id, field, target, state, attempts FROM campaigns_change"
            ),
            _asked("SELECT id, change_id, n, value FROM campaigns_attempt"),
            _asked("SELECT ad_account_id, seq, hash FROM campaigns_ledgerhead"),
            _asked("SELECT count(*) FROM campaigns_ledgerline"),
        )

    @invariant()
    def what_a_change_is_for_never_changes(self) -> None:
        for uuid, *now in _asked("SELECT uuid, before, target, key FROM campaigns_change"):
            assert self.wanted.setdefault(str(UUID(str(uuid))), tuple(now)) == tuple(now), "N3"

    def _look(self) -> None:
        known = len(self.history.effects)
        for write in self.history.read():
            self.tally.writes += 1
            self.tally.unknown += write.answered == "unknown"
            self._written_ahead(write)
            self._no_more_than_four_an_hour(write)
            self._settled_before_another_value(write)
            self._no_raise_on_old_knowledge(write)
            self._from_what_it_was_asked_over(write)
        if len(self.history.effects) > known:
            self._at_most_one_effect_each()

    def _written_ahead(self, write: Write) -> None:
        attempts = Attempt.everything.filter(object_id=write.object_id, field=write.field, value=write.value)
        committed = [one for one in attempts if one.committed_at.timestamp() <= write.at]
        assert attempts.count() >= len(self._alike(write)), f"N1: {write} without a row of its own"
        assert committed, f"N1: {write} before its attempt was committed"

    def _no_more_than_four_an_hour(self, write: Write) -> None:
        if write.field != "status":
            recent = [
                one
                for one in self.history.writes
                if one.object_id == write.object_id
                and one.field != "status"
                and one.answered != "refused"
                and write.at - 3600 < one.at <= write.at
            ]
            assert len(recent) <= 4, f"N6: {len(recent)} budget writes within an hour: {recent}"

    def _settled_before_another_value(self, write: Write) -> None:
        for one in self.history.writes:
            other = (one.object_id, one.field) == (write.object_id, write.field) and one.value != write.value
            if other and one.answered == "unknown" and one.n < write.n:
                resolved = self._resolved_by_a_person(one)
                assert resolved or write.at - one.at >= SETTLE, f"N10: {write} too soon after {one}"

    def _resolved_by_a_person(self, write: Write) -> bool:
        rows = Attempt.everything.filter(object_id=write.object_id, field=write.field, value=write.value)
        return rows.filter(change__state="SUPERSEDED").exists()

    def _no_raise_on_old_knowledge(self, write: Write) -> None:
        change = self._behind(write)
        if change is None or not change.direction.spends_more:
            return
        age = write.at - self.synced_at.timestamp()
        assert age <= 2 * 3600, f"N18: a raise on a structure of {age:.0f} s"
        until = change.evidence_valid_until
        assert until is None or write.at < until.timestamp(), f"N11: {write} on numbers that were too old"
        if change.source == Source.STRATEGY:
            assert until is not None, f"N11: {write} of a rule without evidence"
        if write.field == "daily_budget":
            self._within_the_caps(write)

    def _within_the_caps(self, write: Write) -> None:
        """Caps are moved between two looks only: those that stand now stood when the write left."""
        value = Decimal(write.value) / 100
        for cap in Envelope.everything.filter(client=self.agency.northwind, period=Period.DAY.value):
            assert value <= cap.amount, f"N4: {write} above the day's {cap.amount} of the {cap.scope}"

    def _from_what_it_was_asked_over(self, write: Write) -> None:
        """The first request of a change leaves only over the value that it was asked over: two reads agreed on it. A
        read may have shown what stood a while before (Meta's replicas lag), which nobody can see in it."""
        change = self._behind(write)
        if change is None:
            return
        since = change.created_at.timestamp()
        if any(one.n < write.n and one.at >= since for one in self._alike(write)):
            return
        reads = [
            line
            for line in self.sandbox.history
            if line["method"] == "GET"
            and line["path"] == write.object_id
            and line["n"] < write.n
            and line["at"] >= since
        ]
        assert len(reads) >= 2 and reads[-1]["at"] - reads[0]["at"] >= 3, (
            f"N9: {write} after {len(reads)} reads"
        )
        at, node = reads[-1].get("read_at", reads[-1]["at"]), self.sandbox.world.nodes[write.object_id]
        stood = {str(node.get(write.field, moment)) for moment in (at - 0.001, at)}
        assert _wire(change, change.before) in stood, f"N9: {write} over {stood}, not over {change.before}"

    def _behind(self, write: Write) -> Change | None:
        """The change that a write is of: the newest one that was sent with this value."""
        sent = Change.everything.filter(object_id=write.object_id, field=write.field, attempts__gt=0)
        alike = [change for change in sent.order_by("-pk") if _wire(change, change.target) == write.value]
        return alike[0] if alike else None

    def _at_most_one_effect_each(self) -> None:
        sent = Counter(
            (change.object_id, change.field, _wire(change, change.target))
            for change in Change.everything.filter(attempts__gt=0)
        )
        for (object_id, name, value), count in Counter(
            (one.object_id, one.field, one.value) for one in self.history.effects if one.ours and one.real
        ).items():
            most = sent[object_id, name, value] + len(self.history.theirs(object_id, name))
            assert count <= most, f"N2: {value} of {object_id} took effect {count} times"

    def _alike(self, write: Write) -> list[Write]:
        return [
            one
            for one in self.history.writes
            if (one.object_id, one.field, one.value) == (write.object_id, write.field, write.value)
        ]

    # --- the end: quiet ---------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        try:
            self._quiet()
        finally:
            self.stage.close()

    def _quiet(self) -> None:
        """When nothing fails any more, everything comes to an end, and the ledger says what is so."""
        self._disarm()
        self.clock.advance(61)
        self._release_all()
        self._reconnect()
        self._sync()
        for _ in range(200):
            self._sweep(1)
            self._look_through()  # after the sweep: one that was begun three times is put aside when it is taken again
            if not self._moving():
                break
            self._until_due()
        left = list(
            Change.everything.filter(state__in=MOVING).values_list("state", "error_text", "not_before")
        )
        assert left == [], f"N27: still moving {left}"
        self._look()
        assert check(ad_account=self.desk.account, now=self._now) == []
        for change in Change.everything.all():
            self.tally.ends[change.state] += 1
            self._ledger_is_true(change)

    def _ledger_is_true(self, change: Change) -> None:
        value = _wire(change, change.target)
        ours = [one for one in self.history.ours(change.object_id, change.field) if one.value == value]
        alike = Change.everything.filter(object_id=change.object_id, field=change.field, target=change.target)
        said = alike.filter(uuid__in=self.told).exists()  # then it is that person's word
        if change.state == ChangeState.APPLIED:
            assert self._was_set(change, value), f"N15: {change} is applied, but Meta never set it"
        elif change.state in SILENT and not said and not alike.exclude(state__in=SILENT).exists():
            assert ours == [], f"N15: {change} is {change.state}, but it took effect: {ours}; {_told(change)}"
        elif change.state == ChangeState.NEEDS_HUMAN:
            assert Alert.everything.filter(key=f"change:{change.uuid}", closed_at__isnull=True).exists(), (
                "N15"
            )

    def _until_due(self) -> None:
        """Time passes until something may move, for 3 s to 5 minutes."""
        now = self._now
        rows = Change.everything.filter(state__in=MOVING).values_list("not_before", "lease_until")
        due = [max(filter(None, moments), default=now) for moments in rows]
        wait = (min(due, default=now) - now).total_seconds()
        self.clock.advance(min(max(wait, 3.0), 300.0))

    def _was_set(self, change: Change, value: str) -> bool:
        """By us; or, where Meta took our request and did nothing, by somebody who wanted the same after it."""
        where = (change.object_id, change.field, value)
        wrote = [one.at for one in self.history.writes if (one.object_id, one.field, one.value) == where]
        there = [one for one in self.history.effects if (one.object_id, one.field, one.value) == where]
        return any(one.ours or (wrote and one.at >= wrote[0]) for one in there)

    def _moving(self) -> bool:
        return not _states().isdisjoint(MOVING)

    def _on_their_way(self) -> list[tuple[str, str]]:
        """Object and field of each change that has been taken up and has not ended."""
        rows = _asked("SELECT state, object_id, field FROM campaigns_change ORDER BY id")
        return [(object_id, name) for state, object_id, name in rows if state in IN_FLIGHT]

    # --- helpers --------------------------------------------------------------------------------------------------

    def _ask(self, which: int, field: Field, target: str, who: str, *, sure: bool) -> Change | None:
        level, object_id = self.objects[which]
        with contextlib.suppress(Refused):
            change = self.desk.file(
                target, field=field, obj=_Named(level, object_id), who=who, acknowledged=sure
            )
            self._remember(change)
            return change
        return None

    def _see_to(self, object_id: str, name: str) -> None:
        """What an attentive person does first: nothing is stopped, the token is good, what stands has been read, who
        edited the object has been asked, and the change before has had its time."""
        if _asked("SELECT 1 FROM campaigns_switch WHERE released_at IS NULL"):
            self._release_all()
        if not _asked("SELECT 1 FROM accounts_metaconnection WHERE state = 'connected'"):
            self._reconnect()
        if self._now - self.synced_at > timedelta(minutes=30):
            self._sync()
        alice = self.agency.principals.alice
        for hold in Hold.everything.filter(object_id=object_id, until__gt=self._now, resumed_at__isnull=True):
            switch.resume(principal=alice, uuid=str(hold.uuid), reason="I know", now=self._now)
        for _ in range(8):
            if (object_id, name) not in self._on_their_way():
                break
            self._sweep(1)
            self._until_due()

    def _propose(self, which: int, field: Field, target: str, *, age: int) -> None:
        now = self._now
        level, object_id = self.objects[which]
        evidence = Evidence(1, now - timedelta(seconds=age), "sum", now + timedelta(seconds=3600 - age))
        with contextlib.suppress(Refused):
            change = request.file(
                principal=access.system(self.desk.account.client),
                ad_account=self.desk.account,
                level=level,
                object_id=object_id,
                field=field,
                target=target,
                reason="a rule",
                source=Source.STRATEGY,
                key=str(uuid4()),
                evidence=evidence,
                strategy_ref="s1",
                now=now,
            )
            self._remember(change)

    def _carry(self, fault: Any, rounds: int, dies: str | None, count: int) -> None:
        """Approve what waits, and let the sweep do some rounds; the last one may be cut short by death."""
        waiting = Change.everything.filter(state=ChangeState.PROPOSED.value).select_related(
            "ad_account", "client"
        )
        for change in waiting:
            self.asked[change.pk] += 1
            if self.asked[change.pk] > 2:
                continue  # what she may not do alone waits for `decide`
            with contextlib.suppress(Refused):
                principal = self.agency.principals.alice
                approvals.approve(change=change, principal=principal, digest=change.digest, now=self._now)
        if fault is not None:
            self._arm(fault, "POST", 1)
        for _ in range(rounds):
            self._sweep(1)
            self.clock.advance(4)
        if dies:
            self._sweep(1, how=dies, count=count)

    def _arm(self, fault: tuple[str, dict[str, Any]], method: str, times: int) -> None:
        name, options = fault
        self.sandbox.faults.arm(name, {"method": method}, times, at=self.clock.timestamp(), **options)

    def _sync(self) -> None:
        began = self._now
        with contextlib.suppress(Refused):
            if self.desk.sync().state == "complete":
                self.synced_at = began

    @property
    def _now(self) -> datetime:
        return self.clock.now()

    def _remember(self, change: Change) -> None:
        self.wanted.setdefault(str(change.uuid), (change.before, change.target, change.key))

    def _pick(self, index: int, state: ChangeState) -> Change | None:
        rows = list(
            Change.everything.filter(state=state.value).select_related("client", "ad_account").order_by("pk")
        )
        return rows[index % len(rows)] if rows else None

    def _amount(self, which: int, factor: str) -> str:
        """What stands there, times `factor`."""
        node = self.sandbox.world.nodes[self.objects[which][1]]
        stands = node.get("daily_budget", self.clock.timestamp())
        amount = Decimal(stands or 5_000) / 100 * Decimal(factor)
        return str(amount.quantize(Decimal("0.01")))

    def _truth(self, object_id: str, name: str) -> str:
        return str(self.sandbox.world.nodes[object_id].get(name, self.clock.timestamp()))

    def _edit(self, object_id: str, name: str, value: Any) -> None:
        self.tally.edits += 1
        self.tally.in_flight += (object_id, name) in self._on_their_way()
        body = {"object_id": object_id, "field": name, "value": value, "actor": "Hanna Human"}
        self.sandbox.control.handle("POST", "edit", body)

    def _scope(self, name: str) -> Scope:
        return {
            "global": Scope(),
            "client": Scope(client=self.agency.northwind),
            "account": Scope(ad_account=self.desk.account),
            "strategy": Scope(client=self.agency.northwind, strategy_ref="s1"),
        }[name]

    def _release_all(self) -> None:
        for name in ("global", "client", "account", "strategy"):
            switch.release(
                scope=self._scope(name), principal=self.agency.principals.alice, reason="go on", now=self._now
            )

    @staticmethod
    def _look_through() -> None:
        """Staff let what was put aside, since its worker died over it three times, be tried again."""
        for strike in strikes.parked():
            strikes.release(strike)

    def _disarm(self) -> None:
        self.sandbox.control.handle("DELETE", "faults", {})

    def _reconnect(self) -> None:
        with contextlib.suppress(Refused):
            connect(
                client=self.agency.northwind,
                principal=self.agency.principals.alice,
                token=self.sandbox.token("alice"),
                now=self._now,
                user=self.agency.users.alice,
            )

    @contextlib.contextmanager
    def _stops_hold(self) -> Iterator[None]:
        """N12: what is stopped before a step is not written to in it; nor is what was put aside."""
        aside = set(strikes.names("change:"))
        pulled = {
            scope for (scope,) in _asked("SELECT scope FROM campaigns_switch WHERE released_at IS NULL")
        }
        before = len(self.history.writes)
        try:
            yield
        finally:
            self._look()
            sent = self.history.writes[before:]
            assert not (pulled & {"global", "client", "account"}) or sent == [], f"N12: {sent} after {pulled}"
            if aside:
                taken = {str(change.uuid) for change in map(self._behind, sent) if change is not None}
                assert not taken & aside, f"{sent} of what was put aside"

    def _sweep(self, times: int, *, how: str = "", count: int = 0) -> None:
        if _states().isdisjoint(SWEPT):
            self.idle += 1
            if self.idle % SOME:
                return
        with self._stops_hold():

            def work() -> None:
                for _ in range(times):
                    sweep()

            if how:
                self.tally.kills += not self.ground.lives(self.stage.wire, how, count, work)
            else:
                work()


@dataclass(frozen=True)
class _Named:
    """As much of an object as `Desk.file` asks for."""

    level: Level
    meta_id: str


def _wire(change: Change, text: str) -> str:
    """A value of the change as it goes over the wire."""
    if change.field == Field.STATUS or not text:
        return text
    return str(money.to_minor(Decimal(text), change.currency))


def _told(change: Change) -> list[str]:
    """What the ledger says of the changes of the same field, for whoever reads a failure."""
    lines = LedgerLine.everything.filter(object_id=change.object_id, field=change.field).order_by("seq")
    return [
        f"{one.at:%d %H:%M:%S} {one.change_id} {one.before}->{one.after} {one.state} {one.note[:60]}"
        for one in lines
    ]


def _asked(question: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(question)
        return list(cursor.fetchall())


def _states() -> set[str]:
    """The states in which there is a change."""
    return {state for (state,) in _asked("SELECT DISTINCT state FROM campaigns_change")}


def machine_for(ground: Ground) -> type[ChangePath]:
    """The machine on this ground, with a tally of its own."""
    return type("ChangePathOfGround", (ChangePath,), {"ground": ground, "tally": Tally()})
