"""Days too large for one answer are read by reports that Meta prepares: polled, cut, resumed, stored as one."""

import pytest

from insights.analytics import account_today, table
from insights.fetch import first_sync
from insights.models import DayRow, FetchRun, HourRow, ReportRun, Slice
from insights.questions import LEVELS
from insights.report_runs import NO_PROGRESS, advance, due, pending
from insights.store.rollups import checksum
from insights.windows import DAY

pytestmark = pytest.mark.django_db
COLUMNS = ("level", "object_id", "day", "breakdown", "spend", "impressions", "purchases", "reach", "actions")


def facts(account):
    days = DayRow.objects.of(account).order_by("level", "object_id", "day").values_list(*COLUMNS)
    hours = HourRow.objects.of(account).order_by("object_id", "day", "hour")
    return list(days), list(hours.values_list("object_id", "day", "hour", "spend"))


@pytest.fixture
def large(connected, sandbox):
    """Meta refuses every synchronous read of the account's rows; what reports hold can be read."""
    account = connected.ad_account
    account.too_large = sandbox.faults.arm(
        "reduce", match={"path": f"{account.act_id}/insights", "method": "GET"}, times=None, at=0.0
    )
    return account


def to_the_end(account, clock, *, steps=60):
    """What the scan does, until no report is open."""
    for _ in range(steps):
        if not ReportRun.objects.of(account).filter(parent__isnull=True, state="cut").exists():
            return
        advance(ad_account=account, now=clock.now())
        clock.advance(5)
    raise AssertionError([str(one) for one in ReportRun.objects.of(account)])


def plain(account, clock, days):
    """The same days read without any trouble: what the table has to be."""
    first_sync(ad_account=account, days=days, now=clock.now(), kind="manual")
    return facts(account)


def read_by_reports(account, clock, days=2):
    run = first_sync(ad_account=account, days=days, now=clock.now())
    assert run.state == "waiting" and "Meta prepares a report" in run.sentence
    to_the_end(account, clock)


def ends_like_a_plain_read(account, sandbox, clock, days=2):
    by_report = facts(account)
    slices = Slice.objects.of(account).filter(kind="day", complete=True)
    assert slices.count() == days * len(LEVELS)
    assert not any(checksum(account_id=account.pk).values())
    sandbox.faults.disarm(account.too_large)
    for model in (DayRow, HourRow, Slice, ReportRun, FetchRun):
        model.objects.of(account).delete()
    assert by_report == plain(account, clock, days)


def test_a_day_too_large_for_one_answer_is_read_by_a_report(large, sandbox, clock):
    read_by_reports(large, clock)
    run = first_sync(ad_account=large, days=2, now=clock.now())
    assert run.state == "waiting"  # the running day is asked for anew
    ends_like_a_plain_read(large, sandbox, clock)


def test_no_slice_is_there_before_all_of_its_parts_are(large, clock):
    first_sync(ad_account=large, days=1, now=clock.now())
    advance(ad_account=large, now=clock.now())
    assert {one.state for one in ReportRun.objects.of(large).filter(parent__isnull=False)} == {"started"}
    assert not DayRow.objects.of(large).exists() and not Slice.objects.of(large).exists()
    to_the_end(large, clock)
    assert Slice.objects.of(large).filter(kind="day", complete=True).count() == len(LEVELS)


def test_a_day_that_is_ordered_is_not_ordered_twice(large, clock):
    for _ in range(3):
        first_sync(ad_account=large, days=1, now=clock.now())
        first_sync(ad_account=large, days=1, now=clock.now(), kind="manual")
    wholes = ReportRun.objects.of(large).filter(parent__isnull=True)
    assert sorted(wholes.values_list("breakdown", flat=True)) == [
        "",
        "hourly_stats_aggregated_by_advertiser_time_zone",
    ]
    today = account_today(large, clock.now())
    assert pending(ad_account=large, now=clock.now()) == {today}


def test_an_account_known_to_be_large_is_asked_for_a_report_at_once(large, sandbox, clock):
    read_by_reports(large, clock, days=1)
    sandbox.faults.disarm(large.too_large)
    clock.advance(3600)
    before = len(sandbox.journal.of("run"))
    run = first_sync(ad_account=large, days=1, now=clock.now(), kind="manual")
    assert run.state == "waiting"
    advance(ad_account=large, now=clock.now())
    assert len(sandbox.journal.of("run")) == before + len(LEVELS)


