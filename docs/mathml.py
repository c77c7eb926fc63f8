"""A Sphinx extension: formulas as MathML, which browsers draw by themselves, without scripts or a network."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert

KNOWN = {"arg": r"\operatorname{arg}"}
"""Commands that latex2mathml lacks, in its own words."""

OPERATORS = {
    "<mi>&#x0007E;</mi>": "<mo>&#x0223C;</mo>",  # "is drawn from"
    "<mi>&#x027F9;</mi>": "<mo>&#x027F9;</mo>",  # "implies"
    "<mi>:</mi>": "<mo>:</mo>",
    '<mo stretchy="false">&#x0007C;</mo>': '<mo stretchy="false" lspace="0" rspace="0">&#x0007C;</mo>',
}
"""What latex2mathml takes for letters, or spaces as if it stood between two terms."""


def mathml(latex: str, *, display: bool) -> str:
    """The MathML of a formula.

    Raises:
        ValueError: if a command is not known, which would be shown as it is.
    """
    for command, known in KNOWN.items():
        latex = re.sub(rf"\\{command}(?![A-Za-z])", known.replace("\\", r"\\"), latex)
    out = convert(latex, display="block" if display else "inline")
    for letter, operator in OPERATORS.items():
        out = out.replace(letter, operator)
    if "\\" in out:
        raise ValueError(f"a formula has a command that latex2mathml does not know: {latex}")
    return out


def visit_math(self: Any, node: nodes.math) -> None:
    """Write a formula of the text."""
    self.body.append(mathml(node.astext(), display=False))
    raise nodes.SkipNode


def visit_display(self: Any, node: nodes.math_block) -> None:
    """Write a formula on lines of its own, one for each paragraph of its source."""
    formulas = [part for part in node.astext().split("\n\n") if part.strip()]
    body = "".join(mathml(part, display=True) for part in formulas)
    self.body.append(f'<div class="math">{body}</div>')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Register the renderer as "mathml"."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_display, None))
    app.add_css_file("formulas.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
