"""`saxaul demo`: a village of about 30 people on a real engine, with a simulated planting partner beside it.

Everything that happens in it goes through the same commands as in earnest; only its history is made under a
shifted clock.
"""

from engine.demo.show import Village, run_demo

__all__ = ["Village", "run_demo"]
