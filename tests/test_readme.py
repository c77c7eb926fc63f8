"""The Python of the README and of the chapters runs as it stands."""

import ast
import re
from pathlib import Path

import pytest
import torch

from docs import pages

README = Path(__file__).parent.parent / "README.md"
REPOSITORY = "https://github.com/sympe-torch/sympe"
RAW = "https://raw.githubusercontent.com/sympe-torch/sympe/main/"
BASES = (f"{REPOSITORY}/blob/main/", f"{REPOSITORY}/tree/main/", RAW)
PAGES = [
    path
    for path in sorted((README.parent / "docs").rglob("*.md"))
    if not {"_build", "generated"} & set(path.relative_to(README.parent).parts)
]


def run_blocks(path: Path, count: int) -> tuple[dict[str, object], list[object]]:
    """The names that the blocks leave, and the values of their lines that are expressions."""
    blocks = re.findall(r"```python\n(.*?)```", path.read_text(), flags=re.DOTALL)
    assert len(blocks) == count
    names: dict[str, object] = {}
    values = []
    for statement in ast.parse("".join(blocks)).body:
        if isinstance(statement, ast.Expr):
            values.append(eval(compile(ast.Expression(statement.value), str(path), "eval"), names))
        else:
            exec(compile(ast.Module([statement], []), str(path), "exec"), names)  # the point is to run it
    return names, values


def test_the_chapter_on_the_theorem_says_what_comes_out():
    _, values = run_blocks(README.parent / "docs" / "theory.md", 5)
    coin = torch.tensor([[0.5, 0.5]], dtype=torch.float64)
    theorem = [0.0, torch.ones(1), coin, torch.tensor([2.0]), 0.0, 1.0]
    rest = [False, True, 4, torch.tensor([2.0]), torch.tensor([True, False, True, False])]
    expected = [*theorem, *rest]
    for value, right in zip(values, expected, strict=True):
        torch.testing.assert_close(torch.as_tensor(value).double(), torch.as_tensor(right).double())


def test_numbers_on_graphs_go_to_canonical_form_and_back():
    names, _ = run_blocks(README.parent / "docs" / "method.md", 1)
    assert sorted(names["y"][0, :, 0].tolist()) == [1.0, 2.0, 3.0, 4.0]  # each node has its place


@pytest.mark.slow
def test_python_blocks_run_in_order_and_print_what_they_show():
    printed, names = pages.run(README)
    assert printed == [cell.output for cell in pages.read(README)[0]]
    assert printed[0].count("\n") == 3
    h = names["h"]
    assert isinstance(h, torch.Tensor)
    assert h.shape == (4, 32)
    assert float((h[0] - h[1]).detach().abs().max()) > 1e-3  # the nodes of the square are told apart
    features = names["features"]
    assert isinstance(features, torch.Tensor)
    assert features.shape == (4, 16)


def links_of(page: Path) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", page.read_text())


def test_links_of_the_readme_are_absolute_and_lead_to_files():
    """So that they work where packages are listed, too."""
    links = links_of(README)
    ours = [link for link in links if "sympe-torch/sympe/" in link]
    assert len(ours) > 20
    for link in links:
        assert link.startswith("https://"), link
    for link in ours:
        base = next((base for base in BASES if link.startswith(base)), None)
        assert base is not None, link
        path, _, anchor = link.removeprefix(base).partition("#")
        assert (README.parent / path).exists(), link
        assert not anchor or anchor in anchors_of(README.parent / path), link
    pictures = [link for link in ours if link.endswith(".png")]
    assert pictures
    assert all(link.startswith(RAW) for link in pictures)


def anchors_of(page: Path) -> list[str]:
    """As GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(README.parent)))
def test_links_between_pages_lead_to_files(page: Path):
    for link in links_of(page):
        path, _, anchor = link.partition("#")
        if path.startswith(("http", "mailto:")):
            assert "sympe-torch" not in path or (README.parent / path.split("/main/")[1]).exists(), link
            continue
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors_of(target), link


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text("# Title\n\n[a](page.md#title) [b](page.md#no) [c](no.md)\n")
    assert links_of(page) == ["page.md#title", "page.md#no", "no.md"]
    assert anchors_of(page) == ["title"]


def test_numbers_of_the_readme_stand_in_the_results():
    """Each number of the table, in the page that its row links or in the table beside it."""
    table = README.read_text().split("## Results")[1].split("Means of three")[0]
    measured: list[float] = []
    for row in table.splitlines():
        if found := re.search(r"main/(results/[\w-]+)", row):
            folder = README.parent / found[1]
            text = (folder / "README.md").read_text() + (folder / "table.md").read_text()
            measured = [float(number) for number in re.findall(r"\d+\.\d+", text)]
        for number in re.findall(r"\d+\.\d+", row.split("|", 2)[-1]):
            assert stands(number, measured), (number, row)


def stands(number: str, measured: list[float]) -> bool:
    """Whether a number, or a percentage of a share that tables give to four places, is one that was measured."""
    half = 0.5 * 10.0 ** -len(number.split(".")[1]) + 1e-9
    wanted = float(number)
    return any(abs(value - wanted) <= half or abs(100 * value - wanted) <= half + 0.005 for value in measured)


def test_a_number_that_was_not_measured_is_found():
    assert stands("31.3", [0.3135])
    assert stands("0.06", [0.0599])
    assert not stands("31.4", [0.3128, 3.14])
