"""Random numbers: every draw of the library goes through :func:`draw_numbers`, and :func:`seeded` makes its generators.

Processes of a distributed training that are seeded alike (as by Lightning's ``seed_everything``) draw the same numbers,
so that their elements g are copies of one another and their gradients are correlated, without any sign of it. With a
generator of (seed, step, rank) they are independent, and a run that is resumed goes on as if it had not stopped.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Callable
from typing import Any, SupportsIndex

import torch
from torch import Tensor


def seeded(*parts: SupportsIndex | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator for a purpose: its seed is a hash of all the parts, in order.

    Arguments:
        parts: integers and words, such as the seed of the run, the step, and the rank of the process.
        device: of the generator.

    Raises:
        TypeError: if a part is neither an integer nor a string.
        ValueError: if there are no parts.

    Example:
        Two processes, at the same step:

        >>> from sympe.encodings import NoiseEncoding
        >>> encoding, x = NoiseEncoding((4,)), torch.zeros(2, 1)
        >>> one, other = (encoding(x, generator=seeded(0, 17, rank)) for rank in (0, 1))
        >>> torch.equal(one, other), torch.equal(one, encoding(x, generator=seeded(0, 17, 0)))
        (False, True)
    """
    if not parts:
        raise ValueError("parts: expected at least one, such as the seed of a run, got none")
    plain = tuple(str(part) if isinstance(part, str) else _integer(part) for part in parts)
    digest = hashlib.sha256(repr(plain).encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def draw_numbers(
    sampler: Callable[..., Tensor],
    *arguments: Any,
    generator: torch.Generator | None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Random numbers from one of torch's samplers, drawn where the generator is and moved to a device.

    Without generator the keyword is left out: a compiled graph of symbolic sizes takes no ``generator=None``.

    Arguments:
        sampler: ``torch.rand``, ``torch.randn``, ``torch.randint`` or another that takes a device.
        arguments: of the sampler.
        generator: what they are drawn from; None for torch's global generator of the device.
        device: where they are wanted; None for torch's default device.
        dtype: of the numbers; None for the sampler's own.

    Raises:
        TypeError: if ``generator`` is none.
    """
    options: dict[str, Any] = {} if dtype is None else {"dtype": dtype}
    if generator is None:
        return sampler(*arguments, device=device, **options)
    check_generator(generator)
    wanted = torch.get_default_device() if device is None else device
    return sampler(*arguments, generator=generator, device=generator.device, **options).to(wanted)


def check_generator(generator: torch.Generator | None) -> None:
    """Refuse what is no generator: a seed, above all.

    Raises:
        TypeError: says what came.
    """
    if generator is not None and not isinstance(generator, torch.Generator):
        raise TypeError(
            f"generator: expected a torch.Generator, such as torch.Generator().manual_seed(0), or None; "
            f"got {type(generator).__name__}"
        )


def _integer(part: Any) -> int:
    try:
        return operator.index(part)
    except TypeError:
        raise TypeError(f"parts: expected integers and strings, got {type(part).__name__}") from None
