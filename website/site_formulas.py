"""Formulas as MathML, which browsers draw by themselves."""

import html
import re
from typing import Any

from latex2mathml.converter import convert


def on_page_content(content: str, **_: Any) -> str:
    r"""Replace every \( \) and \[ \] that the extension arithmatex has marked (a hook of MkDocs)."""

    def drawn(match: re.Match[str]) -> str:
        formula = html.unescape(match[2]).strip()
        return convert(formula[2:-2], display="block" if match[1] == "div" else "inline")

    return re.sub(r'<(span|div) class="arithmatex">(.*?)</\1>', drawn, content, flags=re.DOTALL)
