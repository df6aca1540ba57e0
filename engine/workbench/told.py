"""A comparison of two rulebooks as a document for machines, and the words for its values in both languages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from engine.rulebook import Files
from engine.workbench.difference import Change, Comparison, Presence, compare
from engine.workbench.effects import Effect, Worth, effects
from engine.workbench.leaves import Leaf, day_before

_FIGURE = re.compile(r"by_region\.([A-Z0-9-]+)(\.\d{4})?\.value")
# kind of thing → in Chinese
KINDS_ZH = {
    "behaviour": "行为",
    "factor": "因子",
    "species": "树种",
    "programme": "项目",
    "game": "游戏设置",
    "reference": "来源",
}
# path, or its last step → in English, in Chinese
LABELS: dict[str, tuple[str, str]] = {
    "caps.event_g": ("cap of one act", "单次上限"),
    "caps.day_g": ("cap of a day", "每日上限"),
    "caps.month_g": ("cap of a month", "每月上限"),
    "caps.day_count": ("acts a day", "每日次数"),
    "caps.month_count": ("acts a month", "每月次数"),
    "energy.grams": ("energy of an act", "每次能量"),
    "energy.grams_per_unit": ("energy of a unit", "每单位能量"),
    "avoided.share": ("share that replaces the baseline", "替代比例"),
    "uncertainty": ("uncertainty", "不确定度"),
    "in_force": ("behaviour", "行为"),
    "ripen_delay_h": ("hours until ripe", "成熟时间（小时）"),
    "life_h": ("life in hours", "有效期（小时）"),
    "floor_pct": ("floor that friends leave, %", "好友不可取部分（%）"),
    "head_start_s": ("owner's head start, s", "主人优先（秒）"),
    "share_min_pct": ("least of a friend's draw, %", "好友至少（%）"),
    "share_max_pct": ("most of a friend's draw, %", "好友至多（%）"),
    "share_less_pct": ("less for each friend who came before, %", "每有一位好友先收取则减少（%）"),
    "late_limit_d": ("days until a report is late", "迟报期限（天）"),
    "energy": ("price in energy", "所需能量"),
    "unit_price": ("price in money", "单价"),
    "order_min": ("smallest order", "最小订单"),
    "wait_max": ("longest wait", "最长等待"),
    "energy_back": ("energy back without a place", "无处可种时退还能量"),
    "friends_max": ("friends of one user", "好友上限"),
}


def label(path: str, language: str = "en") -> str:
    """What a value is called; its path where it has no name."""
    figure = _FIGURE.fullmatch(path)
    if figure is not None:
        where = figure[1] + (figure[2] or "").replace(".", " ")
        return f"{where} 的数值" if language == "zh" else f"figure of {where}"
    found = LABELS.get(path) or LABELS.get(path.rsplit(".", 1)[-1])
    return path if found is None else found[language == "zh"]


def difference(before: Files, after: Files, today: Any) -> tuple[Comparison, list[Effect]]:
    """What changes, and what it means for typical acts."""
    comparison = compare(before.book, after.book, today)
    order = {name: place for place, name in enumerate(after.book.behaviours)}
    found = sorted(effects(before, after, comparison), key=lambda effect: order[effect.behaviour])
    return comparison, found


def document(comparison: Comparison, found: Sequence[Effect]) -> dict[str, Any]:
    """The comparison as JSON."""
    return {
        "before": comparison.before_hash,
        "after": comparison.after_hash,
        "same": comparison.before_hash == comparison.after_hash,
        "as_of": comparison.today.isoformat(),
        "backdated": comparison.is_backdated,
        "added": [_presence(one) for one in comparison.added],
        "removed": [_presence(one) for one in comparison.removed],
        "changes": [_change(one, comparison) for one in comparison.changes],
        "effects": [_effect(one) for one in found],
    }


def percent(change: Fraction | None) -> str | None:
    """A change in per cent with one decimal and its sign; rounded half away from zero."""
    if change is None:
        return None
    tenths = (abs(change) * 10 + Fraction(1, 2)).__floor__()
    sign = "-" if change < 0 and tenths else "+"
    return f"{sign}{tenths // 10:,}.{tenths % 10}"


def relative(before: int, after: int) -> Fraction | None:
    """By how much a whole number changes, in per cent; None from nothing."""
    return Fraction(after - before, before) * 100 if before else None


def _presence(one: Presence) -> dict[str, Any]:
    since = one.since.isoformat() if one.since else None
    return {
        "thing": one.thing,
        "id": one.id,
        "names": dict(one.names),
        "since": since,
        "backdated": one.in_place,
    }


def _change(one: Change, comparison: Comparison) -> dict[str, Any]:
    return {
        "thing": one.thing,
        "id": one.id,
        "names": dict(comparison.names.get((one.thing, one.id), {})),
        "path": one.path,
        "label": {"en": label(one.path), "zh": label(one.path, "zh")},
        "kind": one.kind,
        "from_on": one.from_on.isoformat(),
        "last_on": day_before(one.until_on).isoformat() if one.until_on else None,
        "before": _leaf(one.before),
        "after": _leaf(one.after),
        "change_pct": percent(one.change_pct),
        "edited_in_place": one.in_place,
        "followed_by": one.followed_by,
    }


def _leaf(leaf: Leaf | None) -> dict[str, Any] | None:
    if leaf is None:
        return None
    told: dict[str, Any] = {"value": leaf.text, "unit": leaf.unit or None}
    if leaf.confidence:
        told |= {"confidence": leaf.confidence, "references": list(leaf.references)}
    return told


def _effect(one: Effect) -> dict[str, Any]:
    act = one.act
    return {
        "behaviour": one.behaviour,
        "from_on": one.on.isoformat(),
        "act": {
            "name": act.name,
            "quantity": format(act.quantity, "f"),
            "unit": act.unit,
            "province": act.province,
            "attributes": dict(act.attributes),
        },
        "before": _worth(one.before),
        "after": _worth(one.after),
        "energy_pct": percent(relative(one.before.booked_g, one.after.booked_g)),
        "avoided_pct": percent(relative(one.before.avoided_mg, one.after.avoided_mg)),
    }


def _worth(worth: Worth) -> dict[str, Any]:
    if worth.refused:
        return {"refused": worth.refused}
    return {
        "energy_g": worth.energy_g,
        "booked_g": worth.booked_g,
        "avoided_mg": worth.avoided_mg,
        "month_most_g": worth.month_most_g,
    }
