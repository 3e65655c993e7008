"""What the walks need of the sandbox: its control surface, and carrying changes to their end by moving the clock."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.door import session

CONTROL = "https://graph.facebook.com/_sandbox"


def control(sandbox: Any, method: str, path: str, **params: Any) -> Any:
    """One call of `/_sandbox/`."""
    http = session(sandbox)
    answer = http.request(
        method,
        f"{CONTROL}/{path}",
        params=params if method == "GET" else None,
        json=None if method == "GET" else params,
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def edit(sandbox: Any, object_id: str, field: str, value: Any, actor: str = "Hanna Human") -> Any:
    """A person's edit in Ads Manager."""
    return control(sandbox, "POST", "edit", object_id=object_id, field=field, value=value, actor=actor)


def writes(sandbox: Any, object_id: str) -> list[dict[str, Any]]:
    """The POSTs on the object that Meta received, from the sandbox's own history."""
    return [call for call in sandbox.history if call["method"] == "POST" and call["path"] == object_id]


def until_quiet(clock: Any, *, seconds: int = 900, step: int = 1) -> None:
    """Let the sweep do what is due, second by second of the test's clock."""
    from campaigns.models import Change
    from campaigns.states import TERMINAL, ChangeState
    from campaigns.tasks import sweep

    resting = {state.value for state in TERMINAL} | {
        ChangeState.PROPOSED.value,
        ChangeState.NEEDS_HUMAN.value,
    }
    for _ in range(0, seconds, step):
        sweep()
        if not Change.everything.exclude(state__in=resting).exists():
            return
        clock.advance(timedelta(seconds=step).total_seconds())
    raise AssertionError(f"still moving: {list(Change.everything.values_list('state', 'error_text'))}")
