"""Clocks, CPU time, memory and percentiles. It must not know what is being measured."""

import math
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import psutil

PERCENTILES = (50.0, 99.0)


def percentile(values: Sequence[float], percent: float) -> float:
    """Nearest-rank percentile of unsorted values; NaN of nothing."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, math.ceil(percent / 100 * len(ordered)) - 1))]


def middle(values: Iterable[float | None]) -> float:
    """Median of what was measured (NaN is None after a journey as JSON); NaN of nothing."""
    known = [value for value in values if value is not None and not math.isnan(value)]
    return median(known) if known else math.nan


def _own_and_reaped(process: psutil.Process) -> tuple[float, float]:
    times = process.cpu_times()
    return times.user + times.system, times.children_user + times.children_system


def cpu_seconds(pids: Iterable[int]) -> float:
    """CPU time that these processes, their living descendants and their ended children have used so far."""
    total = 0.0
    for pid in pids:
        try:
            root = psutil.Process(pid)
            total += sum(_own_and_reaped(root))
            for child in root.children(recursive=True):
                try:
                    total += sum(_own_and_reaped(child))
                except psutil.Error:
                    continue
        except psutil.NoSuchProcess:
            continue
    return total


def memory_bytes(pid: int) -> int:
    """Resident memory of one process."""
    return psutil.Process(pid).memory_info().rss


def machine_busy_seconds() -> float:
    """CPU time that the whole machine has been busy, all cores together."""
    times = psutil.cpu_times()
    return sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)


@dataclass(slots=True)
class CpuWindow:
    """CPU seconds by name from `start` to `stop`; `foreign` is what the rest of the machine used meanwhile."""

    pids: dict[str, list[int]]
    _before: dict[str, float]
    _busy_before: float

    @staticmethod
    def start(pids: dict[str, list[int]]) -> "CpuWindow":
        """Names to process ids; this process is always added as `driver`."""
        named = {**pids, "driver": [os.getpid()]}
        return CpuWindow(
            named, {name: cpu_seconds(ids) for name, ids in named.items()}, machine_busy_seconds()
        )

    def stop(self) -> dict[str, float]:
        """CPU seconds used by each name and by others."""
        used = {name: cpu_seconds(ids) - self._before[name] for name, ids in self.pids.items()}
        used["foreign"] = max(0.0, machine_busy_seconds() - self._busy_before - sum(used.values()))
        return used


def environment() -> dict[str, object]:
    """What a reader must know of the machine."""
    from importlib.metadata import version

    packages = ("fastapi", "uvicorn", "uvloop", "websockets", "msgspec", "asyncpg")
    return {
        "cpu": _cpu_name(),
        "cores": psutil.cpu_count() or 0,
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
    }


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
