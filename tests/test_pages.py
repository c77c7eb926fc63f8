"""The pages of the documentation: their code runs and prints what they show, and tutorials are valid notebooks."""

import re
import warnings
from pathlib import Path

import nbformat
import pytest
import torch

from docs import notebooks, pages
from docs.mathml import OPERATORS, mathml
from docs.offline import foreign
from sympe.cli import commands

DOCS = Path(__file__).parent.parent / "docs"
ELSEWHERE = {"method.md", "theory.md"}  # tests/test_readme.py looks at their values
WITH_CODE = [
    path
    for path in sorted(DOCS.rglob("*.md"))
    if "```python\n" in path.read_text() and path.name not in ELSEWHERE and "_build" not in path.parts
]


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")  # as for a reader; one of them compiles
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")  # torch.compile's
@pytest.mark.parametrize("path", WITH_CODE, ids=lambda path: path.stem)
def test_a_page_prints_what_it_shows(path: Path):
    torch._dynamo.reset()
    shown = [cell.output for cell in pages.read(path)[0]]
    printed, _ = pages.run(path)
    assert printed == shown


def test_all_tutorials_have_code_and_outputs():
    for path in notebooks.tutorials():
        assert path in WITH_CODE
        assert any(cell.output for cell in pages.read(path)[0]), path


PAGE = "# Title\n\n```python\nprint(1 + 1)\n```\n\n```output\n2\n```\n\nThe end.\n"


def test_a_wrong_output_is_seen_and_renewed(tmp_path: Path):
    path = tmp_path / "page.md"
    path.write_text(PAGE.replace("\n2\n", "\n3\n"))
    assert pages.run(path)[0] == ["2\n"]
    assert pages.read(path)[0][0].output == "3\n"
    pages.renew(path)
    assert path.read_text() == PAGE
    pages.renew(path)
    assert path.read_text() == PAGE


@pytest.mark.parametrize(
    "page", ["```output\n2\n```\n", PAGE.replace("```output", "words\n\n```output"), PAGE + "```output\n2\n```\n"]
)
def test_an_output_needs_its_code(tmp_path: Path, page: str):
    path = tmp_path / "page.md"
    path.write_text(page)
    with pytest.raises(ValueError, match=r"page.md, line \d+: an output without code"):
        pages.read(path)


def test_a_traceback_names_the_line_of_the_page(tmp_path: Path):
    path = tmp_path / "page.md"
    path.write_text("# Title\n\n```python\nx = 1\n1 / 0\n```\n")
    with pytest.raises(ZeroDivisionError) as caught:
        pages.run(path)
    assert caught.traceback[-1].lineno == 5 - 1


@pytest.mark.parametrize("path", notebooks.tutorials(), ids=lambda path: path.stem)
def test_notebooks_are_valid_and_hold_the_code_of_the_page(path: Path, tmp_path: Path):
    (written,) = [one for one in notebooks.write(tmp_path) if one.stem == path.stem]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        notebook = nbformat.read(written, as_version=4)
        nbformat.validate(notebook)
    cells = pages.read(path)[0]
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.source for cell in code] == [cell.code.rstrip("\n") for cell in cells]
    assert ["".join(output.text for output in cell.outputs) for cell in code] == [cell.output for cell in cells]
    text = "".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert "{class}" not in text
    assert "{func}" not in text
    pictures = [name for cell in notebook.cells for name in cell.get("attachments", {})]
    assert text.count("](attachment:") == len(pictures) == path.read_text().count(".png)")


def test_a_notebook_that_is_wrong_is_refused():
    notebook = notebooks.notebook(DOCS / "quickstart.md")
    del notebook["cells"][0]["source"]
    with pytest.raises(nbformat.ValidationError):
        nbformat.validate(notebook)


def test_text_of_a_notebook_stands_alone():
    page = DOCS / "tutorials" / "targets.md"
    text = "{class}`~sympe.encodings.SymPE`, {func}`words <sympe.x>`, {func}`sympe.y`, [a](own-group.md#b), [c](#d)"
    there = notebooks.SOURCE + "tutorials/"
    assert notebooks.markdown_cell(text, page)["source"] == (
        f"`SymPE`, words, `sympe.y`, [a]({there}own-group.md#b), [c]({there}targets.md#d)"
    )


def test_formulas_become_mathml():
    assert "<mo>&#x02211;</mo>" in mathml(r"\sum_i x_i", display=True)
    assert ">arg</m" in mathml(r"\arg\max_a f(a)", display=False)
    assert "<mo>&#x0223C;</mo>" in mathml(r"g \sim \kappa", display=False)
    assert "<mo>:</mo>" in mathml(r"\{g : gx = x\}", display=False)
    assert mathml("|G_x|", display=False).count('lspace="0" rspace="0"') == 2
    assert not any(letter in mathml(r"a \sim b \implies c: |d|", display=True) for letter in OPERATORS)
    with pytest.raises(ValueError, match="a command that latex2mathml does not know"):
        mathml(r"\nosuchcommand x", display=False)


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://cdn.jsdelivr.net/npm/mathjax@3/es5/tex-mml-chtml.js"></script>',
        '<link rel="stylesheet" href="//fonts.googleapis.com/css">',
        '<img alt="x" src="http://example.org/x.png">',
    ],
)
def test_pages_that_need_a_network_are_found(html: str):
    assert len(foreign(html)) == 1


def test_links_and_own_files_need_no_network():
    assert foreign('<a href="https://arxiv.org">x</a><img src="_images/x.png"><img src="data:image/png;base64,">') == []


def test_the_page_on_the_command_line_has_every_verb_and_experiment():
    page = (DOCS / "command-line.md").read_text()
    titles = [line.removeprefix("## sympe ") for line in page.splitlines() if line.startswith("## sympe ")]
    known = list(commands())
    assert sorted({words.split()[0] for words in known}) == sorted(titles)
    compared = [words.split()[1] for words in known if words.startswith("compare ")]
    assert re.findall(r"^\| `([\w-]+)` \| [^|]+ \| smoke", page, flags=re.MULTILINE) == compared
    trained = ",".join(words.split()[1] for words in known if words.startswith("train "))
    assert f"sympe train {{{trained}}}" in page


def test_tutorials_and_their_pictures_are_in_the_index():
    index = (DOCS / "index.md").read_text()
    for path in sorted(DOCS.glob("tutorials/*.md")) + sorted(DOCS.glob("how-to/*.md")):
        assert f"\n{path.relative_to(DOCS).with_suffix('')}\n" in index
