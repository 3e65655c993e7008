"""Each import contract is shown to catch one deliberate violation, so that a contract with a typo cannot pass as kept.

The real tree's import graph is built once; per contract one import (or one unlisted module) is added to a copy
and the contract must break. One violation is also written into a real copy of the tree, to prove that the graph
sees what is in the files.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from copy import deepcopy
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from importlinter.application.app_config import settings as linter
from importlinter.application.use_cases import _register_contract_types, read_user_options
from importlinter.configuration import configure
from importlinter.domain.contract import registry

from config.env import ROOT


@cache
def options() -> Any:
    configure()
    read = read_user_options(str(ROOT / "pyproject.toml"))
    _register_contract_types(read)
    return read


@cache
def graph() -> Any:
    options()
    return linter.GRAPH_BUILDER.build(
        cache_dir=None,
        root_package_names=options().session_options["root_packages"],
        include_external_packages=True,
        exclude_type_checking_imports=False,
    )


def contract_options() -> list[dict[str, Any]]:
    return list(options().contracts_options)


def kept(contract: dict[str, Any], imports: Any) -> bool:
    built = registry.get_contract_class(contract["type"])(
        name=contract["name"], session_options=options().session_options, contract_options=dict(contract)
    )
    return bool(built.check(deepcopy(imports), verbose=False).kept)


def violations(contract: dict[str, Any], imports: Any) -> list[tuple[str, str]]:
    """(importer, imported) pairs of which each must break the contract."""
    kind = contract["type"]
    known = sorted(imports.modules)
    if kind == "layers":
        containers = contract.get("containers") or [None]
        rows = [
            [name.strip(" ()") for name in layer.replace(":", "|").split("|")] for layer in contract["layers"]
        ]
        full = [[f"{containers[0]}.{name}" if containers[0] else name for name in row] for row in rows]
        there = [[name for name in row if name in known] for row in full]
        there = [row for row in there if row]
        found = [(lower[0], upper[0]) for upper, lower in pairwise(there)]
        found += [(row[0], row[1]) for row in there if len(row) > 1]
        return found
    if kind == "forbidden":
        source = contract["source_modules"][0]
        return [(source, target) for target in contract["forbidden_modules"]]
    if kind == "protected":
        allowed = tuple(contract["allowed_importers"])
        stranger = next(
            name
            for name in ("config.health", "dashboard.urls", "strategies.errors", "metaads.counters")
            if name in known and not name.startswith(allowed)
        )
        return [(stranger, target) for target in contract["protected_modules"]]
    if kind == "acyclic_siblings":
        return []
    raise AssertionError(f"no violation is known for contracts of type {kind}")


@pytest.mark.parametrize("name", [one["name"] for one in contract_options()])
def test_the_contract_breaks_when_it_is_violated(name: str) -> None:
    [contract] = [one for one in contract_options() if one["name"] == name]
    assert kept(contract, graph()), "it holds on the tree as it is"
    if contract["type"] == "acyclic_siblings":
        ring = deepcopy(graph())
        ring.add_import(importer="metaads.notices", imported="metaads.quota")
        ring.add_import(importer="metaads.quota", imported="metaads.notices")
        assert not kept(contract, ring)
        return
    wrong = violations(contract, graph())
    assert wrong
    for importer, imported in wrong:
        broken = deepcopy(graph())
        for module in (importer, imported):
            if module not in broken.modules:
                broken.add_module(
                    module, is_squashed=module.split(".")[0] not in options().session_options["root_packages"]
                )
        broken.add_import(importer=importer, imported=imported, line_number=1, line_contents="import x")
        assert not kept(contract, broken), f"{importer} -> {imported} went through"


@pytest.mark.parametrize(
    "name", [one["name"] for one in contract_options() if one.get("exhaustive") in (True, "True", "true")]
)
def test_an_exhaustive_contract_refuses_a_module_that_has_no_place(name: str) -> None:
    [contract] = [one for one in contract_options() if one["name"] == name]
    grown = deepcopy(graph())
    grown.add_module(f"{contract['containers'][0]}.helpers")
    assert not kept(contract, grown)


def test_every_app_has_an_exhaustive_contract() -> None:
    covered = {
        one["containers"][0] for one in contract_options() if one.get("exhaustive") in (True, "True", "true")
    }
    assert set(options().session_options["root_packages"]) <= covered


def test_an_import_written_into_a_file_is_seen(tmp_path: Path) -> None:
    """Also inside a function, where a circular import likes to hide."""
    for package in options().session_options["root_packages"]:
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "static")
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    victim = tmp_path / "metaads" / "notices.py"
    victim.write_text(
        victim.read_text() + "\n\ndef sneak():\n    from accounts.models import Client\n\n    return Client\n"
    )
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=tmp_path, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    out = done.stdout + done.stderr
    assert done.returncode != 0 and "metaads.notices -> accounts.models" in out, out[-3000:]
