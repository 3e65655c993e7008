"""Run policies on simulated ad accounts, through the real guards and change path, and compare what they earn.

The installation's own database and cache are never opened: the lab works in others, in memory.
"""

from __future__ import annotations

import hashlib
import json
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from metaads.clock import now
from metaads.sandbox.lab import family
from metaads.sandbox.lab.schema import SPLITS, BadWorlds
from strategies.lab import memory, report, trial, worker
from strategies.lab.policies import POLICIES, Policy, UnknownPolicy, named
from strategies.lab.trial import Trial


class Command(BaseCommand):
    help = "Compare policies on simulated ad accounts with the best that could have been done (docs/lab.md)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        every = ",".join(policy.name for policy in POLICIES)
        parser.add_argument("--worlds", type=Path, required=True, help="A file of worlds, see docs/lab.md")
        parser.add_argument(
            "--split", choices=SPLITS, help="Of a family: its training or its test seeds alone"
        )
        parser.add_argument("--only", help="Names of worlds, with commas")
        parser.add_argument("--policies", default=every, help=f"With commas; there are {every}")
        parser.add_argument("--days", type=int, default=28)
        parser.add_argument(
            "--warm-up", type=int, help="Days that do not count; half of them unless said otherwise"
        )
        parser.add_argument(
            "--jobs", type=int, default=1, help="Worlds at a time, each in a process of its own"
        )
        parser.add_argument(
            "--reuse",
            type=Path,
            help="A report (--json) of the same worlds and days: what it has of a policy in a world is not run again",
        )
        parser.add_argument("--seed", type=int, default=1, help="Of the intervals")
        parser.add_argument("--json", action="store_true", help="For a script")
        parser.add_argument(
            "--log",
            type=Path,
            help="Where each run on test seeds is noted; var/lab-runs.jsonl unless said otherwise",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        source = options["worlds"].resolve()
        days = options["days"]
        warm_up = days // 2 if options["warm_up"] is None else options["warm_up"]
        if not 1 <= days <= 365 or not 0 <= warm_up < days or options["jobs"] < 1:
            raise CommandError("--days is 1 to 365, --warm-up less than that, --jobs at least 1.")
        try:
            policies = [named(name.strip()) for name in options["policies"].split(",") if name.strip()]
            worlds = _chosen(source, options["split"], options["only"])
        except (BadWorlds, UnknownPolicy) as error:
            raise CommandError(str(error)) from None
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
        setup = {"file": source.name, "digest": digest, "days": days, "warm_up": warm_up}
        trials = _known(options["reuse"], setup, worlds, policies)
        known = {one.policy for one in trials}
        fresh = [policy for policy in policies if policy.name not in known]
        for found in _run(source, worlds, fresh, days=days, warm_up=warm_up, jobs=options["jobs"]):
            trials += found
            self.stderr.write(f"{found[0].world}: {sum(one.seconds for one in found):.0f} s")
        trials.sort(key=lambda one: _place(one, policies))
        words = {policy.name: policy.words for policy in policies}
        whole = report.report(trials, words=words, setup=setup, seed=options["seed"])
        if family.tested(source) & set(worlds):
            _note(options["log"] or settings.VAR_DIR / "lab-runs.jsonl", whole)
        self.stdout.write(json.dumps(whole, indent=2) if options["json"] else report.table(whole))


def _known(
    path: Path | None, setup: dict[str, Any], worlds: Sequence[str], policies: Sequence[Policy]
) -> list[Trial]:
    """Trials of an earlier report, of those policies that it has in every one of these worlds."""
    if path is None:
        return []
    try:
        found = json.loads(path.read_text())
        trials = report.trials_of(found)
    except (OSError, ValueError, KeyError, TypeError):
        raise CommandError(f"{path} is no report of this version.") from None
    differs = [key for key, value in setup.items() if key != "file" and found.get(key) != value]
    if differs:
        raise CommandError(f"{path} is a report of something else: {', '.join(differs)} differ.")
    have = {(one.world, one.policy) for one in trials}
    whole = {policy.name for policy in policies if all((world, policy.name) in have for world in worlds)}
    return [one for one in trials if one.policy in whole and one.world in worlds]


def _place(one: Trial, policies: Sequence[Policy]) -> tuple[str, int]:
    names = [trial.ORACLE, *(policy.name for policy in policies)]
    return one.world, names.index(one.policy)


def _chosen(source: Path, split: str | None, only: str | None) -> list[str]:
    names = family.names(source, split=split)
    if only is None:
        return names
    wanted = [name.strip() for name in only.split(",") if name.strip()]
    missing = [name for name in wanted if name not in names]
    if missing or not wanted:
        raise BadWorlds([("", f"has no world {', '.join(missing) or only!r}")])
    return wanted


def _run(
    source: Path, worlds: Sequence[str], policies: Sequence[Policy], *, days: int, warm_up: int, jobs: int
) -> Iterator[list[Trial]]:
    with memory.database() as image:
        if jobs == 1:
            for name in worlds:
                yield trial.run(source, name, policies, days=days, warm_up=warm_up)
            return
    names = [policy.name for policy in policies]
    yield from worker.run(source, worlds, names, days=days, warm_up=warm_up, jobs=jobs, image=image)


def _note(log: Path, whole: dict[str, Any]) -> None:
    """Whoever looked at test seeds, and what they saw, stays on record."""
    kept = {key: value for key, value in whole.items() if key != "trials"}
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file:
        file.write(json.dumps({"at": now().isoformat(), **kept}) + "\n")
