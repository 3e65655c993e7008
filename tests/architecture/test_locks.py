"""The locks hold what the lists ask for, and the lists name what the code imports. Works without a network."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from config.env import ROOT

APPS = ("metaads", "accounts", "campaigns", "insights", "strategies", "dashboard", "config")
#: Distributions that come with one that is asked for, and whose modules are meant to be used through it.
WITH_ANOTHER = {
    "cryptography": "django-fernet-fields-v2",
    "kombu": "celery",
    "urllib3": "requests",
    "asgiref": "django",
}


def asked(name: str) -> list[Requirement]:
    lines = (ROOT / name).read_text().splitlines()
    return [Requirement(line) for line in lines if line.strip() and not line.startswith(("#", "-c"))]


def pinned(name: str) -> dict[str, set[Version]]:
    found: dict[str, set[Version]] = {}
    for package, version in re.findall(
        r"^([a-z0-9][a-z0-9._-]*)==([^\s;\\]+)", (ROOT / name).read_text(), re.MULTILINE
    ):
        found.setdefault(canonicalize_name(package), set()).add(Version(version))
    return found


def imported() -> set[str]:
    """Top-level names that shipped code imports, the standard library and our own left out."""
    names: set[str] = set()
    for path in (path for app in APPS for path in (ROOT / app).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - set(APPS)


@pytest.mark.parametrize("name", ["requirements", "requirements-dev"])
def test_the_lock_holds_every_package_that_is_asked_for_in_a_version_that_fits(name: str) -> None:
    pins = pinned("requirements.txt") | pinned(f"{name}.txt")
    for requirement in asked(f"{name}.in"):
        versions = pins.get(canonicalize_name(requirement.name), set())
        assert versions, f"{requirement.name} is not in {name}.txt; run: make lock"
        assert any(requirement.specifier.contains(version) for version in versions), (
            f"{requirement}: run make lock"
        )


def test_what_the_product_imports_is_asked_for_by_name() -> None:
    direct = {canonicalize_name(requirement.name) for requirement in asked("requirements.in")}
    homes = packages_distributions()
    for name in sorted(imported()):
        distributions = {canonicalize_name(one) for one in homes.get(name, [])}
        assert distributions, f"{name} is imported, but no installed package has it"
        through = {canonicalize_name(WITH_ANOTHER[one]) for one in distributions if one in WITH_ANOTHER}
        assert (distributions | through) & direct, f"{name} is imported, but requirements.in does not name it"
