"""The laws of a kernel on points by enumeration, and symmetries of clouds by trying all ways to place a frame."""

from __future__ import annotations

import math

import torch
from scipy.stats import chi2
from torch import Tensor

from sympe.graphs import Clouds
from sympe.groups import Isometries
from sympe.kernels.points import PointKernel

FALSE_ALARM = 1e-6
"""The probability that a test by samples fails though the law holds."""

CLOSE = 1e-5
"""Places that are so close are one, for clouds in double precision."""


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_elements(kernel: PointKernel, x: Clouds, seed: int) -> Tensor:
    """For each cloud an isometry, by Haar and with a normal translation, and a permutation of its points."""
    generator, group = seeded(seed), kernel.isometries
    d = group.dimension
    R = torch.linalg.qr(torch.randn(len(x), d, d, generator=generator, dtype=torch.float64))[0]
    sign = torch.randint(0, 2, (len(x),), generator=generator) * 2.0 - 1
    wanted = torch.ones_like(sign) if group.is_proper else sign
    R = R * torch.where(torch.linalg.det(R).sign() * wanted < 0, -1.0, 1.0)[:, None, None] ** (d % 2) if d % 2 else R
    if d % 2 == 0:
        wrong = torch.linalg.det(R).sign() * wanted < 0
        R[wrong, :, 0] *= -1
    t = torch.randn(len(x), d, generator=generator, dtype=torch.float64)
    p = torch.arange(kernel.max_nodes).repeat(len(x), 1)
    for row, size in zip(p, x.sizes.tolist(), strict=True):
        row[:size] = torch.randperm(size, generator=generator)
    return kernel.group.pack(group.element(R, t).to(x.dtype), p)


