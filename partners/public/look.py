"""The one look of all public pages: a frame, tables, and Chinese marked as Chinese for those who listen. Pure.

Text is escaped where it enters; only what is `Html` already goes in as it is. Nothing is styled or scripted inline.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from hashlib import sha256
from html import escape

STYLE = """\
:root{color-scheme:light dark}
body{font:1rem/1.55 system-ui,"PingFang SC","Noto Sans CJK SC","Microsoft YaHei",sans-serif;max-width:54rem;\
margin:0 auto;padding:0 1rem 3rem}
header,footer{display:flex;flex-wrap:wrap;gap:.3rem 1.2rem;padding:.8rem 0;border-bottom:1px solid #9a9}
footer{border:0;border-top:1px solid #9a9;margin-top:2rem;font-size:.9rem}
h1{font-size:1.5rem;line-height:1.3;margin:1.2rem 0 .6rem}
h2{font-size:1.15rem;margin:1.6rem 0 .4rem}
table{border-collapse:collapse;width:100%;margin:.4rem 0}
th,td{text-align:left;vertical-align:top;padding:.25rem .8rem .25rem 0;border-bottom:1px solid #8883}
th[scope=row]{width:34%;font-weight:600}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
.wide{overflow-x:auto}
.warn{border:2px solid;padding:.5rem .7rem}
.soft{opacity:.8;font-size:.92rem}
img{max-width:100%;height:auto}
form{display:flex;flex-wrap:wrap;gap:.5rem;align-items:end;margin:.6rem 0}
input,button{font:inherit;padding:.3rem .6rem}
a:focus-visible,input:focus-visible,button:focus-visible{outline:3px solid #3a7}
"""
STYLE_PATH = f"/v1/registry/style-{sha256(STYLE.encode()).hexdigest()[:10]}.css"
HOME = "/v1/registry"
_CHINESE = re.compile(
    "[\u2e80-\u303f\u3400-\u9fff\uff00-\uffef](?:[ ]?[\u2e80-\u303f\u3400-\u9fff\uff00-\uffef])*"
)


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def text(value: object) -> Html:
    """Anything as HTML: escaped, runs of Chinese marked."""
    if isinstance(value, Html):
        return value
    if value is None:
        return Html("")
    shown = f"{value:,}" if type(value) is int else str(value)
    return Html(_CHINESE.sub(lambda run: f'<span lang="zh">{run.group()}</span>', escape(shown)))


def link(target: str, shown: object) -> Html:
    """A link within the registry, or to an address that is safe to follow."""
    if not target.startswith(("/", "https://", "http://")):
        return text(shown)
    return Html(f'<a href="{escape(target)}">{text(shown)}</a>')


def join(parts: Iterable[object], between: str = "") -> Html:
    """Parts in a row."""
    return Html(between.join(text(part) for part in parts))


def heading(shown: str) -> Html:
    """The head of a section."""
    return Html(f"<h2>{text(shown)}</h2>")


def note(shown: object) -> Html:
    """A small remark."""
    return Html(f'<p class="soft">{text(shown)}</p>')


def facts(rows: Iterable[tuple[str, object]]) -> Html:
    """Label and value, one a row; what is empty is left out."""
    made = "".join(
        f'<tr><th scope="row">{text(label)}</th><td>{text(value)}</td></tr>'
        for label, value in rows
        if value not in ("", None)
    )
    return Html(f"<table>{made}</table>")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Html:
    """A table with a head; whole numbers stand to the right."""
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    if not body:
        return note("none yet 暂无")
    head = "".join(f'<th scope="col">{text(column)}</th>' for column in columns)
    return Html(f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>')


def _cell(value: object) -> str:
    return f"<td{' class=n' if type(value) is int else ''}>{text(value)}</td>"


def page(title: str, parts: Iterable[Html], warning: str = "", foot: Iterable[object] = ()) -> bytes:
    """The whole page."""
    warned = f'<p class="warn" role="note">{text(warning)}</p>' if warning else ""
    plain = escape(title)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{plain}</title>'
        f'<link rel="stylesheet" href="{STYLE_PATH}"></head><body><header>{link(HOME, "Registry 公开登记册")}'
        f"{link(f'{HOME}/data', 'Open data 开放数据')}</header>"
        f"<main><h1>{text(title)}</h1>{warned}{''.join(parts)}</main>"
        f"<footer>{''.join(f'<span>{text(one)}</span>' for one in foot)}</footer></body></html>"
    ).encode()


SIMULATED = "Simulated partner: no real trees. 模拟伙伴，并非真实树木。"
