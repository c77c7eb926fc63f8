r"""Randomized canonicalization: any map at all, made equivariant by the canonical form.

Let F be *any* map, equivariant or not: a plain transformer or CNN, a solver's eigenvectors with the signs and bases
that it happens to choose, features that depend on the order of the nodes. With :math:`g \sim \kappa(\cdot \mid x)`

.. math:: y = g\, F(g^{-1} x), \qquad g^{-1} x = \gamma(x),

is jointly equivariant in (x, g), and so equivariant in distribution: F sees canonical forms only. Two draws differ by
an element of :math:`G_x`. The mean over :math:`C(x)` is an equivariant *function*; where x has no symmetry one
evaluation is all of it. SymPE is the case that F is a learned vector v. (Paper, Section 3: the constructive half of its
theorem.)

An exact kernel jumps where x gains a symmetry, and so does y: fine for generation and classification, wrong for forces
in dynamics, which must be continuous.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sympe.actions import Action, PointAction, ScalarAction, VectorAction
from sympe.encodings.base import Encoding, batch_size
from sympe.encodings.form import FormedModule, described
from sympe.graphs import Clouds, DenseGraphs, SparseGraphs
from sympe.graphs.checks import without_spare_padding
from sympe.groups import Group, Permutations
from sympe.groups.checks import check_callable, check_kind
from sympe.kernels import CoupledKernel, InversionKernel, Kernel

Move = Callable[[Tensor, Any], Any]
"""Moves a batch by elements, one for each of its entries: an :class:`~sympe.actions.Action`, for example."""


class Canonicalized(FormedModule):
    r"""Any network on canonical forms: :math:`y = g\, F(g^{-1} x)` with one draw g, equivariant in distribution.

    :meth:`mean` is the mean over all of C(x): an equivariant function, with :math:`|G_x|` evaluations.

    Of graphs F sees the canonical form as :class:`~sympe.graphs.DenseGraphs` or ``SparseGraphs`` with its *colours*, in
    which float features are ranks: two graphs whose features have the same order look alike. Features that F needs as
    numbers go the other way, with one g for all: ``g = kernel.sample(x)``, then
    ``action(g, F(relabel(kernel.group.inverse(g), x), action(kernel.group.inverse(g), features)))``.

    It is as equivariant as ``kernel``: with one that is equivariant but not exact (Haar, learned) a draw is still
    equivariant in distribution, but F then sees more than canonical forms, and no gradient reaches a learned kernel.

    Arguments:
        network: F, any map of batches of x to batches of y; it may give graphs of fewer nodes than ``action_out``
            moves, which are padded with zeros.
        kernel: draws g from x; a coupled one also from x and a target (:class:`~sympe.encodings.SymPE`).
        action_in: how g moves x: an action, or :func:`sympe.graphs.relabel` for graphs.
        action_out: how g moves y: an action; None for invariants, which it leaves as they are.
        limit: largest C(x) that :meth:`mean` takes.

    Raises:
        TypeError: if ``kernel`` is no kernel; in :meth:`mean`, if it is not one of the exact ones.
        ValueError: if ``limit < 1``, or an action is not of the kernel's group; in :meth:`mean`, if C(x) is larger than
            ``limit``: says how large.

    References:
        Lawrence et al. (arXiv 2503.21985), Section 3; Kaba et al., "Equivariance with learned canonicalization
        functions", ICML 2023; Puny et al., "Frame averaging", ICLR 2022.

    Example:
        A plain CNN, made equivariant under all symmetries of a periodic lattice:

        >>> import torch
        >>> from torch import nn
        >>> from sympe.actions import GridAction
        >>> from sympe.groups import P4M
        >>> from sympe.kernels import OrbitKernel
        >>> action = GridAction(P4M(4))
        >>> model = Canonicalized(nn.Conv2d(1, 1, 3, padding=1), OrbitKernel(action), action, action)
        >>> x = torch.randn(2, 1, 4, 4)
        >>> g = torch.tensor([5, 77])
        >>> model(x).shape, torch.allclose(model.mean(action(g, x)), action(g, model.mean(x)), atol=1e-5)
        (torch.Size([2, 1, 4, 4]), True)
    """

    def __init__(
        self,
        network: Callable[[Any], Tensor],
        kernel: Kernel | CoupledKernel,
        action_in: Move,
        action_out: Move | None,
        *,
        limit: int = 1024,
    ) -> None:
        super().__init__(kernel)
        check_callable("network", network)
        for name, action in (("action_in", action_in), ("action_out", action_out)):
            if action is not None or name == "action_in":
                check_callable(name, action)
            if isinstance(action, Action) and action.group != kernel.group:
                raise ValueError(f"{name}: expected an action of the kernel's {kernel.group!r}, got {action.group!r}")
        if limit < 1:
            raise ValueError(f"limit: expected at least 1, got {limit}")
        self.network = network
        self.action_in = action_in
        self.action_out = action_out
        self.limit = limit

    def extra_repr(self) -> str:
        """The kernel and the limit."""
        return f"{described(self.coupled or self.kernel)}, limit={self.limit}"

    def forward(self, x: Any, *, target: Any = None, generator: torch.Generator | None = None) -> Tensor:
        """Draw g for every x, coupled to the target if one is given, and evaluate the network once."""
        return self._evaluated(self.draw(x, target, generator=generator).g, x)

    def mean(self, x: Any) -> Tensor:
        """The mean over C(x), in one batch of as many evaluations as C(x) has elements, summed over the batch."""
        if not isinstance(self.kernel, InversionKernel):
            raise TypeError(f"kernel: expected one that lists C(x) for the mean, got {type(self.kernel).__name__}")
        rows, g = self.kernel.list_coset(x, limit=self.limit)
        y = self._evaluated(g, _repeated(x, rows))
        wide = torch.promote_types(y.dtype, torch.float32)  # a sum in half precision stops growing
        batch = batch_size(x)
        total = torch.zeros((batch, *y.shape[1:]), dtype=wide, device=y.device).index_add(0, rows, y.to(wide))
        counts = rows.bincount(minlength=batch)
        return (total / counts.view(-1, *[1] * (y.dim() - 1))).to(y.dtype)

    def _evaluated(self, g: Tensor, x: Any) -> Tensor:
        group = self.kernel.group
        y = self.network(self.action_in(group.inverse(g), _fitted(x, group)))
        if self.action_out is None:
            return y
        if isinstance(self.action_out, Action):
            y = _padded(y, self.action_out)
        moved: Tensor = self.action_out(g, y)
        return moved


class CanonicalEncoding(FormedModule, Encoding):
    r"""Features of the canonical form, moved back: :math:`g\, f(\gamma(x))` with :math:`g \sim \kappa(\cdot \mid x)`.

    What an order-dependent feature (Laplacian eigenvectors with the solver's signs, node numbers) lacks, it gains here:
    on :math:`\gamma(x)` no sign, basis or order is left to choose, so the features are equivariant in distribution.

    Arguments:
        kernel: an exact kernel, or one that couples it to targets.
        features: any map of canonical forms to features of shape ``(batch, *action.shape)``; of graphs also with fewer
            nodes, as many as the largest has.
        action: how g moves the features.

    Raises:
        TypeError: if ``kernel`` is not exact, or ``action`` no action.
        ValueError: if kernel and action are not of the same group; on use, if the features have another shape.

    References:
        Lawrence et al. (arXiv 2503.21985), Section 3.

    Example:
        The place of each node in the canonical order, as a feature:

        >>> from sympe.actions import NodeAction
        >>> from sympe.kernels import GraphKernel
        >>> star = DenseGraphs.from_features(torch.tensor([[[0, 1, 1], [1, 0, 0], [1, 0, 0]]]))
        >>> places = lambda x: torch.arange(3.0).view(1, 3, 1)
        >>> kernel = GraphKernel(3)
        >>> encoding = CanonicalEncoding(kernel, places, NodeAction(kernel.group, channels=1))
        >>> sorted(encoding(star).flatten().tolist())
        [0.0, 1.0, 2.0]
    """

    kernel: InversionKernel

    def __init__(
        self, kernel: InversionKernel | CoupledKernel, features: Callable[[Any], Tensor], action: Action
    ) -> None:
        super().__init__(kernel)
        check_kind("kernel", self.kernel, InversionKernel)
        check_callable("features", features)
        check_kind("action", action, Action)
        if kernel.group != action.group:
            raise ValueError(f"action: expected an action of the kernel's {kernel.group!r}, got {action.group!r}")
        self.features = features
        self.action = action

    def extra_repr(self) -> str:
        """The kernel and the action."""
        return described(self.coupled or self.kernel, self.action)

    @property
    def channels_last(self) -> bool:
        """As the action has them."""
        return self.action.channels_last

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the features of one x."""
        return self.action.shape

    def forward(
        self, x: Any, *, target: Any = None, generator: torch.Generator | None = None
    ) -> Float[Tensor, "batch ..."]:
        """Draw g for every x, coupled to the target if one is given, and move the features of its canonical form."""
        return self.given(self.draw(x, target, generator=generator).g, x)

    def given(self, g: Tensor, x: Any) -> Float[Tensor, "batch ..."]:
        """The features for elements that were drawn before."""
        group = self.kernel.group
        features = _padded(self.features(self.kernel.move(group.inverse(g), _fitted(x, group))), self.action)
        expected = (batch_size(x), *self.shape)
        if features.shape != expected:
            raise ValueError(f"features: expected shape {expected}, got {tuple(features.shape)}")
        return self.action(g, features)


def _padded(y: Tensor, action: Action) -> Tensor:
    """Zeros up to the action's shape where y has fewer nodes; everything else is left to the action to refuse."""
    shape = action.shape
    if isinstance(action, PointAction | VectorAction | ScalarAction):
        moved = 1  # of the dimensions of the shape, those that are nodes
    elif isinstance(action.group, Permutations):
        moved = len(shape) - 1
    else:
        return y
    if y.dim() != len(shape) + 1:
        return y
    missing = [wide - own for own, wide in zip(y.shape[1 : 1 + moved], shape[:moved], strict=True)]
    if not any(missing) or min(missing) < 0:
        return y
    after = [0] * (len(shape) - moved)
    before_and_after = [part for number in (*missing, *after)[::-1] for part in (0, number)]
    padded: Tensor = nn.functional.pad(y, before_and_after)
    return padded


def _fitted(x: Any, group: Group) -> Any:
    """Graphs without padding that the group does not reach."""
    if isinstance(group, Permutations) and isinstance(x, DenseGraphs | SparseGraphs):
        return without_spare_padding(x, group.degree)
    return x


def _repeated(x: Any, rows: Tensor) -> Any:
    """The inputs of these rows, which ascend and may be there several times."""
    if isinstance(x, tuple):
        return tuple(_repeated(part, rows) for part in x)
    return x.select(rows) if isinstance(x, DenseGraphs | SparseGraphs | Clouds) else x[rows]
