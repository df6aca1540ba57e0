"""What sources send with acts of the shipped behaviours, for tests."""

from __future__ import annotations

DONE = "2026-11-22T04:30:00Z"


def sold(goods: str) -> dict[str, object]:
    """A second-hand sale that was completed."""
    return {"goods": goods, "completed_at": DONE}


def passed_on(device: str) -> dict[str, object]:
    """A device that the recycler has inspected."""
    return {"device": device, "inspected_at": DONE}


def bought(appliance: str) -> dict[str, object]:
    """An appliance that was received."""
    return {"appliance": appliance, "account": "x-1", "received_at": DONE}


def read(*before: str) -> dict[str, object]:
    """A month's reading with what was used in the years before."""
    return {"before_kwh": " ".join(before), "account": "m-1", "read_at": DONE}


def stood(engine: str) -> dict[str, object]:
    """A day on which a car of that engine stood."""
    return {"engine": engine, "ended_at": DONE}
