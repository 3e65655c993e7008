"""Rules that no linter knows: one clock, one reader of the environment, one writer, tenants named, money exact."""

from __future__ import annotations

import ast

import pytest

from tests.architecture.source import FLOORS, Module, modules, resolved

#: Who may read the machine's clock. `time.monotonic` counts for deadlines and is not on the list.
CLOCKS = {"metaads.clock", "metaads.sandbox.clock"}
CLOCK_CALLS = {
    "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today",
    "time.time", "time.time_ns", "django.utils.timezone.now", "django.utils.timezone.localdate",
}  # fmt: skip

#: Who may read the process's environment: settings come from one table; the demo hands it on to its child processes.
ENVIRONMENT = {"config.env", "dashboard.management.commands.demo"}

#: Uses of `Model.everything` (all tenants at once): module -> why it may. A new use is argued here.
EVERYTHING: dict[str, str] = {
    # floor 2
    "accounts.ad_accounts": "a report by id from the floors above: the last good contact",
    "accounts.alerts": "what is open at any client, in one look, for the sentinel that reconciles it",
    "accounts.claims": "whether another client owns an ad account can only be seen across clients",
    "accounts.connections": "other rows of the same Meta user, to forget one token everywhere",
    "accounts.deletions": "a Meta user leaves at every client; what names them is found by their number",
    "accounts.grants": "a grant is found by its session, whoever is signed in; expired ones are swept",
    "accounts.links": "a link is found by its signed text; a guest who holds it has no client; old ones are swept",
    "accounts.invitations": "a link's secret names its invitation, and with it the client",
    "accounts.outbox": "one loop sends the mails of all clients; keys are unique over all",
    "accounts.receivers": "Meta names its user, who may be connected at several clients",
    "accounts.restored": "a backup brought back the rows of every client",
    "accounts.rotation": "keys belong to the installation; no value leaves it",
    "accounts.subscriptions": "scans ad accounts that are switched on",
    "accounts.sentinel": "a scanner",
    "accounts.tasks": "connections by id",
    # floor 3: a change, its account and its rows are found by id; the client came with the change
    "campaigns.changes.approvals": "the row that is decided on, read again under the lock; expired ones are swept",
    "campaigns.changes.caps": "the key of a cap is unique over all clients; it is made from the handed one's",
    "campaigns.changes.headroom": "the first caps of the account it is handed",
    "campaigns.changes.ledger": "locks and appends for the account of the change it is handed",
    "campaigns.changes.reading": "the claimed change and its account, read again under the lock",
    "campaigns.changes.request": "the key is unique over all clients; open changes of the handed account",
    "campaigns.changes.send": "a scanner, and the claimed change",
    "campaigns.changes.settle": "attempts of the claimed change",
    "campaigns.changes.switch": "a stop may cover all clients; holds of one object",
    "campaigns.erasure": "a Meta user is forgotten at every client",
    "campaigns.management.commands.stop": "an operator's command",
    "campaigns.receivers": "Meta names ad accounts, not clients",
    "campaigns.sync": "writes rows of the account it is handed",
    "campaigns.tasks": "scanners, and accounts by id",
    # floor 6
    "dashboard.pages.frame": "stops that cover every client are shown to everybody",
    # floor 4
    "insights.detectors": "odd days of all accounts in one look; the alert of each goes to its own client",
    "insights.erasure": "a Meta user is forgotten at every client",
    "insights.fetch": "files a run for the account it is handed",
    "insights.interest": "accounts by id, from the floors above",
    "insights.management.commands.checksum": "an operator's command",
    "insights.management.commands.sync": "an operator's command",
    "insights.poll": "a scanner",
    "insights.portfolio": "other clients' sums, for benchmarks that show nobody's number",
    "insights.receivers": "the account that a signal names",
    "insights.brake": "a scanner",
    "insights.watchdog": "a scanner",
    "insights.breakdowns": "files a run for the account it is handed",
    "insights.completeness": "writes curves of the account it is handed",
    "insights.report_runs": "files reports of the account it is handed; a scanner",
    "insights.samples": "writes samples of the account it is handed; thins those of all, and reads none out",
    "insights.store.rollups": "writes sums of the account it is handed",
    "insights.store.write": "writes rows of the account it is handed",
    "insights.tasks": "scanners, and accounts by id",
    # floor 5
    "strategies.backtests": "the back-test that a task names; the one that waits longest",
    "strategies.cycle": "active strategies of all clients, or of the account that data arrived for",
    "strategies.decisions": "writes rows of the strategy it is handed",
    "strategies.drafts": "writes a version of the strategy it is handed",
    "strategies.erasure": "a Meta user is forgotten at every client",
    "strategies.proposals": "the proposal of the change that a signal names",
    "strategies.tasks": "accounts by id",
}

