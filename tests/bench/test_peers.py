"""How the peers are asked and counted, without them: what is configured, what counts as landed, what is said of one
that is not there."""

from __future__ import annotations

import json
import os
import sys
from datetime import date

import pytest

from tests.bench import ingest, peers
from tests.bench.ground import Graph, spent

READY = {"port": 1, "access_token": "EAAtoken", "app_id": "1", "app_secret": "2"}


@pytest.fixture
def work(tmp_path):
    return peers.Work(
        graph=Graph(READY),
        since=date(2026, 3, 1),
        until=date(2026, 3, 8),
        home=tmp_path,
        postgres="postgres://someone@127.0.0.1/empty",
    )


def entry(*names):
    return {
        "tap_stream_id": "ads_insights",
        "schema": {"properties": {name: {} for name in names}},
        "metadata": [
            {"breadcrumb": [], "metadata": {"table-key-properties": ["ad_id"]}},
            *({"breadcrumb": ["properties", name], "metadata": {"inclusion": "available"}} for name in names),
        ],
    }


def test_of_a_singer_catalog_one_stream_and_the_named_fields_are_chosen():
    catalog = {"streams": [{"tap_stream_id": "ads"}, entry("ad_id", "spend", "cpp")]}
    (stream,) = peers.selected(catalog, "ads_insights", ("ad_id", "spend"))["streams"]
    chosen = {tuple(one["breadcrumb"]): one["metadata"]["selected"] for one in stream["metadata"]}
    assert chosen == {
        (): True,
        ("properties", "ad_id"): True,
        ("properties", "spend"): True,
        ("properties", "cpp"): False,
    }
    assert stream["metadata"][0]["metadata"]["table-key-properties"] == ["ad_id"]


def test_a_field_that_the_tap_does_not_have_is_not_left_out_in_silence():
    with pytest.raises(ValueError, match="ads_insights has no reach"):
        peers.selected({"streams": [entry("ad_id")]}, "ads_insights", ("ad_id", "reach"))


def test_the_tap_reads_the_first_day_by_its_buffer_of_one_day(work):
    config = peers.Singer().config(work)
    assert (config["start_date"], config["insights_buffer_days"]) == ("2026-03-02T00:00:00Z", "1")
    assert config["end_date"] == "2026-03-08T00:00:00Z"


def test_airbyte_is_asked_for_the_same_days_and_fields_as_the_sdk(work):
    (command,) = peers.Airbyte().commands(work)
    given = {name: json.loads((work.home / f"{name}.json").read_text()) for name in ("config", "catalog")}
    assert command[-5:] == [
        *("read", "--config", str(work.home / "config.json")),
        *("--catalog", str(work.home / "catalog.json")),
    ]
    assert (given["config"]["start_date"], given["config"]["end_date"]) == (
        "2026-03-01T00:00:00Z",
        "2026-03-08T00:00:00Z",
    )
    (insights,) = given["config"]["custom_insights"]
    assert tuple(insights["fields"]) == peers.FIELDS
    (stream,) = given["catalog"]["streams"]
    assert stream["stream"]["name"] == f"custom{insights['name']}"
    assert "http://127.0.0.1:1" in command


def test_only_whole_records_of_airbyte_are_rows():
    said = ['{"type":"LOG","log":{}}\n', '{"type":"RECORD","record":{}}\n', '{"type":"RECORD","rec']
    assert peers.records(said) == 1


def test_the_head_of_a_csv_file_is_no_row(work):
    assert peers.Reports().rows(work) == 0
    (work.home / "report.csv").write_text("ad_id,spend\n1,2\n3,4\n")
    assert peers.Reports().rows(work) == 2


def test_each_peer_has_a_pinned_version_of_each_of_its_packages():
    for peer in peers.PEERS:
        assert all(version[0].isdigit() for version in peer.versions().values())
        assert set(peer.versions()) == set(peer.homes)


def test_every_requirement_of_a_peer_is_pinned():
    found = sorted(peers.REQUIREMENTS.glob("*.txt"))
    assert {path.stem for path in found} == {home for peer in peers.PEERS for home in peer.homes}
    for path in found:
        assert all("==" in line for line in path.read_text().splitlines())


def test_a_peer_that_is_not_installed_is_named_with_what_installs_it(monkeypatch, tmp_path):
    monkeypatch.setattr(peers, "HOMES", tmp_path)
    found, missing = ingest.runnable("postgres://127.0.0.1/x")
    assert found == []
    assert missing[0] == (
        "tap-facebook + target-postgres (not installed: tap-facebook, meltanolabs-target-postgres; "
        "`make bench-peers` installs it)"
    )
    assert len(missing) == len(peers.PEERS)


def test_without_a_postgresql_the_pipe_into_it_is_left_out_and_named(monkeypatch, tmp_path):
    for peer in peers.PEERS:
        for home in peer.homes:
            (tmp_path / home / "bin").mkdir(parents=True)
            (tmp_path / home / "bin" / "python").touch()
    monkeypatch.setattr(peers, "HOMES", tmp_path)
    found, missing = ingest.runnable("")
    assert [peer.database for peer in found] == ["CSV file", "JSON lines"]
    assert missing == ["tap-facebook + target-postgres (needs a PostgreSQL: BENCH_POSTGRES_URL)"]
    assert ingest.runnable("postgres://127.0.0.1/x") == (list(peers.PEERS), [])


def test_what_a_peer_said_last_is_one_short_line():
    assert ingest.last_line("Traceback\n  ValueError: no\n\n") == "ValueError: no"
    assert len(ingest.last_line("x" * 1000)) == 300
    assert ingest.last_line("") == ""


@pytest.mark.prove
def test_a_pipe_is_measured_whole_and_its_last_process_lands(tmp_path):
    burn = "sum(range(10_000_000)); print('landed')"
    out = tmp_path / "out"
    one = spent([[sys.executable, "-c", burn]], os.environ, out)
    two = spent(
        [[sys.executable, "-c", burn], [sys.executable, "-c", f"print(input()); {burn}"]], os.environ, out
    )
    assert out.read_text() == "landed\nlanded\n"
    assert two.cpu_seconds > one.cpu_seconds > 0
    assert two.peak_mb > one.peak_mb > 0
    assert two.finished
    assert two.failed == ""


@pytest.mark.prove
def test_a_pipe_that_takes_too_long_is_ended_and_keeps_what_it_landed(tmp_path):
    slow = "import time; print('landed', flush=True); time.sleep(600)"
    cost = spent([[sys.executable, "-c", slow], [sys.executable, "-c", "print(input(), flush=True); input()"]],
                 os.environ, tmp_path / "out", limit=3)  # fmt: skip
    assert not cost.finished
    assert cost.failed == ""
    assert cost.seconds < 60
    assert (tmp_path / "out").read_text() == "landed\n"


@pytest.mark.prove
def test_a_process_that_fails_says_why(tmp_path):
    cost = spent(
        [[sys.executable, "-c", "raise SystemExit('no such account')"]], os.environ, tmp_path / "out"
    )
    assert cost.finished
    assert cost.failed.strip() == "no such account"
