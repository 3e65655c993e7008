"""Import contracts hold, and what a linter cannot see holds too: no hidden arrow points upward."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

from config.env import ROOT
from tests.architecture.source import FLOORS, Module, modules, resolved, text_of


def test_every_import_contract_is_kept() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_imports_are_absolute() -> None:
    """A relative import would slip through a door named by its full path."""
    found = [
        module.at(node)
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert found == []


def test_package_files_are_empty() -> None:
    """A name re-exported by a package would be a second way in."""
    found = [
        str(one.path.relative_to(ROOT))
        for one in modules()
        if one.path.name == "__init__.py" and one.text.strip()
    ]
    assert found == []


def test_nothing_is_imported_or_looked_up_by_name() -> None:
    forbidden = {
        "importlib.import_module", "django.utils.module_loading.import_string", "__import__",
        "django.apps.apps.get_model", "celery.current_app.send_task", "config.celery.app.send_task",
    }  # fmt: skip
    found = [
        f"{module.at(call)} {resolved(module, call.func)}"
        for module in modules()
        for call in module.calls()
        if resolved(module, call.func) in forbidden
        or resolved(module, call.func).endswith((".get_model", ".send_task"))
    ]
    assert found == []


def test_foreign_keys_in_words_point_to_their_own_app_or_below() -> None:
    found = []
    for module in modules():
        for call in module.calls():
            if resolved(module, call.func).split(".")[-1] not in {
                "ForeignKey",
                "OneToOneField",
                "ManyToManyField",
            }:
                continue
            given = [*call.args[:1], *(word.value for word in call.keywords if word.arg == "to")]
            target = (text_of(given[0]) if given else None) or ""
            app = target.split(".")[0] if "." in target else module.app
            if FLOORS.get(app, 0) > module.floor:
                found.append(f"{module.at(call)} -> {target}")
    assert found == []


def _templates(module: Module) -> list[tuple[str, str]]:
    return [
        (module.at(node), node.value)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"[\w/.-]+\.(html|txt)", node.value)
    ]


def _owner_of_template(name: str) -> str | None:
    return next((app for app in FLOORS if (ROOT / app / "templates" / name).is_file()), None)


def test_python_names_no_template_of_a_higher_floor() -> None:
    found = []
    for module in modules():
        for where, name in _templates(module):
            owner = _owner_of_template(name)
            if owner is not None and FLOORS[owner] > module.floor:
                found.append(f"{where} -> {name} of {owner}")
    assert found == []


def test_templates_name_no_template_of_a_higher_floor() -> None:
    found = []
    for app, floor in FLOORS.items():
        for path in (ROOT / app / "templates").rglob("*.*"):
            for name in re.findall(r"{%\s*(?:extends|include)\s+['\"]([^'\"]+)", path.read_text()):
                owner = _owner_of_template(name)
                if owner is not None and FLOORS[owner] > floor:
                    found.append(f"{path.relative_to(ROOT)} -> {name} of {owner}")
    assert found == []


def _route_owners() -> dict[str, str]:
    """Route name -> the app whose urls file defines it."""
    owners: dict[str, str] = {}
    for module in modules():
        if module.name.endswith(".urls") or module.name in {"config.api"}:
            for call in module.calls():
                for word in call.keywords:
                    if word.arg == "name" and (name := text_of(word.value)):
                        owners[name] = module.app
    return owners


def test_no_address_of_a_higher_floor_is_looked_up_by_name() -> None:
    owners = _route_owners()
    assert {"meta_webhook", "readyz"} <= owners.keys(), "the map sees the routes"
    found = []
    for module in modules():
        for call in module.calls():
            if (
                resolved(module, call.func).split(".")[-1]
                in {"reverse", "reverse_lazy", "redirect", "resolve_url"}
                and call.args
            ):
                owner = owners.get(text_of(call.args[0]) or "")
                if owner and FLOORS[owner] > module.floor:
                    found.append(f"{module.at(call)} -> {text_of(call.args[0])} of {owner}")
    for app, floor in FLOORS.items():
        for path in (ROOT / app / "templates").rglob("*.html"):
            for name in re.findall(r"{%\s*url\s+['\"]([^'\"]+)", path.read_text()):
                owner = owners.get(name)
                if owner and FLOORS[owner] > floor:
                    found.append(f"{path.relative_to(ROOT)} -> {name} of {owner}")
    assert found == []
