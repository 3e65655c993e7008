"""The app's start: receivers are connected once, and deletions wait for this floor's part."""

from django.apps import AppConfig


class StrategiesConfig(AppConfig):
    name = "strategies"
    verbose_name = "Strategies"

    def ready(self) -> None:
        import accounts.deletions as deletions
        import strategies.erasure as erasure
        import strategies.receivers  # noqa: F401 - connects itself

        deletions.expect(part=erasure.PART, words=erasure.WORDS)
