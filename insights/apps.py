"""The app's start: receivers are connected once."""

from django.apps import AppConfig


class InsightsConfig(AppConfig):
    name = "insights"
    verbose_name = "Insights"

    def ready(self) -> None:
        import insights.receivers  # noqa: F401 - connects itself
