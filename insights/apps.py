"""The app's start: receivers are connected once, and deletions wait for this floor's part."""

from django.apps import AppConfig


class InsightsConfig(AppConfig):
    name = "insights"
    verbose_name = "Insights"

    def ready(self) -> None:
        import accounts.deletions as deletions
        import insights.erasure as erasure
        import insights.receivers  # noqa: F401 - connects itself

        deletions.expect(part=erasure.PART, words=erasure.WORDS)
