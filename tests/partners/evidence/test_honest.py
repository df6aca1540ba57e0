"""200 honest, messy orders: hardly any is suspected, and what is only asked about is asked about with its answer."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

from partners.core.reasons import REASONS, is_suspected
from tests.partners.evidence.honest import KINDS, cases, play, rules_of_all
from tests.partners.evidence.plot import open_plot

SUSPECTED_MAX_PCT = 2


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_of_two_hundred_honest_orders_hardly_any_is_suspected(
    sqlite_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All in one database, so that each photo is compared with those of all others."""
    drawn = cases()
    assert len(drawn) == 200
    suspected: list[str] = []
    asked: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    async with open_plot(sqlite_url, tmp_path, rules_of_all) as plot:
        for case in drawn:
            told = await play(plot, case)
            codes = {entry[0] for one in told for entry in one["reasons"]}
            reasons.update(codes)
            if any(is_suspected(one["score"], plot.desk.evidence.needs_info_score) for one in told):
                why = [entry for one in told for entry in one["reasons"] if entry[1]]
                suspected.append(f"{case.number} ({case.kind}): {why}")
            elif any(one["verdict"] != "passed" for one in told):
                asked[case.kind] += 1
                assert "question" in {REASONS[code].kind for code in codes}
    with capsys.disabled():
        sys.stdout.write(
            f"\n200 honest orders with {sum(len(case.photos) for case in drawn)} photos:"
            f" {len(suspected)} suspected ({len(suspected) / 2:.1f} %), {asked.total()} only asked about"
            f" {dict(asked)}; reasons told {dict(reasons)}; suspected: {suspected}\n"
        )
    assert len(suspected) * 100 <= SUSPECTED_MAX_PCT * len(drawn)
    assert asked == {"GCJ-02, not stated": KINDS["GCJ-02, not stated"][0]}
