"""The Python of the README runs as it stands."""

import re
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def test_python_blocks_run_in_order():
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert len(blocks) == 3
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(README), "exec"), names)  # the point is to run it
    import torch

    assert names["model"](torch.ones(2, 3, 10, 10)).shape == (2, 1, 10, 10)  # type: ignore[operator]
    assert float(names["lattice"].entropy(names["x"]).exp()) > 799  # type: ignore[attr-defined]
    h = names["h"]
    assert isinstance(h, torch.Tensor)
    assert h.shape == (4, 32)
    assert float((h[0] - h[1]).detach().abs().max()) > 1e-3  # the nodes of the square are told apart


def test_linked_files_exist():
    links = re.findall(r"\]\(([^)#]+)\)", README.read_text())
    assert links
    missing = [link for link in links if not link.startswith("http") and not (README.parent / link).exists()]
    assert missing == []
