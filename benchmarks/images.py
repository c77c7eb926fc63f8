"""The exact kernel of small groups on large images: few orbits are ranked where they do (one thread, batch of 8)."""

from __future__ import annotations

import torch

from benchmarks.timing import side_by_side
from sympe.actions import ImageAction
from sympe.groups import Cyclic, Dihedral
from sympe.kernels import OrbitKernel
from sympe.kernels.finite.search import Plan, rank_entries, search_permuting


def main() -> None:
    """Print the table."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    noise = torch.rand(8, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    images = {"generic": noise, "bytes": (noise * 255).byte(), "half turn": noise + noise.flip(2, 3)}
    images["constant"] = torch.ones_like(noise)
    print("| group | 8 images of 3 x 224 x 224 | kernel, ms | all entries ranked, ms | ratio |\n" + "| --- " * 5 + "|")
    for group in (Cyclic(4), Dihedral(4)):
        action = ImageAction(group, 3, 224)
        kernel, plan = OrbitKernel(action), Plan.of(action)
        for name, x in images.items():

            def whole(x: torch.Tensor = x, kernel: OrbitKernel = kernel, plan: Plan = plan) -> None:
                search_permuting(kernel.action, plan, rank_entries(x.flatten(1), plan.component, kernel.tolerance))

            ours, theirs, ratio = side_by_side(lambda x=x, kernel=kernel: kernel.sample(x), whole)  # type: ignore[misc]
            print(f"| {group} | {name} | {ours:.1f} | {theirs:.1f} | {ratio:.2f} |")
    torch.set_num_threads(threads)


if __name__ == "__main__":
    main()
