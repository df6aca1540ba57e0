"""What `activity.submit` takes off the wire, and what it refuses there."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from engine.core.commands import SubmitActivity
from engine.realtime.methods import METHODS, BadParams, Write, decode_params
from tests.realtime.small import KEY

SHOWN = {"key": KEY, "behaviour": "own-cup", "quantity": 1, "unit": "cup", "photo": "0a" * 32}


def submit(**more: Any) -> SubmitActivity:
    method = METHODS["activity.submit"]
    assert isinstance(method, Write)
    data = {name: value for name, value in (SHOWN | more).items() if value is not None}
    made = method.command(17, decode_params(method, msgspec.Raw(msgspec.json.encode(data))))
    assert isinstance(made, SubmitActivity)
    return made


def test_a_shown_act_becomes_a_command() -> None:
    made = submit(at="2026-11-23T08:00:00+08:00", quantity="2.50", attributes={"km": 12.5})
    assert (made.user, made.at, made.on) == (17, 1_795_392_000_000, None)
    assert (made.quantity, made.attributes, made.photo) == (Decimal("2.50"), {"km": 12.5}, "0a" * 32)
    assert submit(on="2026-11-23").on == date(2026, 11, 23)


@pytest.mark.parametrize(
    "wrong",
    [
        {"photo": None},
        {"photo": "../../etc/passwd"},
        {"photo": "0A" * 32},
        {"photo": "0a" * 33},
        {"key": "one"},
        {"quantity": "many"},
        {"quantity": "1e999999999"},
        {"quantity": "NaN"},
        {"unit": "x" * 65},
        {"at": "yesterday"},
        {"at": "1850-01-01T00:00:00Z"},
        {"on": "23.11.2026"},
        {"attributes": {f"a{n}": n for n in range(21)}},
        {"attributes": {"a": ["list"]}},
        {"behaviour": "Own Cup"},
    ],
    ids=str,
)
def test_what_is_no_shown_act_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadParams):
        submit(**wrong)
