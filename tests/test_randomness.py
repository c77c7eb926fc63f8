import hashlib

import numpy as np
import pytest
import torch

import sympe
from sympe.encodings import NoiseEncoding
from sympe.randomness import check_generator, draw_numbers, seeded


def test_equal_parts_give_equal_numbers_and_any_other_part_gives_others() -> None:
    keys = [(0, 1, 2), (0, 2, 1), (0, 1), (0, 12), (1, 0, 2), ("0", 1, 2), ("noise", 0, 1, 2), ("noise", 0, 1, 3)]
    seeds = [seeded(*key).initial_seed() for key in keys]
    assert len(set(seeds)) == len(keys)
    assert seeds == [seeded(*key).initial_seed() for key in keys]
    assert sympe.seeded is seeded


def test_ranks_that_are_seeded_alike_draw_different_elements() -> None:
    x = torch.zeros(4, 1)
    one, other = (NoiseEncoding((8,))(x, generator=seeded(0, 5, rank)) for rank in (0, 1))
    assert not torch.equal(one, other)


def test_the_numbers_of_committed_rows_stay() -> None:
    """The first eight bytes of a hash of the parts, as Python writes them; worked out here by hand."""
    digest = hashlib.sha256(b"('batches', 0, 50, 1)").hexdigest()[:16]
    assert seeded("batches", 0, 50, 1).initial_seed() == int(digest, 16) // 2
    assert seeded("batches", np.int64(0), torch.tensor(50), 1).initial_seed() == int(digest, 16) // 2


@pytest.mark.usefixtures("unchecked")
def test_parts_that_are_no_words_or_integers_are_refused() -> None:
    with pytest.raises(TypeError, match=r"parts: expected integers and strings, got float"):
        seeded(0, 1.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"parts: expected at least one"):
        seeded()


@pytest.mark.usefixtures("unchecked")
def test_a_seed_is_no_generator() -> None:
    for value in (0, "cpu", np.random.default_rng(0)):
        with pytest.raises(TypeError, match=rf"generator: expected a torch.Generator, .* got {type(value).__name__}"):
            draw_numbers(torch.rand, 3, generator=value)  # type: ignore[arg-type]
    check_generator(None)


def test_numbers_come_from_the_generator_or_from_the_global_one() -> None:
    before = torch.get_rng_state()
    one, two = (draw_numbers(torch.randn, (2, 3), generator=seeded(1), dtype=torch.float64) for _ in range(2))
    assert torch.equal(one, two)
    assert one.dtype == torch.float64
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(3)
    wanted = torch.randint(7, (5,))
    torch.manual_seed(3)
    assert torch.equal(draw_numbers(torch.randint, 7, (5,), generator=None), wanted)


def test_numbers_arrive_on_the_wanted_or_the_default_device() -> None:
    assert draw_numbers(torch.rand, 3, generator=seeded(0), device="meta").device.type == "meta"
    with torch.device("meta"):
        assert draw_numbers(torch.rand, 3, generator=seeded(0)).device.type == "meta"
        assert draw_numbers(torch.rand, 3, generator=None).device.type == "meta"


def test_batches_of_changing_size_compile() -> None:
    """With ``generator=None`` torch refuses symbolic sizes."""
    torch._dynamo.reset()
    compiled = torch.compile(lambda x: draw_numbers(torch.rand, (len(x), 5), generator=None), backend="eager")
    assert [len(compiled(torch.zeros(batch))) for batch in (32, 32, 7, 1)] == [32, 32, 7, 1]
