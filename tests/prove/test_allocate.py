"""The allocator over so many synthetic accounts that one in twenty that it harms would be seen."""

from __future__ import annotations

import os

import numpy as np
import pytest

from tests.strategies.engine.test_allocate import lived

N = max(40, int(os.environ.get("PROVE_N") or 0) // 2)
SEED = int(os.environ.get("PROVE_SEED") or 1)


@pytest.mark.prove
def test_it_approaches_the_oracle_and_harms_hardly_any_account() -> None:
    for unlike in (0.5, 0.05):
        found = np.array([lived(1000 * SEED + number, unlike=unlike) for number in range(N)])
        last, mean, keep, oracle = found.T
        print(  # noqa: T201 - what a proof has met
            f"\nseed {SEED}, {N} accounts, rates apart by {unlike}: keeping {(keep / oracle).mean():.3f} of the"
            f" oracle, the last week {(last / oracle).mean():.3f}; worst against keeping {(mean / keep).min() - 1:+.3f}"
        )
        assert (mean < 0.98 * keep).mean() <= 0.05
        if unlike == 0.5:
            assert (last / oracle).mean() > 0.92