#: DecimalField and FloatField that hold no money: (module, field) -> what it is.
NUMBERS = {
    ("accounts.models", "target_roas"): "a ratio",
    ("accounts.models", "goods_cost_percent"): "a share",
    ("accounts.models", "fee_percent"): "a share",
    ("accounts.models", "wrong_calls_percent"): "a share",
    ("metaads.models", "percent"): "how full a quota is, from Meta's headers",
}


def where(found: list[tuple[Module, ast.AST]]) -> list[str]:
    return [module.at(node) for module, node in found]


def test_only_the_two_clocks_read_the_time() -> None:
    found = [
        (module, node)
        for module in modules()
        if module.name not in CLOCKS
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute | ast.Name) and resolved(module, node) in CLOCK_CALLS
    ]
    assert where(found) == []


def test_only_one_module_reads_the_environment() -> None:
    found = [
        (module, node)
        for module in modules()
        if module.name not in ENVIRONMENT
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute | ast.Name)
        and resolved(module, node) in {"os.environ", "os.getenv", "os.environb"}
        if not _sets_settings_module(module, node)
    ]
    assert where(found) == []


def _sets_settings_module(module: Module, node: ast.AST) -> bool:
    """`os.environ.setdefault("DJANGO_SETTINGS_MODULE", ...)`, as every entry point of Django has it."""
    return any(
        resolved(module, call.func) == "os.environ.setdefault"
        and isinstance(call.func, ast.Attribute)
        and call.func.value is node
        and ast.unparse(call.args[0]) == "'DJANGO_SETTINGS_MODULE'"
        for call in module.calls()
    )


def test_every_use_of_everything_is_listed_with_its_reason() -> None:
    used = {
        module.name
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and node.attr == "everything"
    }
    assert used - EVERYTHING.keys() == set(), "not listed"
    assert EVERYTHING.keys() - used == set(), "listed and not used any more"


def test_base_managers_are_not_reached_for() -> None:
    """The admin's common base may: it scopes what it gets."""
    found = [
        (module, node)
        for module in modules()
        if module.name != "accounts.admin"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and node.attr in {"_base_manager", "_default_manager"}
    ]
    assert where(found) == []


def test_money_is_never_a_decimal_or_float_column() -> None:
    found = set()
    for module in modules():
        for node in ast.walk(module.tree):
            value = getattr(node, "value", None)
            if not isinstance(node, ast.Assign | ast.AnnAssign) or not isinstance(value, ast.Call):
                continue
            if resolved(module, value.func).split(".")[-1] in {
                "DecimalField",
                "FloatField",
            } and ".models." in (resolved(module, value.func) + "."):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                found.add((module.name, ast.unparse(target)))
    assert found - NUMBERS.keys() == set()
    assert NUMBERS.keys() - found == set(), "listed and not there any more"


def test_tasks_are_started_by_edges_and_after_commit() -> None:
    """`.delay` and `.apply_async` appear only inside `transaction.on_commit(...)`, or where there is no transaction:
    in a task itself, in a command, in the engine, and in a receiver (signals are sent after commit)."""
    direct = {"tasks", "management", "engine", "receivers"}
    allowed = (
        "tasks",
        "receivers",
        "api",
        "views",
        "admin",
        "management",
        "pages",
        "adapters",
        "forms",
        "engine",
        "stream",
    )
    found = []
    for module in modules():
        for call in module.calls():
            name = resolved(module, call.func).rsplit(".", 1)[-1]
            if not (isinstance(call.func, ast.Attribute) and name in {"delay", "apply_async"}):
                continue
            if module.name.split(".")[1] not in allowed:
                found.append(f"{module.at(call)}: a topic starts a task")
            elif not (_inside_on_commit(module, call) or module.name.split(".")[1] in direct):
                found.append(f"{module.at(call)}: not after commit")
        for node in ast.walk(module.tree):
            # handed over uncalled, too: partial(task.delay, id)
            started = isinstance(node, ast.Attribute) and node.attr in {"delay", "apply_async"}
            if started and module.name.split(".")[1] not in allowed:
                found.append(f"{module.at(node)}: a topic starts a task")
    assert sorted(set(found)) == []


