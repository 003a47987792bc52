"""Counter-based random numbers: known answers, distributions, and independence of the batch."""

import numpy as np
import pytest
import torch
from scipy import stats

from pipelines.signal import counter_rng
from pipelines.signal.counter_rng import key_of, keys, normal, splitmix64, uniform

# published outputs of splitmix64 seeded with 1234567
KNOWN = [
    6457827717110365317,
    3203168211198807973,
    9817491932198370423,
    4593380528125082431,
    16408922859458223821,
]
WORD = 2**64
# upper 63 bits of:  printf '[0, "clip-7", 12.5]' | b2sum -l 64
PINNED_KEY = 5227610798555263152


def by_hand(state: int, count: int) -> list[int]:
    """Run splitmix64 as its authors print it, in Python's unbounded integers."""
    outputs = []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) % WORD
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % WORD
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % WORD
        outputs.append(z ^ (z >> 31))
    return outputs


def unsigned(words: torch.Tensor) -> list[int]:
    return [word % WORD for word in words.tolist()]


def test_the_words_are_the_published_ones() -> None:
    assert by_hand(1234567, 5) == KNOWN
    assert unsigned(splitmix64(torch.tensor([1234567]), 0, 5)[0]) == KNOWN


@pytest.mark.parametrize("state", [0, 1, -1, 2**63 - 1, -(2**63), 987654321987654321])
def test_the_words_are_those_of_unbounded_integers(state: int) -> None:
    expected = by_hand(state % WORD, 300)
    assert unsigned(splitmix64(torch.tensor([state]), 0, 300)[0]) == expected
    assert unsigned(splitmix64(torch.tensor([state]), 250, 300)[0]) == expected[250:]


def test_uniform_numbers_are_uniform() -> None:
    numbers = uniform(keys(3, 0, torch.arange(200)), 1000)
    assert numbers.dtype == torch.float32
    assert float(numbers.min()) >= 0
    assert float(numbers.max()) < 1
    assert stats.kstest(numbers.flatten().double().numpy(), "uniform").pvalue > 1e-3
    first_of_each_key = uniform(keys(3, 0, torch.arange(100_000)), 1)
    assert stats.kstest(first_of_each_key.flatten().double().numpy(), "uniform").pvalue > 1e-3


def test_normal_numbers_are_normal() -> None:
    numbers = normal(keys(5, 0, torch.arange(200)), (10, 101))
    assert numbers.shape == (200, 10, 101)
    assert numbers.dtype == torch.float32
    flat = numbers.flatten().double().numpy()
    assert stats.kstest(flat, "norm").pvalue > 1e-3
    # moments of N(0, 1), within five standard errors
    error = 1 / np.sqrt(len(flat))
    assert abs(flat.mean()) < 5 * error
    assert abs(flat.var() - 1) < 5 * np.sqrt(2) * error
    assert abs(stats.skew(flat)) < 5 * np.sqrt(6) * error
    assert abs(stats.kurtosis(flat)) < 5 * np.sqrt(24) * error


def test_normal_numbers_are_finite_even_for_the_extreme_words() -> None:
    words = torch.tensor([0, -1, 1, 2**63 - 1, -(2**63), 0xFFFFFFFF, -(2**32)])
    cosine, sine = counter_rng._box_muller(words)
    radius = (cosine**2 + sine**2).sqrt()
    assert torch.isfinite(radius).all()
    # the largest radius that 32 bits can give: sqrt(2 * 32 * ln 2)
    assert float(radius.max()) == pytest.approx((64 * np.log(2)) ** 0.5)


def correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(np.corrcoef(a.flatten().numpy(), b.flatten().numpy())[0, 1])


def test_neighbouring_ids_epochs_seeds_streams_and_numbers_are_independent() -> None:
    ids = torch.arange(400)
    numbers = normal(keys(0, 0, ids), (500,))
    limit = 5 / numbers.numel() ** 0.5
    assert abs(correlation(numbers[1:], numbers[:-1])) < limit
    assert abs(correlation(numbers[:, 1:], numbers[:, :-1])) < limit
    assert abs(correlation(numbers, normal(keys(0, 1, ids), (500,)))) < limit
    assert abs(correlation(numbers, normal(keys(1, 0, ids), (500,)))) < limit
    assert abs(correlation(numbers, normal(keys(0, 0, ids), (500,), stream=1))) < limit
    # the halves of one word, which Box and Muller turn into a pair, must not even share energy
    assert abs(correlation(numbers[:, ::2] ** 2, numbers[:, 1::2] ** 2)) < limit * 2


def test_a_million_keys_are_all_different() -> None:
    many = torch.cat([keys(0, epoch, torch.arange(100_000)) for epoch in range(10)])
    assert len(torch.unique(many)) == 1_000_000
    swapped = torch.cat([keys(1, 2, torch.arange(5)), keys(2, 1, torch.arange(5))])
    assert len(torch.unique(swapped)) == 10


@pytest.mark.parametrize("rows", [1, 3, 64])
@pytest.mark.parametrize("chunk", [100, 4099, 2**20])
def test_numbers_are_the_same_whatever_the_batch_and_the_chunk(
    rows: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_keys = keys(7, 2, torch.arange(64))
    whole = normal(all_keys, (3, 333))
    monkeypatch.setitem(counter_rng.CHUNK, "cpu", chunk)
    assert torch.equal(torch.cat([normal(k, (3, 333)) for k in all_keys.split(rows)]), whole)
    numbers = uniform(all_keys, 10)
    assert torch.equal(torch.cat([uniform(k, 10) for k in all_keys.split(rows)]), numbers)


def test_numbers_go_with_the_sample_not_with_its_place() -> None:
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    ids = torch.arange(64) * 17
    assert torch.equal(normal(keys(7, 2, ids[order]), (50,)), normal(keys(7, 2, ids), (50,))[order])


def test_the_first_numbers_do_not_depend_on_how_many_are_drawn() -> None:
    some = keys(7, 2, torch.arange(4))
    assert torch.equal(normal(some, (7,)), normal(some, (100,))[:, :7])
    assert torch.equal(uniform(some, 7), uniform(some, 100)[:, :7])
    assert normal(some, (0,)).shape == (4, 0)
    assert normal(some[:0], (5,)).shape == (0, 5)


def test_a_key_is_the_same_on_every_machine() -> None:
    assert key_of(0, "clip-7", 12.5) == PINNED_KEY
    assert key_of("naïve") == key_of("na\u00efve")


def test_keys_tell_types_and_boundaries_apart() -> None:
    lists = [(1,), (1.0,), ("1",), (1, 2), (12,), ("1", "2"), ("12",), ('1", "2',), ()]
    assert len({key_of(*parts) for parts in lists}) == len(lists)
    assert all(0 <= key_of(*parts) < 2**63 for parts in lists)


def test_seeds_of_any_size_are_taken() -> None:
    ids = torch.arange(3)
    large = [keys(seed, 0, ids) for seed in (0, -1, 2**63 - 1, 2**63, key_of("a"))]
    assert len(torch.unique(torch.cat(large))) == 15


def test_keys_and_numbers_are_those_of_unbounded_integers() -> None:
    some = keys(42, 3, torch.tensor([5]))
    key = 0
    for part in (42, 3, 5):
        key = by_hand(key ^ part, 1)[0]
    assert some.item() % WORD == key
    # 24 top bits of the words that unbounded integers give for stream 1 of this key
    state = by_hand(key ^ 1, 1)[0]
    expected = [(word >> 40) / 2**24 for word in by_hand(state, 3)]
    assert uniform(some, 3, stream=1)[0].tolist() == expected
