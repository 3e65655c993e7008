"""The app's start: receivers are connected once."""

from django.apps import AppConfig


class StrategiesConfig(AppConfig):
    name = "strategies"
    verbose_name = "Strategies"

    def ready(self) -> None:
        import strategies.receivers  # noqa: F401 - connects itself
