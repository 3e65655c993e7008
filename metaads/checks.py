"""Wrong combinations of settings, named with what to do. Errors keep the product from starting; E001-E0xx.

The checks of *production* run with `check --deploy`, and always when PRODUCTION is on.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

import metaads.mounts as mounts

#: Versions whose Marketing API Meta has switched off (docs/meta.md, section 1.1); the newest of them.
RETIRED_UP_TO = 24
#: The kernel's table of mounts; other systems than Linux have none, and there nothing is said.
MOUNTS = Path("/proc/mounts")


@register("metaads")
def combinations(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """What is wrong everywhere."""
    return [*_servers(), *_disk(), *_graph(), *_times(), *(_production() if settings.PRODUCTION else [])]


@register(Tags.security, deploy=True)
def deployment(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """What is wrong where real money is moved."""
    if not settings.PRODUCTION:
        return [
            Warning(
                "PRODUCTION is not set.",
                hint="Set PRODUCTION=true on a server that real people use.",
                id="metaads.W010",
            )
        ]
    return []


def _servers() -> list[CheckMessage]:
    database, redis = bool(settings.ENV["DATABASE_URL"]), bool(settings.ENV["REDIS_URL"])
    if database == redis:
        return []
    given, missing = ("DATABASE_URL", "REDIS_URL") if database else ("REDIS_URL", "DATABASE_URL")
    return [
        Error(
            f"{given} is set and {missing} is not.",
            hint="Set both (server form) or neither (one process, SQLite).",
            id="metaads.E001",
        )
    ]


def _disk() -> list[CheckMessage]:
    """SQLite over a network loses what it has promised, and two machines would each take the lock."""
    database = settings.DATABASES["default"]
    if not database["ENGINE"].endswith("sqlite3") or not MOUNTS.exists():
        return []
    path = str(Path(str(database["NAME"])).resolve())
    mount = mounts.holding(path, MOUNTS.read_text(errors="replace"))
    if mount is None or not mount.far:
        return []
    return [
        Error(
            f"The SQLite database {path} lies on a network or shared file system ({mount.kind} at {mount.target}).",
            hint="Its locks do not hold there and it would be damaged in silence. Stop everything, copy the database "
            "to a local disk and set VAR_DIR to that folder; or use PostgreSQL (DATABASE_URL with REDIS_URL).",
            id="metaads.E008",
        )
    ]


def _graph() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    version = re.fullmatch(r"v(\d{1,3})\.\d{1,2}", settings.META["version"])
    if version is None:
        found.append(
            Error(
                "META_GRAPH_VERSION is not a Graph API version.",
                hint="Write it like v26.0.",
                id="metaads.E002",
            )
        )
    elif int(version[1]) <= RETIRED_UP_TO:
        found.append(
            Warning(
                f"Meta has retired version {settings.META['version']} of the Marketing API.",
                hint="Calls may fail with error 2635 or be served by another version; set META_GRAPH_VERSION=v26.0.",
                id="metaads.W002",
            )
        )
    for name in ("graph_url", "dialog_url"):
        if not re.fullmatch(r"https?://[^/?#]+", settings.META[name]):
            found.append(
                Error(
                    f"META_{name.upper()} is not an address.",
                    hint="Scheme and host only, without a path.",
                    id="metaads.E003",
                )
            )
    missing = [f"META_{name.upper()}" for name in ("app_id", "app_secret") if not settings.META[name]]
    if missing:
        found.append(
            Warning(
                f"No Meta app is configured: {' and '.join(missing)} empty.",
                hint="Pages work, connecting does not. Make an app at developers.facebook.com and set both variables.",
                id="metaads.W001",
            )
        )
    return found


def _times() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if settings.POLL_SECONDS < 30:
        found.append(
            Error(
                "POLL_SECONDS is below 30.",
                hint="Meta's figures move every 15 minutes; 30 is the minimum.",
                id="metaads.E004",
            )
        )
    if settings.SETTLE_SECONDS < 1:
        found.append(
            Error(
                "SETTLE_SECONDS is below 1.",
                hint="An unanswered write needs time to land.",
                id="metaads.E005",
            )
        )
    if not 1 <= settings.LOOKBACK_DAYS <= 37:
        found.append(
            Error(
                "LOOKBACK_DAYS is not between 1 and 37.", hint="Meta restates for 28 days.", id="metaads.E006"
            )
        )
    if not 1 <= settings.FIRST_SYNC_DAYS <= 1120:
        found.append(
            Error(
                "FIRST_SYNC_DAYS is not between 1 and 1120.",
                hint="Meta keeps 37 months.",
                id="metaads.E007",
            )
        )
    return found


def _production() -> list[CheckMessage]:
    secure = settings.PUBLIC_URL.startswith("https://")
    wrong = (
        (
            settings.DEBUG,
            "DEBUG is on in production.",
            "Unset DEBUG: tracebacks show settings to strangers.",
            20,
        ),
        (
            not secure,
            "PUBLIC_URL is not https in production.",
            "Cookies and Meta's redirect need https://…",
            21,
        ),
        (
            bool(settings.GENERATED_KEYS),
            f"Generated keys are used in production: {', '.join(settings.GENERATED_KEYS)}.",
            "Set them in the environment and keep them apart from the database's backups (docs/operations.md).",
            22,
        ),
        (
            settings.SETTLE_SECONDS < 60,
            "SETTLE_SECONDS is below 60 in production.",
            "A write without an answer may land a minute later; judging sooner would repeat it.",
            23,
        ),
        (
            not settings.META["graph_url"].startswith("https://"),
            "META_GRAPH_URL is not https in production.",
            "Tokens would travel in clear.",
            24,
        ),
    )
    return [Error(text, hint=hint, id=f"metaads.E0{number}") for bad, text, hint, number in wrong if bad]
