"""The environment: typed, loud, and documented in .env.example to the last variable."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from config.env import ROOT, VARIABLES, BadEnvironment, read


def test_with_nothing_set_every_variable_has_its_default() -> None:
    values = read({}, files=False)
    assert values["PUBLIC_URL"] == "http://127.0.0.1:8000"
    assert values["META_GRAPH_VERSION"] == "v26.0"
    assert values["META_SCOPES"] == ["ads_read", "ads_management", "business_management", "read_insights"]
    assert (values["POLL_SECONDS"], values["DEBUG"], values["FERNET_KEYS"]) == (30, False, [])


def test_an_empty_variable_counts_as_unset() -> None:
    assert read({"POLL_SECONDS": "", "META_GRAPH_URL": ""}, files=False)["POLL_SECONDS"] == 30


def test_the_app_id_is_also_read_under_the_front_end_s_name() -> None:
    assert read({"NEXT_PUBLIC_META_APP_ID": "12"}, files=False)["META_APP_ID"] == "12"
    assert read({"NEXT_PUBLIC_META_APP_ID": "12", "META_APP_ID": "34"}, files=False)["META_APP_ID"] == "34"


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("1", True), ("on", True), ("false", False), ("no", False)]
)
def test_switches_take_the_usual_words(text: str, value: bool) -> None:
    assert read({"DEBUG": text}, files=False)["DEBUG"] is value


@pytest.mark.parametrize(
    ("name", "text"), [("DEBUG", "perhaps"), ("POLL_SECONDS", "half"), ("TRUSTED_PROXIES", "1.5")]
)
def test_a_value_that_cannot_be_used_is_named(name: str, text: str) -> None:
    with pytest.raises(BadEnvironment, match=name):
        read({name: text}, files=False)


def test_a_bad_secret_is_not_quoted() -> None:
    for variable in VARIABLES:
        if variable.secret:
            assert variable.kind is not int and variable.kind is not bool, (
                "its error text would quote the value"
            )


def test_lists_are_split_at_commas_and_trimmed() -> None:
    assert read({"ALLOWED_HOSTS": " a.example , b.example,"}, files=False)["ALLOWED_HOSTS"] == [
        "a.example",
        "b.example",
    ]


def test_the_dotenv_file_fills_gaps_and_the_environment_goes_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("POLL_SECONDS=60\nLOOKBACK_DAYS=7\n")
    monkeypatch.setattr("config.env.ROOT", tmp_path)
    values = read({"POLL_SECONDS": "45"})
    assert (values["POLL_SECONDS"], values["LOOKBACK_DAYS"]) == (45, 7)


def example() -> dict[str, str]:
    """Variable -> value of .env.example; commented lines stand for the default."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    found = [re.fullmatch(r"(?:# )?([A-Z][A-Z_]+)=(.*)", line) for line in lines]
    return {match[1]: match[2] for match in found if match}


def test_the_example_file_names_every_variable_and_no_other() -> None:
    assert list(example()) == [variable.name for variable in VARIABLES]


def test_the_example_file_s_values_are_the_defaults() -> None:
    assert read(example(), files=False) == read({}, files=False)


def test_the_example_file_explains_each_variable_and_holds_no_secret() -> None:
    text = (ROOT / ".env.example").read_text()
    for variable in VARIABLES:
        assert variable.meaning in text
        if variable.secret:
            assert example()[variable.name] == ""