@pytest.mark.fault("F57")
@pytest.mark.parametrize("failures", [1, 4, 11])
def test_a_failed_report_is_cut_smaller_until_it_comes(large, sandbox, clock, failures):
    from campaigns.sync import run as structure

    structure(ad_account=large, now=clock.now())
    sandbox.faults.arm("run_failed", times=failures, at=0.0)
    read_by_reports(large, clock)
    ends_like_a_plain_read(large, sandbox, clock)


def test_days_campaigns_ad_sets_ads_and_fields_are_cut_in_turn():
    from insights.questions import Tree, cut, of_days
    from insights.windows import Period
    from tests.insights.conftest import TODAY

    tree = Tree((("1", "11", "111"), ("1", "11", "112"), ("1", "12", "121"), ("2", "21", "211")))
    question, seen = of_days("ad", Period(TODAY - DAY, TODAY)), []
    while (found := cut(question, tree)) is not None:
        kind, (question, rest) = found
        seen.append(kind if kind != "objects" else question.conditions[-1].level)
        if kind == "objects":
            assert (question.conditions[-1].operator, rest.conditions[-1].operator) == ("IN", "NOT_IN")
    assert seen[:4] == ["days", "campaign", "adset", "ad"]
    assert set(seen[4:]) == {"fields"}
    assert cut(of_days("account", Period(TODAY, TODAY)), tree)[0] == "fields"


@pytest.mark.fault("F57")
def test_what_can_be_cut_no_further_gives_up_with_a_reason_and_is_ordered_anew(large, sandbox, clock):
    fault = sandbox.faults.arm("run_failed", times=None, at=0.0)
    first_sync(ad_account=large, days=1, now=clock.now())
    for _ in range(400):
        if not ReportRun.objects.of(large).filter(parent__isnull=True, state="cut").exists():
            break
        advance(ad_account=large, now=clock.now())
        clock.advance(30)
    failed = ReportRun.objects.of(large).get(parent__isnull=True, level="")
    assert failed.state == "failed" and "could not" in failed.reason
    run = first_sync(ad_account=large, days=1, now=clock.now())
    assert run.state == "waiting" and "could not prepare" in run.sentence
    sandbox.faults.disarm(fault)
    clock.advance(3700)
    first_sync(ad_account=large, days=1, now=clock.now())
    to_the_end(large, clock)
    assert Slice.objects.of(large).filter(kind="day", complete=True).count() == len(LEVELS)


@pytest.mark.fault("F57")
def test_a_report_that_never_moves_is_given_up_and_asked_for_smaller(large, sandbox, clock):
    first_sync(ad_account=large, days=1, now=clock.now())
    advance(ad_account=large, now=clock.now())
    stuck = ReportRun.objects.of(large).filter(level="ad", state="started", parent__isnull=False)
    # Meta lost it: an id that it does not know any more.
    stuck.update(meta_run_id="999999999999")
    clock.advance(NO_PROGRESS.total_seconds() + 60)
    to_the_end(large, clock)
    assert Slice.objects.of(large).filter(kind="day", complete=True).count() == len(LEVELS)


class Killed(BaseException):
    """The process ended here."""


@pytest.mark.parametrize("step", range(1, 40, 3))
def test_a_kill_at_any_call_changes_nothing_in_the_end(large, sandbox, clock, step, monkeypatch):
    from metaads.graph.transport import Transport

    whole, calls = Transport.request, []

    def counted(self, *args, **more):
        calls.append(args[:2])
        answer = whole(self, *args, **more)
        if len(calls) == step:  # Meta did it, nobody heard
            raise Killed
        return answer

    monkeypatch.setattr(Transport, "request", counted)
    for _ in range(80):
        try:
            if first_sync(ad_account=large, days=1, now=clock.now()).state == "done":
                break
            advance(ad_account=large, now=clock.now())
        except Killed:
            clock.advance(130)  # leases of the killed one end
        clock.advance(5)
        done = Slice.objects.of(large).filter(kind="day", complete=True).count() == len(LEVELS)
        if done and not ReportRun.objects.of(large).filter(parent__isnull=True, state="cut").exists():
            break
    monkeypatch.undo()
    ends_like_a_plain_read(large, sandbox, clock, days=1)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_around_the_store_leaves_all_or_nothing(large, sandbox, clock, when, monkeypatch):
    import insights.report_runs as module

    real, hit = module.upsert, []

    def killed(**words):
        if not hit:
            hit.append(True)
            if when == "after":
                real(**words)
            raise Killed
        return real(**words)

    monkeypatch.setattr(module, "upsert", killed)
    first_sync(ad_account=large, days=1, now=clock.now())
    with pytest.raises(Killed):
        to_the_end(large, clock)
    assert Slice.objects.of(large).filter(kind="day").count() == (len(LEVELS) if when == "after" else 0)
    clock.advance(130)
    to_the_end(large, clock)
    ends_like_a_plain_read(large, sandbox, clock, days=1)


