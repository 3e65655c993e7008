"""What the sandbox refuses, and how the wire says so.

``GraphError`` is Meta's envelope (reference 3.1); ``NoAnswer`` is the wire going silent, whether or not the
effect happened. The table of codes is the sandbox's own reading of reference 3.3: the product's client has another one.
"""

from __future__ import annotations

from typing import Any

OAUTH = "OAuthException"
METHOD = "GraphMethodException"


class NoAnswer(Exception):
    """The connection never answers. ``applied`` says whether the effect took place before."""

    def __init__(self, *, applied: bool) -> None:
        super().__init__("the sandbox does not answer")
        self.applied = applied


class GraphError(Exception):
    """An ``{"error": {...}}`` answer."""

    def __init__(
        self,
        code: int,
        message: str,
        *,
        subcode: int | None = None,
        status: int = 400,
        kind: str = OAUTH,
        transient: bool | None = None,
        title: str | None = None,
        user_message: str | None = None,
        blame: list[list[str]] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.subcode = subcode
        self.status = status
        self.kind = kind
        self.transient = transient
        self.title = title
        self.user_message = user_message
        self.blame = blame

    def body(self, *, trace: str) -> dict[str, Any]:
        """The JSON document, keys in Meta's order, absent keys left out."""
        error: dict[str, Any] = {"message": self.message, "type": self.kind}
        if self.transient is not None:
            error["is_transient"] = self.transient
        error["code"] = self.code
        if self.subcode is not None:
            error["error_subcode"] = self.subcode
        if self.title is not None:
            error["error_user_title"] = self.title
        if self.user_message is not None:
            error["error_user_msg"] = self.user_message
        if self.blame is not None:
            error["error_data"] = {"blame_field_specs": self.blame}
        error["fbtrace_id"] = trace
        return {"error": error}


def invalid(
    message: str, *, subcode: int | None = None, field: str | None = None, title: str | None = None
) -> GraphError:
    """Code 100: fix the request."""
    return GraphError(
        100,
        f"(#100) {message}" if subcode is None else "Invalid parameter",
        subcode=subcode,
        title=title if subcode is None or title else "Invalid parameter",
        user_message=message if subcode is not None else None,
        blame=[[field]] if field else None,
    )


def gone(object_id: str) -> GraphError:
    """100/33: not there, not supported, or not yours (reference 3.3)."""
    return GraphError(
        100,
        f"Unsupported get request. Object with ID '{object_id}' does not exist, cannot be loaded due to "
        f"missing permissions, "
        "or does not support this operation.",
        subcode=33,
        kind=METHOD,
    )


def unknown_field(name: str, node_type: str) -> GraphError:
    """The message that clients rely on in development (reference 8.3)."""
    return GraphError(100, f"(#100) Tried accessing nonexisting field ({name}) on node type ({node_type})")


AUTH_MESSAGES = {
    458: "Error validating access token: The user has not authorized application.",
    459: "Error validating access token: You cannot access the app till you log in to www.facebook.com "
    "and follow the "
    "instructions given.",
    460: "Error validating access token: The session has been invalidated because the user changed their password.",
    463: "Error validating access token: Session has expired.",
    464: "Error validating access token: Sessions for the user are not allowed because the user is not a "
    "confirmed user.",
    467: "Error validating access token: This may be because the user logged out or may be due to a system error.",
    492: "Error validating access token: Session does not match current stored session.",
}


def auth(subcode: int | None) -> GraphError:
    """Code 190 with the subcode that says why (reference 3.3)."""
    message = AUTH_MESSAGES.get(subcode or 0, "Invalid OAuth access token - Cannot parse access token")
    return GraphError(190, message, subcode=subcode)


def no_token() -> GraphError:
    """A call without a token (reference 12; exact code unverified there)."""
    return GraphError(
        2500, "An active access token must be used to query information about the current user."
    )


def permission(message: str = "Permissions error", *, code: int = 200) -> GraphError:
    """Codes 10 and 200-299: the person or the app may not."""
    return GraphError(code, f"(#{code}) {message}", status=403)


THROTTLES: dict[int, tuple[int | None, str]] = {
    4: (1504022, "(#4) Application request limit reached"),
    17: (2446079, "(#17) User request limit reached"),
    32: (None, "(#32) Page request limit reached"),
    341: (None, "(#341) Application limit reached"),
    613: (1487742, "(#613) Calls to this api have exceeded the rate limit."),
    80000: (
        2446079,
        "(#80000) There have been too many calls from this ad-account. Wait a bit and try again.",
    ),
    80003: (2446079, "(#80003) There have been too many calls to this custom audience."),
    80004: (
        2446079,
        "(#80004) There have been too many calls to this ad-account. Wait a bit and try again. For more "
        "info, please refer "
        "to https://developers.facebook.com/docs/graph-api/overview/rate-limiting.",
    ),
}


def throttled(code: int = 17, *, subcode: int | None = None) -> GraphError:
    """A rate limit; HTTP 400 and no ``Retry-After`` (reference 3.2)."""
    known, message = THROTTLES.get(code, (None, f"(#{code}) Request limit reached"))
    return GraphError(
        code,
        message,
        subcode=subcode if subcode is not None else known,
        transient=True,
        title="Too many calls",
        user_message="Wait a bit and try again.",
    )


def transient(code: int = 2, *, subcode: int | None = None) -> GraphError:
    """A temporary failure on Meta's side: HTTP 500."""
    return GraphError(
        code,
        "(#2) Service temporarily unavailable" if code == 2 else "An unknown error occurred",
        subcode=subcode,
        status=500,
        transient=True,
    )


def reduce_data() -> GraphError:
    """Too much per call: never succeeds on a plain retry (reference 3.3)."""
    return GraphError(
        1,
        "Please reduce the amount of data you're asking for, then retry your request",
        status=500,
    )


def retired(version: str) -> GraphError:
    """2635: the Marketing API version is over (reference 1.1)."""
    return GraphError(
        2635,
        f"(#2635) You are calling a deprecated version of the Ads API ({version}). Please update to the "
        f"latest version: v26.0.",
    )
