"""The other end of `apart`: reads one job from standard input, works it out, prints the result, and is gone.

Runs in a process of its own, so that files which somebody sent can cost it time and memory and the engine neither.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

MEMORY_BYTES_MAX = 1_536 * 1024 * 1024
CPU_S_MAX = 60


def work_out(job: Mapping[str, Any]) -> dict[str, Any]:
    """The result of a job: `check` of one rulebook or `diff` of two, as of a day."""
    from engine.rulebook import RulebookError, load_files
    from engine.workbench.checking import PROBLEM, check
    from engine.workbench.told import difference, document

    today = date.fromisoformat(job["today"])
    with tempfile.TemporaryDirectory(prefix="saxaul-rules-") as place:
        after = laid_out(job["after"], Path(place, "after"), job["folder"])
        if job["job"] == "check":
            return check(after, today).document()
        before = laid_out(job["before"], Path(place, "before"), job["folder"])
        sides = []
        for side, folder in (("before", before), ("after", after)):
            try:
                sides.append(load_files(folder))
            except RulebookError as problem:
                told = [{name: getattr(one, name) for name in PROBLEM} for one in problem.problems]
                return {"broken": side, "problems": told}
        return document(*difference(sides[0], sides[1], today))


def laid_out(files: Mapping[str, str] | None, place: Path, folder: str | None) -> Path | None:
    """Files that were sent, as a folder; none sent: the folder of the engine."""
    if files is None:
        return Path(folder) if folder else None
    place.mkdir()
    for name, text in files.items():
        target = place / name
        if not target.resolve().is_relative_to(place.resolve()):
            raise ValueError("a name that leads out of the folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return place


def limit(memory_bytes_max: int = MEMORY_BYTES_MAX, cpu_s_max: int = CPU_S_MAX) -> None:
    """Less memory and time than would hurt the machine, where the system can hold a process to it."""
    try:
        import resource
    except ImportError:  # not on this system; the parent's patience is the limit
        return
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes_max, memory_bytes_max))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s_max, cpu_s_max))


def main() -> None:
    """One job in, one result out."""
    limit()
    result = work_out(json.load(sys.stdin))
    sys.stdout.write(json.dumps(result, ensure_ascii=False, default=str))


if __name__ == "__main__":
    main()
