"""Runs the entry point of a peer that stands on the official SDK, with the SDK's address pointed at the sandbox.

    PYTHON -P tests/bench/pointed.py GRAPH_URL MODULE:FUNCTION [the peer's own arguments]

`FacebookSession.GRAPH` is the SDK's own place for its address; no installed file is changed. By its path and with `-P`,
so that nothing of this repository is on the peer's import path.
"""

from __future__ import annotations

import importlib
import sys


def main() -> None:
    url, entry, *words = sys.argv[1:]
    session = importlib.import_module("facebook_business.session")
    session.FacebookSession.GRAPH = url
    module, _, function = entry.partition(":")
    sys.argv = [module, *words]
    getattr(importlib.import_module(module), function)()


if __name__ == "__main__":
    main()
