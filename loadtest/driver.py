"""The driver's process: reads one plan as JSON from standard input, runs the job, writes its figures as JSON.

It has a process of its own so that neither the server nor the report can slow the clock that measures them.
"""

import sys
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import uvloop

from loadtest.jobs import collects, fan_out, idle, press, writer
from loadtest.jobs.plans import CollectPlan, FanOutPlan, IdlePlan, PressPlan, WriterPlan

JOBS: dict[str, tuple[type, Callable[[Any], Coroutine[Any, Any, dict[str, object]]]]] = {
    "collects": (CollectPlan, collects.run),
    "press": (PressPlan, press.run),
    "fan_out": (FanOutPlan, fan_out.run),
    "idle": (IdlePlan, idle.run),
    "writer": (WriterPlan, writer.run),
}


def main() -> None:
    """Run the job named by the only argument."""
    kind, run = JOBS[sys.argv[1]]
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=kind)
    figures = uvloop.run(run(plan))
    sys.stdout.buffer.write(msgspec.json.encode(figures))


if __name__ == "__main__":
    main()