def _inside_on_commit(module: Module, wanted: ast.AST) -> bool:
    return any(
        resolved(module, call.func).endswith("on_commit") and any(inner is wanted for inner in ast.walk(call))
        for call in module.calls()
    )


def test_only_send_makes_a_writer() -> None:
    """`metaads.gateway.writer` is called in one function of one module, and nobody else names the class."""
    callers = {
        module.name
        for module in modules()
        for call in module.calls()
        if resolved(module, call.func) in {"metaads.gateway.writer", "metaads.graph.writer.GraphWriter"}
    }
    assert callers - {"campaigns.changes.send"} == set()


def test_nobody_posts_to_meta_but_the_writer_and_the_three_that_ask_or_sign_in() -> None:
    """A POST that changes an ad object exists once; batch, report runs, OAuth and subscriptions post other things."""
    posting = {
        module.name
        for module in modules()
        if module.name.startswith("metaads.graph.")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Constant) and node.value in {"POST", "DELETE"}
    }
    allowed = {"transport", "writer", "client", "batch", "report_runs", "oauth", "subscriptions"}
    assert {name.rsplit(".", 1)[-1] for name in posting} - allowed == set()


def test_a_state_of_a_change_is_assigned_in_one_place() -> None:
    """Only the ledger moves a change from state to state, so that no transition goes unrecorded: nobody else assigns
    one, and nobody else on the floors that know changes updates the column."""
    found = []
    for module in modules():
        if module.floor < FLOORS["campaigns"] or module.name == "campaigns.changes.ledger":
            continue
        if module.name.startswith("campaigns.changes."):
            found += [module.at(node) for node in ast.walk(module.tree) if _assigns_state(node)]
        roots = {"Change", "rows"} if module.name.startswith("campaigns.changes.") else {"Change"}
        found += [module.at(call) for call in module.calls() if _updates_state(call, roots)]
    assert found == []


def _assigns_state(node: ast.AST) -> bool:
    if not isinstance(node, ast.Assign) or ast.unparse(node.value).endswith(".state"):  # a row read again
        return False
    return any(isinstance(one, ast.Attribute) and one.attr == "state" for one in node.targets)


def _updates_state(call: ast.Call, roots: set[str]) -> bool:
    """`Change....update(state=...)`, on however long a chain; other models have states of their own."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "update":
        return False
    root: ast.AST = call.func
    while isinstance(root, ast.Attribute | ast.Call):
        root = root.func if isinstance(root, ast.Call) else root.value
    return ast.unparse(root) in roots and any(one.arg == "state" for one in call.keywords)


#: Modules on the way of an amount, and what in them may be a float: seconds and shares of time, never money.
MONEY = (
    "metaads.graph.money",
    "accounts.fields",
    "campaigns.states",
    "campaigns.mapping",
    "campaigns.changes.",
)
FLOATS = {
    ("campaigns.changes.send", "SEND_WITHIN: Final = 5.0"),  # seconds
    ("campaigns.changes.send", "committed: float"),  # a moment of the monotonic clock
}


@pytest.mark.fault("N19")
def test_no_float_is_made_or_named_on_the_way_of_an_amount() -> None:
    """Neither a literal, nor a conversion, nor an annotation. To refuse one by `isinstance` is allowed."""
    found = set()
    for module in modules():
        if not module.name.startswith(MONEY):
            continue
        refusing = {
            id(inner)
            for call in module.calls()
            if ast.unparse(call.func) == "isinstance"
            for inner in ast.walk(call.args[1])
        }
        for node in ast.walk(module.tree):
            literal = isinstance(node, ast.Constant) and isinstance(node.value, float)
            named = isinstance(node, ast.Name) and node.id == "float" and id(node) not in refusing
            if literal or named:
                found.add((module.name, _line(module, node)))
    assert found - FLOATS == set()
    assert found >= FLOATS, "listed and not there any more"


def _line(module: Module, node: ast.AST) -> str:
    """The argument or the statement that the node stands in."""
    around = [
        one
        for one in ast.walk(module.tree)
        if isinstance(one, ast.arg | ast.stmt) and any(inner is node for inner in ast.walk(one))
    ]
    return ast.unparse(min(around, key=lambda one: len(ast.unparse(one))))
