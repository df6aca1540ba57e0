"""Who lives in the village, and idempotency keys as a client would make them. Knows no engine."""

import random
from dataclasses import dataclass

ZONE = "Asia/Shanghai"
REFERENCE = "demo:"
VISITOR = "demo:you"

NAMES = (
    "You 你",
    "Lin Xia 林夏",
    "老王 Wang",
    "小满 Xiaoman",
    "Mei 梅",
    "阿树 Ashu",
    "Daniel 丹尼尔",
    "周周 Zhou",
    "Grace 格蕾丝",
    "石头 Shitou",
    "安安 An'an",
    "Omar 奥马尔",
    "苏禾 Su He",
    "大鹏 Dapeng",
    "Ines 伊内丝",
    "青禾 Qinghe",
    "小雨 Xiaoyu",
    "Tom 汤姆",
    "陈露 Chen Lu",
    "豆豆 Doudou",
    "Yuki 雪",
    "海涛 Haitao",
    "Nadia 娜迪亚",
    "木木 Mumu",
    "方圆 Fang",
    "Leo 狮子",
    "秋白 Qiubai",
    "Priya 普里亚",
    "云朵 Yunduo",
    "Old Gu 老顾",
)
PROVINCES = ("CN-BJ", "CN-SH", "CN-GD", "CN-NM", "CN-GS", "CN-ZJ")


@dataclass(frozen=True, slots=True)
class Villager:
    """A person of the village. `diligence` from 0 to 1: how often they act and collect."""

    user: int
    name: str
    diligence: float

    @property
    def subject(self) -> str:
        """How the village's source names them."""
        return f"resident-{self.user}"


def diligence_of(place: int) -> float:
    """The visitor and the first few are busy, the others less and less."""
    return 1.0 if place < 6 else max(0.25, 1.0 - place / 40)


def new_key(dice: random.Random, now: int) -> str:
    """A UUIDv7 of that instant with the village's dice."""
    bits = dice.getrandbits(74)
    text = (
        f"{now & 0xFFFF_FFFF_FFFF:012x}7{bits >> 62:03x}{0x8 | (bits >> 60) & 3:x}{bits & (1 << 60) - 1:015x}"
    )
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
