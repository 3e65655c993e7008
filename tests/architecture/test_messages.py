"""What is put on the queue is an id: a message is kept by the broker, printed by tools, and read by whoever can."""

from __future__ import annotations

import ast

import pytest

from tests.architecture.source import modules

pytestmark = pytest.mark.fault("F91")

#: When and where, never what.
OPTIONS = {"countdown", "eta", "expires", "queue", "retry"}
#: (module, name) of lists of ids.
IDS = {("accounts.receivers", "mine")}


def carried(call: ast.Call) -> list[ast.expr] | None:
    """The expressions that become the message's arguments; None for what is no start of a task."""
    started = call.args[0] if call.args else None
    if (
        ast.unparse(call.func).endswith("partial")
        and isinstance(started, ast.Attribute)
        and started.attr in {"delay", "apply_async"}
    ):
        return carried(ast.Call(func=started, args=call.args[1:], keywords=call.keywords))
    if not isinstance(call.func, ast.Attribute):
        return None
    if call.func.attr == "delay":
        return [*call.args, *(keyword.value for keyword in call.keywords)]
    if call.func.attr != "apply_async":
        return None
    given = list(call.args[:1]) + [word.value for word in call.keywords if word.arg in ("args", "kwargs")]
    strange = [word.value for word in call.keywords if word.arg not in {*OPTIONS, "args", "kwargs"}]
    found = [part for one in given for part in (one.elts if isinstance(one, ast.Tuple | ast.List) else [one])]
    return [*found, *call.args[1:], *strange]


def is_an_id(value: ast.expr) -> bool:
    """A name that says so, or the id of a row."""
    if isinstance(value, ast.Name):
        return value.id.endswith("_id") or value.id in {"pk", "uuid"}
    if isinstance(value, ast.Attribute):
        return value.attr in {"pk", "id", "uuid"} or value.attr.endswith("_id")
    return (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Name)
        and value.func.id == "str"
        and len(value.args) == 1
        and is_an_id(value.args[0])
    )


def test_every_message_carries_ids_and_nothing_else() -> None:
    starts, wrong = 0, []
    for module in modules():
        for call in module.calls():
            given = carried(call)
            if given is None:
                continue
            starts += 1
            wrong += [
                f"{module.at(call)}: {ast.unparse(value)}"
                for value in given
                if not (is_an_id(value) or (module.name, ast.unparse(value)) in IDS)
            ]
    assert wrong == []
    assert starts >= 8, "the starts of tasks were found"


def test_no_task_is_started_by_its_name_with_arguments_that_nobody_checks() -> None:
    found = [
        module.at(call)
        for module in modules()
        for call in module.calls()
        if isinstance(call.func, ast.Attribute) and call.func.attr in {"send_task", "signature", "subtask"}
    ]
    assert found == []


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("task.delay(account_id)", True),
        ("task.delay(row.pk)", True),
        ("task.apply_async((str(change.uuid),), countdown=2)", True),
        ("functools.partial(task.delay, row.pk)", True),
        ("partial(task.apply_async, (token,), retry=False)", False),
        ("task.delay(token)", False),
        ("task.delay(connection_id, token=text)", False),
        ("task.apply_async((connection_id, 'EAA'), countdown=2)", False),
        ("task.apply_async(kwargs={'token': text})", False),
        ("task.apply_async((pk,), headers={'token': text})", False),
    ],
)
def test_the_rule_bites(text: str, good: bool) -> None:
    call = ast.parse(text, mode="eval").body
    assert isinstance(call, ast.Call)
    given = carried(call)
    assert given is not None and all(is_an_id(value) for value in given) is good
