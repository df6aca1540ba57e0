"""All that is wrong with a rulebook or looks forgotten, as a document for machines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from engine.rulebook import Files, Report, check_rulebook
from engine.workbench.spread import spreads

COUNTED = ("files", "behaviours", "factors", "species", "programmes", "references", "confirmed", "examples")
PROBLEM = ("file", "line", "path", "found", "expected", "fix")


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check came to. `warnings`: nothing is wrong, but somebody should look."""

    report: Report
    warnings: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether the rulebook can be used."""
        return self.report.ok

    def document(self) -> dict[str, Any]:
        """The check as JSON."""
        report = self.report
        problems = [{name: getattr(problem, name) for name in PROBLEM} for problem in report.problems]
        facts: dict[str, Any] = {"ok": report.ok, "hash": report.hash}
        facts |= {name: getattr(report, name) for name in COUNTED}
        return facts | {
            "values": dict(report.values),
            "warnings": list(self.warnings),
            "problems": problems,
        }


def check(folder: Path | None, today: date) -> Checked:
    """Check a folder's rulebook (the shipped one, when none is named) as of a day."""
    report = check_rulebook(folder, today)
    built = report.built
    return Checked(report, (*report.warnings, *(_incomparable(built, today) if built else ())))


def _incomparable(files: Files, today: date) -> Iterator[str]:
    """Acts of published.yaml that our own rulebook has a behaviour for and refuses."""
    for spread in spreads(files, today):
        ours = spread.ours
        if ours.refused and ours.behaviour in files.book.behaviours:
            yield (
                f"published.yaml: acts.{spread.act}: {ours.behaviour} refuses the act ({ours.refused}); "
                "expected an act that it accepts. Fix: correct unit, quantity or attributes of ours"
            )
