"""What changed between two versions of a document, in words. PURE."""

from __future__ import annotations

from collections.abc import Iterator

from strategies.engine.reading import read_rules
from strategies.engine.rules import LEVELS, Case, Document, Scope


def differences(before: Document, after: Document, *, currency: str) -> tuple[str, ...]:
    """Sentences, in the order of the document; empty where both say the same."""
    return (*_level(before, after), *_scope(before, after, currency), *_cases(before, after, currency))


def _level(before: Document, after: Document) -> Iterator[str]:
    if before.level != after.level:
        yield f"It judges each {LEVELS[after.level]}, before each {LEVELS[before.level]}."


def _scope(before: Document, after: Document, currency: str) -> Iterator[str]:
    old, new = (_about(one, currency) for one in (before, after))
    for sentence in old:
        if sentence not in new:
            yield f"No longer: {sentence}"
    for sentence in new:
        if sentence not in old:
            yield f"New: {sentence}"
    if before.scope != after.scope and old == new:
        yield "The objects that it picks or leaves out are others."


def _about(document: Document, currency: str) -> tuple[str, ...]:
    return read_rules(Document((), document.level, document.scope), currency=currency)


def _cases(before: Document, after: Document, currency: str) -> Iterator[str]:
    old, new = ({case.name: case for case in one.cases} for one in (before, after))
    for name in old:
        if name not in new:
            yield f"“{name}” is gone. It said: {_said(old[name], before, currency)}"
    for name, case in new.items():
        if name not in old:
            yield f"“{name}” is new: {_said(case, after, currency)}"
        elif (old[name].when, old[name].do) != (case.when, case.do):
            was, says = _said(old[name], before, currency), _said(case, after, currency)
            # One may say the same words with other parts (an action's loudness); both are shown all the same.
            yield f"“{name}” says: {says} It said: {was}"
    kept = [name for name in old if name in new]
    if kept != [name for name in new if name in old]:
        yield f"The order of the cases is now {', '.join(f'“{name}”' for name in new)}; the first that is met counts."


def _said(case: Case, document: Document, currency: str) -> str:
    (sentence,) = read_rules(Document((case,), document.level, Scope()), currency=currency)
    return sentence
