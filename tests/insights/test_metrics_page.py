"""docs/metrics.md is the registry, printed."""

from io import StringIO
from pathlib import Path

from django.core.management import call_command

from insights.metrics import ALIASES, METRICS

ROOT = Path(__file__).resolve().parents[2]


def printed() -> str:
    out = StringIO()
    call_command("metrics", stdout=out)
    return out.getvalue()


def test_the_page_in_docs_says_what_the_registry_says():
    assert (ROOT / "docs/metrics.md").read_text() == printed(), (
        "run: python manage.py metrics > docs/metrics.md"
    )


def test_every_metric_and_every_other_name_is_on_it():
    text = printed()
    assert all(f"`{name}`" in text for name in (*METRICS, *ALIASES))
