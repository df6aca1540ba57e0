"""Two profilers that look only while the driver measures. They must not know what they profile.

`sample` looks a thousand times per CPU second at what runs (hardly disturbs); `exact` is cProfile (counts every call,
and makes short functions look dearer than they are).
"""

import cProfile
import pstats
import signal
import sys
import threading
from collections import Counter
from pathlib import Path
from types import FrameType

INTERVAL_S = 0.001
TOP = 400


class Sampler:
    """Counts, per CPU millisecond of the process, the function that runs and all that called it."""

    def __init__(self) -> None:
        self.own: Counter[str] = Counter()
        self.total: Counter[str] = Counter()
        self.lines: Counter[str] = Counter()
        self.samples = 0

    def start(self) -> None:
        """Begin to look."""
        signal.signal(signal.SIGPROF, self._look)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)

    def stop(self) -> dict[str, object]:
        """Stop; what was seen."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        return {
            "samples": self.samples,
            "own": dict(self.own.most_common(TOP)),
            "total": dict(self.total.most_common(TOP)),
            "lines": dict(self.lines.most_common(TOP)),
        }

    def _look(self, _: int, frame: FrameType | None) -> None:
        self.samples += 1
        if frame is None or _is_loop(frame):
            frame = _other_thread() or frame
        if frame is None:
            return
        self.own[_name(frame)] += 1
        self.lines[f"{_name(frame)}:{frame.f_lineno}"] += 1
        seen: set[str] = set()
        while frame is not None:
            seen.add(_name(frame))
            frame = frame.f_back
        self.total.update(seen)


class Exact:
    """cProfile of the main thread."""

    def __init__(self) -> None:
        self._profile = cProfile.Profile()

    def start(self) -> None:
        """Begin to count."""
        self._profile.enable()

    def stop(self) -> dict[str, object]:
        """Stop; seconds and calls by function."""
        self._profile.disable()
        stats = pstats.Stats(self._profile).stats  # type: ignore[attr-defined]
        rows = [
            (f"{_short(file)} {name}", calls, own, total)
            for (file, _, name), (_, calls, own, total, _) in stats.items()
        ]
        rows.sort(key=lambda row: -row[2])
        return {"functions": rows[:TOP]}


PROFILERS = {"sample": Sampler, "exact": Exact}


def _is_loop(frame: FrameType) -> bool:
    return frame.f_code.co_name in ("run", "run_until_complete", "run_forever") and (
        "runners.py" in frame.f_code.co_filename or "server.py" in frame.f_code.co_filename
    )


def _other_thread() -> FrameType | None:
    """What another thread is doing, if one does anything: the event loop itself was waiting."""
    main = threading.main_thread().ident
    for ident, frame in sys._current_frames().items():
        if ident != main and frame.f_code.co_name not in ("_worker", "wait", "get"):
            return frame
    return None


def _short(file: str) -> str:
    parts = Path(file).parts
    return "/".join(parts[-2:])


def _name(frame: FrameType) -> str:
    return f"{_short(frame.f_code.co_filename)} {frame.f_code.co_name}"