def symmetries(x: Clouds, group: Isometries, close: float = CLOSE) -> tuple[Tensor, int]:
    """The isometries of one cloud that fix it as a set, and in how many ways its points may then be permuted.

    Three of its points and vectors, that span space (two and a normal, for a flat one), are laid on all others.
    """
    assert len(x) == 1
    points = x.positions[0, x.mask[0]].double()
    vectors = x.vectors[0, x.mask[0]].double().flatten(1)
    types, d = x.types[0, x.mask[0]], x.dimension
    if group.translates:
        points = points - points.mean(0)
    rows = torch.cat([points, vectors.reshape(-1, d)])
    kind = torch.cat([types, -1 - torch.arange(vectors.shape[1] // d).repeat(len(points))])
    base, span = [], torch.zeros(0, d, dtype=torch.float64)
    for _ in range(d):
        rest = rows - rows @ span.T @ span
        at = int(rest.norm(dim=1).argmax())
        if float(rest[at].norm()) < close:
            break
        base.append(at)
        span = torch.cat([span, (rest[at] / rest[at].norm())[None]])
    assert len(base) >= d - 1, "infinitely many"
    images = torch.cartesian_prod(*((kind == kind[at]).nonzero().squeeze(1) for at in base)).reshape(-1, len(base))
    gram = rows @ rows.T
    for a in range(len(base)):
        for b in range(a + 1):
            off = gram[images[:, a], images[:, b]] - gram[base[a], base[b]]
            images = images[off.abs() < 10 * close * (1 + gram.abs().max())]
    start, target = rows[base][None], rows[images]
    if len(base) < d:
        target = torch.cat([with_normal(target), with_normal(target, -1.0)])
        start = with_normal(start)
    R = (torch.linalg.inv(start) @ target).mT
    if group.is_proper:
        R = R[torch.linalg.det(R) > 0]

    def same(R: Tensor) -> Tensor:
        turned = (vectors.reshape(len(points), -1, d) @ R.mT).flatten(1) if vectors.shape[1] else vectors
        near = torch.cdist(points @ R.mT, points) < close
        return near & (types[:, None] == types) & ((turned[:, None] - vectors).abs() < close).all(2)

    one = same(torch.eye(d).double())
    fixing = [g for g in R if bool((same(g).sum(1) == one.sum(1)).all()) and bool((same(g).sum(0) == one.sum(0)).all())]
    ways = math.prod(math.factorial(int(size)) ** (1 / int(size)) for size in one.sum(1))
    found = torch.stack(fixing)
    apart = (found[:, None] - found).abs().amax((2, 3)) > 1e-3
    return found[(apart | ~torch.ones_like(apart).tril(-1)).all(1)], round(ways)


def with_normal(rows: Tensor, sign: float = 1.0) -> Tensor:
    """One or two rows, and what is across them."""
    if rows.shape[-1] == 2:
        return torch.cat([rows, sign * torch.stack([-rows[..., 1], rows[..., 0]], -1)], 1)
    normal = torch.linalg.cross(rows[:, 0], rows[:, 1])
    return torch.cat([rows, sign * (normal / normal.norm(dim=1, keepdim=True))[:, None]], 1)


def form(kernel: PointKernel, g: Tensor, x: Clouds) -> Tensor:
    """g^-1 x as one row of numbers for each point, that of an empty cloud in the padding."""
    moved = kernel.move(kernel.group.inverse(g), x)
    return torch.cat([moved.positions, moved.types[:, :, None].to(x.dtype), moved.vectors.flatten(2)], 2).flatten(1)


def assert_uniform(index: Tensor, count: int, message: str) -> None:
    """Pearson's chi-square test."""
    counts = torch.bincount(index, minlength=count).double()
    expected = len(index) / count
    assert expected >= 5
    p = 1.0 if count == 1 else float(chi2.sf(float((counts - expected).square().sum() / expected), count - 1))
    assert p >= FALSE_ALARM, f"{message} is not uniform: p = {p:.3g}"


def assert_laws(kernel: PointKernel, x: Clouds, *, seed: int = 0, close: float = CLOSE) -> None:
    """C(x) is the coset of all g with g^-1 x = the form, probabilities and samples are uniform on it, and it moves.

    Arguments:
        kernel: of clouds with finitely many symmetries.
        x: any batch.
        seed: of random elements and samples.
        close: how far apart equal forms may be.
    """
    rows, g = kernel.list_coset(x, limit=10_000)
    count = torch.bincount(rows, minlength=len(x))
    assert bool((rows.diff() >= 0).all())
    assert int(count.min()) > 0
    own = form(kernel, g[count.cumsum(0) - count], x)
    assert torch.allclose(form(kernel, g, x.select(rows)), own[rows], rtol=0, atol=close), "g^-1 x differs over C(x)"
    _equal(kernel.entropy(x), count.log())
    h = random_elements(kernel, x, seed)
    hx = kernel.move(h, x)
    assert torch.allclose(form(kernel, kernel.canonicalize(hx), hx), own, rtol=0, atol=close), "h x has another form"
    for row, (size, listed) in enumerate(zip(count.tolist(), g.split(count.tolist()), strict=True)):
        one = x.select(torch.tensor([row]))
        R, ways = symmetries(one, kernel.isometries, close)
        assert size == len(R) * ways, f"cloud {row}: {size} elements of {len(R)} isometries in {ways} ways"
        found = kernel.isometries.rotation(kernel.group.components(listed)[0]).double()
        back = ((found @ found[0].mT)[:, None] - R).abs().amax((2, 3)) < 1e-3
        assert bool((back.sum(0) == ways).all()), f"cloud {row}: other isometries"
        _assert_samples(kernel, one, listed, own[row], seed, close)
    few = torch.cat([(rows == row).nonzero().squeeze(1)[:6] for row in range(len(x))])
    _assert_probabilities(
        kernel, x.select(rows[few]), g[few], h[rows[few]], count[rows[few]].log(), own[rows[few]], seed
    )


def _equal(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found.double(), expected.double(), rtol=1e-5, atol=1e-5)


def _assert_samples(kernel: PointKernel, one: Clouds, listed: Tensor, own: Tensor, seed: int, close: float) -> None:
    """All are in C(x), and none more often than others."""
    many = one.select(torch.zeros(max(100, 10 * len(listed)), dtype=torch.int64))
    g = kernel.sample(many, generator=seeded(seed))
    assert torch.allclose(form(kernel, g, many), own, rtol=0, atol=close), "the form of a sample is another"
    apart = torch.cdist(g, listed, compute_mode="donot_use_mm_for_euclid_dist")
    assert bool((apart.amin(1) < 0.1).all()), "a sample is not in C(x)"
    assert_uniform(apart.argmin(1), len(listed), "sample()")


def _assert_probabilities(
    kernel: PointKernel, x: Clouds, listed: Tensor, h: Tensor, entropy: Tensor, own: Tensor, seed: int
) -> None:
    """-log |G_x| on C(x), minus infinity elsewhere, and the same of h g and h x."""
    _equal(kernel.log_prob(listed, x), -entropy)
    group, isometries = kernel.group, kernel.isometries
    others = random_elements(kernel, x, seed + 1)
    (A, p), (B, q) = group.components(listed), group.components(others)
    R, t = isometries.rotation(A), isometries.translation(A)
    tilt = torch.eye(isometries.dimension, dtype=x.dtype)
    tilt[:2, :2] = torch.tensor([[math.cos(0.1), -math.sin(0.1)], [math.sin(0.1), math.cos(0.1)]])
    swap = (torch.arange(len(p))[:, None], torch.stack([torch.zeros_like(x.sizes), (x.sizes - 1).clamp(min=0)], 1))
    swapped = p.clone()
    swapped[swap] = p[swap].flip(1)
    candidates = [group.pack(isometries.element(R @ tilt, t), p), group.pack(isometries.element(R, t + 0.1), p), others]
    candidates += [group.pack(A, q), group.pack(B, p), group.pack(A, swapped), group.pack(A, p.flip(0)), listed.flip(0)]
    g, times = torch.cat(candidates), len(candidates)
    many = x.select(torch.arange(len(x)).repeat(times))
    padding = (torch.arange(p.shape[1]) >= many.sizes[:, None]) & (group.components(g)[1] != torch.arange(p.shape[1]))
    g = torch.where(padding.any(1)[:, None], listed.repeat(times, 1), g)
    inside = ((form(kernel, g, many) - own.repeat(times, 1)).abs() < 2e-3).all(1)
    expected = torch.where(inside, -entropy.repeat(times), -torch.inf)
    _equal(kernel.log_prob(g, many), expected)
    h = h.repeat(times, 1)
    _equal(kernel.log_prob(group.compose(h, g), kernel.move(h, many)), expected)
