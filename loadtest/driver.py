"""The driver's process: reads one plan as JSON from standard input, runs the job, writes its figures as JSON.

It has a process of its own so that neither the server nor the report can slow the clock that measures them.
"""

import sys
from importlib import import_module

import msgspec
import uvloop

from loadtest.jobs import plans

PLANS: dict[str, type] = {
    "collects": plans.CollectPlan,
    "press": plans.PressPlan,
    "fan_out": plans.FanOutPlan,
    "idle": plans.IdlePlan,
    "writer": plans.WriterPlan,
    "expiry": plans.ExpiryPlan,
    "allocation": plans.AllocationPlan,
    "planted": plans.PlantedPlan,
    "pages": plans.PagesPlan,
    "find": plans.FindPlan,
}


def main() -> None:
    """Run the job named by the only argument: `run(plan)` of the module of that name in `loadtest.jobs`."""
    name = sys.argv[1]
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=PLANS[name])
    figures = uvloop.run(import_module(f"loadtest.jobs.{name}").run(plan))
    sys.stdout.buffer.write(msgspec.json.encode(figures))


if __name__ == "__main__":
    main()
