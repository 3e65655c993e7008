"""Django's own report of a crash (mails to ADMINS, the page under DEBUG), without a value of anybody's.

Django hides variables whose *name* says so. A token also stands in rows, in headers, in the wire's buffers and in
the address that Meta sends a browser to: so this report shows where it broke, and names instead of values.
"""

from __future__ import annotations

from types import SimpleNamespace, TracebackType
from typing import Any, Final

from django.http import HttpRequest, QueryDict
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter

from accounts.redaction import redact

HIDDEN: Final = "[hidden]"
#: What of a request is shown: enough to find it again.
SHOWN: Final = ("REQUEST_METHOD", "PATH_INFO", "CONTENT_TYPE", "CONTENT_LENGTH", "SERVER_NAME", "REMOTE_ADDR")


class Names(SafeExceptionReporterFilter):
    """Names and types instead of values; no settings."""

    def is_active(self, request: HttpRequest | None) -> bool:
        return True

    def get_safe_settings(self) -> dict[str, Any]:
        return {}

    def get_safe_request_meta(self, request: Any) -> dict[str, Any]:
        if request is None:
            return {}
        return {name: redact(str(request.META[name])) for name in SHOWN if name in request.META}

    def get_safe_cookies(self, request: Any) -> dict[str, Any]:
        return dict.fromkeys(request.COOKIES if request is not None else (), HIDDEN)

    def get_post_parameters(self, request: HttpRequest | None) -> Any:
        given = request.POST if request is not None else QueryDict()
        return QueryDict("&".join(f"{name}={HIDDEN}" for name in given if name.isidentifier()))

    def get_traceback_frame_variables(self, request: Any, tb_frame: Any) -> Any:
        return [(name, type(value)) for name, value in tb_frame.f_locals.items()]


class Report(ExceptionReporter):
    """A report whose address, parameters and words are clean as well."""

    def __init__(
        self,
        request: HttpRequest | None,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        tb: TracebackType | None,
        is_email: bool = False,
    ) -> None:
        super().__init__(request, exc_type, exc_value, tb, is_email)
        self.filter = Names()

    def get_traceback_data(self) -> Any:
        data: dict[str, Any] = dict(super().get_traceback_data())
        if self.request is not None:
            path = redact(self.request.path)
            # The page also asks the request itself: it gets one that says no more than the report does.
            data["request"] = SimpleNamespace(
                path_info=path, META=data["request_meta"], GET=self.request.GET.keys(), FILES=(), COOKIES=()
            )
            data["request_GET_items"] = [(name, HIDDEN) for name in self.request.GET]
            data["request_insecure_uri"] = path
        for name in ("exception_value", "exception_notes", "unicode_hint"):
            if data.get(name):
                data[name] = redact(str(data[name]))
        for frame in data.get("frames", ()):
            frame["exc_cause"] = _words(frame.get("exc_cause"))
        return data


def _words(error: Any) -> Any:
    return redact(f"{type(error).__name__}: {error}") if isinstance(error, BaseException) else error