def test_a_throttle_lets_reports_wait_and_says_so(large, sandbox, clock):
    first_sync(ad_account=large, days=1, now=clock.now())
    sandbox.faults.arm("throttle", times=1, at=0.0)
    advance(ad_account=large, now=clock.now())
    whole = ReportRun.objects.of(large).filter(parent__isnull=True).first()
    assert whole.not_before > clock.now()
    assert large.pk not in due(now=clock.now()) or whole.reason
    clock.advance(1800)
    to_the_end(large, clock)
    assert Slice.objects.of(large).filter(kind="day", complete=True).count() == len(LEVELS)


@pytest.mark.fault("F61")
def test_an_old_answer_never_overwrites_a_newer_one(large, sandbox, clock):
    first_sync(ad_account=large, days=1, now=clock.now())
    advance(ad_account=large, now=clock.now())
    asked = clock.now()
    clock.advance(60)
    sandbox.faults.disarm(large.too_large)
    # Somebody reads the day by hand while the report is being prepared.
    from insights.questions import of_days
    from insights.rows import read
    from insights.store.write import Read, upsert
    from insights.windows import Period

    today = account_today(large, clock.now())
    question = of_days("account", Period(today, today))
    raw = {"account_id": large.meta_id, "date_start": str(today), "date_stop": str(today), "spend": "999999"}
    upsert(
        ad_account=large,
        rows=[read(raw, level=question.level)],
        slices=[Read("day", "account", today)],
        now=clock.now(),
    )
    to_the_end(large, clock)
    assert DayRow.objects.of(large).get(level="account", day=today).spend == 999999
    assert Slice.objects.of(large).get(kind="day", level="ad", day=today).fetched_at == asked


def test_what_meta_refused_is_not_asked_again_by_the_next_run(large, sandbox, clock):
    """On the limited tier the refusals alone use up the quota: the run waits, and must not begin at the same size."""
    sizes = []
    for _ in range(8):
        run = first_sync(ad_account=large, days=7, now=clock.now())
        sizes.append(run.longest)
        if "Meta prepares" in run.sentence:
            break
        clock.advance(301)
    assert "7 of 7 days" in run.sentence, sizes
    to_the_end(large, clock)
    assert Slice.objects.of(large).filter(kind="day", complete=True).count() == 7 * len(LEVELS)


def test_numbers_of_reports_are_the_truth(large, sandbox, clock):
    read_by_reports(large, clock)
    today = account_today(large, clock.now())
    yesterday = today - DAY
    found = sandbox.truth.totals(
        large.act_id, since=yesterday, until=yesterday, now=clock.now().timestamp(), level="ad"
    )
    got = table(large, level="ad", since=yesterday, until=yesterday, metrics=["spend"], now=clock.now())
    assert {row.object_id: int(row.values["spend"] * 100) for row in got.rows if row.values["spend"]} == {
        key: value["spend"] for key, value in found.items() if value["spend"]
    }


def test_a_client_s_account_that_was_switched_off_starts_no_report(large, clock):
    from accounts.ad_accounts import disable
    from insights.tasks import advance_reports

    first_sync(ad_account=large, days=1, now=clock.now())
    from accounts.access import principal_of
    from accounts.models import User

    disable(
        ad_account=large, principal=principal_of(User.objects.get(email="alice@example.com")), now=clock.now()
    )
    advance_reports(large.pk)
    assert not ReportRun.objects.of(large).exclude(meta_run_id="").exists()
