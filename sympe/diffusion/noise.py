r"""Noise on one categorical variable, and its reversal.

With probability :math:`\bar\alpha_t` a variable still has its clean value at time t, else it was drawn anew from the
limit m, whatever it was:

.. math:: q(x_t \mid x_0) = \bar\alpha_t\, \delta_{x_0}(x_t) + (1 - \bar\alpha_t)\, m(x_t), \qquad
   q(x_t \mid x_s) = \tfrac{\bar\alpha_t}{\bar\alpha_s} \delta_{x_s}(x_t)
   + \bigl(1 - \tfrac{\bar\alpha_t}{\bar\alpha_s}\bigr)\, m(x_t) .

The three noises differ in m alone: uniform; the frequencies of the data (*marginal*); all on a type of its own, the
mask (*absorbing*). A prediction :math:`p(x_0 \mid x_t)` makes the reverse step

.. math:: p(x_s \mid x_t) = \sum_{x_0} q(x_s \mid x_t, x_0)\, p(x_0 \mid x_t)
   = q(x_t \mid x_s) \sum_{x_0} \frac{p(x_0 \mid x_t)}{q(x_t \mid x_0)}\, q(x_s \mid x_0),

with the prediction restricted to the :math:`x_0` that can lead to :math:`x_t`. It costs as much as there are types,
not their square.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn


def cosine_schedule(steps: int) -> Float[Tensor, " times"]:
    r"""The share :math:`\bar\alpha_t` of signal at times 0 to ``steps``; exactly 1 and 0 at the ends.

    .. math:: \bar\alpha_t = \cos^2\Bigl(\frac{\pi}{2} \cdot \frac{t/T + 0.008}{1.008}\Bigr) \Big/
       \cos^2\Bigl(\frac{\pi}{2} \cdot \frac{0.008}{1.008}\Bigr)

    Arguments:
        steps: T, at least 1.

    Raises:
        ValueError: if ``steps < 1``.

    References:
        Nichol and Dhariwal, "Improved Denoising Diffusion Probabilistic Models", ICML 2021, Equation 17.

    Example:
        >>> cosine_schedule(4)
        tensor([1.0000, 0.8470, 0.4938, 0.1443, 0.0000])
    """
    if steps < 1:
        raise ValueError(f"steps: expected at least 1, got {steps}")
    t = torch.arange(steps + 1, dtype=torch.float64) / steps
    alpha = torch.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2
    alpha = alpha / alpha[0]
    alpha[-1] = 0.0  # x_T says nothing of x_0, so the limit is the prior
    return alpha.to(torch.get_default_dtype())


class CategoricalNoise(nn.Module):
    """Noise towards a limit on variables with finitely many types.

    Arguments:
        limit: m, the probabilities of the types.
        clean_types: how many of them, the first ones, the data can have; None for all.

    Raises:
        ValueError: if ``limit`` is no probability vector, or ``clean_types`` is not between 1 and its length.

    References:
        Austin et al., "Structured Denoising Diffusion Models in Discrete State-Spaces", NeurIPS 2021.

    Example:
        >>> noise = CategoricalNoise.absorbing(2)
        >>> noise.forward_probabilities(torch.tensor([0, 1]), torch.tensor(0.75))
        tensor([[0.7500, 0.0000, 0.2500],
                [0.0000, 0.7500, 0.2500]])
    """

    limit: Tensor

    def __init__(self, limit: Float[Tensor, " types"], clean_types: int | None = None) -> None:
        super().__init__()
        if limit.dim() != 1 or not bool((limit >= 0).all()) or abs(float(limit.sum()) - 1) > 1e-4:
            raise ValueError(f"limit: expected a vector of probabilities, got {limit.tolist()}")
        self.clean_types = len(limit) if clean_types is None else clean_types
        if not 1 <= self.clean_types <= len(limit):
            raise ValueError(f"clean_types: expected 1 to {len(limit)}, got {clean_types}")
        self.register_buffer("limit", limit / limit.sum())

    @classmethod
    def uniform(cls, types: int) -> CategoricalNoise:
        """All types alike.

        Raises:
            ValueError: if ``types < 1``.
        """
        _check_types(types)
        return cls(torch.full((types,), 1 / types))

    @classmethod
    def marginal(cls, counts: Tensor) -> CategoricalNoise:
        """In proportion to ``counts``, those of the types in the data.

        Raises:
            ValueError: if a count is negative, or all are 0.
        """
        counts = counts.to(torch.get_default_dtype())
        if counts.dim() != 1 or not bool((counts >= 0).all()) or not bool(counts.sum() > 0):
            raise ValueError(f"counts: expected a vector of counts, not all 0, got {counts.tolist()}")
        return cls(counts / counts.sum())

    @classmethod
    def absorbing(cls, types: int) -> CategoricalNoise:
        """All on a type of its own that comes after the ``types`` of the data.

        Raises:
            ValueError: if ``types < 1``.
        """
        _check_types(types)
        return cls(torch.eye(types + 1)[types], clean_types=types)

    @property
    def types(self) -> int:
        """How many types a noisy variable can have."""
        return len(self.limit)

    def forward_probabilities(
        self, x: Int64[Tensor, "*batch"], alpha: Float[Tensor, "*#batch"]
    ) -> Float[Tensor, "*batch types"]:
        """q(. | x) where the share ``alpha`` of signal is left."""
        alpha = alpha[..., None]
        return alpha * nn.functional.one_hot(x, self.types) + (1 - alpha) * self.limit

    def reverse_probabilities(
        self,
        prediction: Float[Tensor, "*batch types"],
        x: Int64[Tensor, "*batch"],
        alpha_s: Float[Tensor, "*#batch"],
        alpha_t: Float[Tensor, "*#batch"],
    ) -> Float[Tensor, "*batch types"]:
        r"""p(. | x_t), the distribution of the variable at the earlier time s.

        Where ``prediction`` is the clean value itself this is :math:`q(x_s \mid x_t, x_0)`.

        Arguments:
            prediction: p(x_0 | x_t); it must be 0 where x_0 cannot lead to x_t (see :meth:`restrict`).
            x: x_t.
            alpha_s: the share of signal at s < t.
            alpha_t: the share of signal at t.
        """
        onto = self._onto(x, alpha_t)
        weight = torch.where(onto > 0, prediction / onto.clamp(min=torch.finfo(onto.dtype).tiny), 0.0)
        alpha = alpha_s[..., None]
        mixed = alpha * weight + (1 - alpha) * self.limit * weight.sum(-1, keepdim=True)
        return mixed * self._onto(x, alpha_t / alpha_s)

    def reverse_log_probabilities(
        self,
        log_prediction: Float[Tensor, "*batch types"],
        x: Int64[Tensor, "*batch"],
        alpha_s: Float[Tensor, "*#batch"],
        alpha_t: Float[Tensor, "*#batch"],
    ) -> Float[Tensor, "*batch types"]:
        """The logarithms of :meth:`reverse_probabilities`, from those of the prediction, however small."""
        onto = self._onto(x, alpha_t)
        weight = torch.where(onto > 0, log_prediction - onto.log(), -torch.inf)
        alpha = alpha_s[..., None]
        anew = (1 - alpha).log() + self.limit.log() + weight.logsumexp(-1, keepdim=True)
        return torch.logaddexp(alpha.log() + weight, anew) + self._onto(x, alpha_t / alpha_s).log()

    def restrict(
        self, logits: Float[Tensor, "*batch clean"], x: Int64[Tensor, "*batch"], alpha_t: Float[Tensor, "*#batch"]
    ) -> Float[Tensor, "*batch types"]:
        """The probabilities of a prediction, among the clean values that can lead to ``x``.

        Example:
            >>> noise = CategoricalNoise.absorbing(2)
            >>> noise.restrict(torch.zeros(2, 2), torch.tensor([0, 2]), torch.tensor(0.75))
            tensor([[1.0000, 0.0000, 0.0000],
                    [0.5000, 0.5000, 0.0000]])
        """
        return self._possible(logits, x, alpha_t).softmax(-1)

    def log_restrict(
        self, logits: Float[Tensor, "*batch clean"], x: Int64[Tensor, "*batch"], alpha_t: Float[Tensor, "*#batch"]
    ) -> Float[Tensor, "*batch types"]:
        """The logarithms of :meth:`restrict`."""
        return self._possible(logits, x, alpha_t).log_softmax(-1)

    def _possible(self, logits: Tensor, x: Tensor, alpha_t: Tensor) -> Tensor:
        logits = nn.functional.pad(logits, (0, self.types - self.clean_types), value=-torch.inf)
        return logits.masked_fill(self._onto(x, alpha_t) <= 0, -torch.inf)

    def digress_probabilities(
        self,
        prediction: Float[Tensor, "*batch types"],
        x: Int64[Tensor, "*batch"],
        alpha_s: Float[Tensor, "*#batch"],
        alpha_t: Float[Tensor, "*#batch"],
    ) -> Float[Tensor, "*batch types"]:
        r"""The reverse step as DiGress evaluates it, only to compare with published numbers.

        It puts the prediction where the clean value stands in :math:`q(x_s \mid x_t, x_0)`, that is
        :math:`\propto q(x_t \mid x_s) \sum_{x_0} q(x_s \mid x_0)\, p(x_0 \mid x_t)`, and so counts x_t twice.
        """
        alpha = alpha_s[..., None]
        joint = self._onto(x, alpha_t / alpha_s) * (alpha * prediction + (1 - alpha) * self.limit)
        return joint / joint.sum(-1, keepdim=True)

    def _onto(self, x: Tensor, alpha: Tensor) -> Tensor:
        """q(x | y) for every y: how likely each earlier value leads to x."""
        alpha = alpha[..., None]
        return alpha * nn.functional.one_hot(x, self.types) + (1 - alpha) * self.limit[x][..., None]


def draw(
    probabilities: Float[Tensor, "*batch types"], generator: torch.Generator | None = None
) -> Int64[Tensor, "*batch"]:
    """Draw types; those of probability 0 never come."""
    flat = probabilities.reshape(-1, probabilities.shape[-1])
    if not len(flat):
        return torch.zeros(probabilities.shape[:-1], dtype=torch.int64, device=flat.device)
    return torch.multinomial(flat, 1, generator=generator).view(probabilities.shape[:-1])


def _check_types(types: int) -> None:
    if types < 1:
        raise ValueError(f"types: expected at least 1, got {types}")
