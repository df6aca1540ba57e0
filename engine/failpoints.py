"""Places where a test may kill or trip the process, to prove that nothing acknowledged is ever lost.

Off unless SAXAUL_FAILPOINTS names them: `writer.saved=0.02,writer.committed=0.02` dies there with that chance.
writer.saved: rows written, not committed; writer.committed: committed, not answered; writer.answered: answered.
"""

import os
import random
import signal

ACK_EARLY = "writer.ack_early"  # acknowledges before the commit: the fault that the crash test must catch


def parse(text: str) -> dict[str, float]:
    """Failpoints and their chances."""
    parts = (part.partition("=") for part in text.split(",") if part)
    return {name: float(chance or 1) for name, _, chance in parts}


_ACTIVE = parse(os.environ.get("SAXAUL_FAILPOINTS", ""))


def hit(name: str) -> None:
    """Die here by SIGKILL, with the chance that was asked for."""
    if _ACTIVE and random.random() < _ACTIVE.get(name, 0.0):
        os.kill(os.getpid(), signal.SIGKILL)


def is_on(name: str) -> bool:
    """Whether a behaviour-changing failpoint is switched on."""
    return name in _ACTIVE
