"""Draw random numbers as a pure function of a key and a position, without a generator.

splitmix64 (Steele, Lea and Flood 2014) in wrapping int64 arithmetic: number i of key k is always
the same, whatever the batch, order, worker or device. So a resumed run, and a run with another
number of workers, augments exactly as the first one did. Not for secrets.
"""

import hashlib
import json
import math

import torch
from torch import Tensor

# the published constants, as the signed numbers that int64 arithmetic wraps them to
GOLDEN = 0x9E3779B97F4A7C15 - 2**64
MIX_1 = 0xBF58476D1CE4E5B9 - 2**64
MIX_2 = 0x94D049BB133111EB - 2**64
CHUNK = {"cpu": 2**17, "cuda": 2**23}  # words at a time: the second-level cache; 0.5 GB of scratch


def key_of(*parts: int | str | float) -> int:
    """Hash a list of values to a key of 63 bits, the same on every machine and in every process.

    An integer, a float and a string differ even where they print alike: 1, 1.0 and "1".
    """
    # JSON keeps apart what prints alike; 63 bits, so that the key is positive in int64
    digest = hashlib.blake2b(json.dumps(parts).encode("ascii"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def keys(seed: int, epoch: int, ids: Tensor) -> Tensor:
    """Make one key a sample: ids (B,) int64 to keys (B,) int64.

    seed: the run's. epoch: so that each epoch draws anew. ids: the samples' numbers, or key_of
    their names.
    """
    return _absorb(_absorb(_absorb(torch.zeros_like(ids), seed), epoch), ids)


def splitmix64(state: Tensor, start: int, stop: int) -> Tensor:
    """Return outputs number start to stop - 1 of the generators seeded with state.

    state: (B,) int64. Returns (B, stop - start) int64: the 64 random bits, read as signed.
    """
    count = torch.arange(start + 1, stop + 1, device=state.device)
    return _mix(state[:, None] + count * GOLDEN)


def uniform(keys: Tensor, n: int, stream: int = 0) -> Tensor:
    """Draw n numbers a key, uniform in [0, 1): keys (B,) int64 to (B, n) float32.

    stream: which of a key's independent sequences; give every purpose its own. Multiples of
    2**-24, equal to the bit on every device. The first numbers do not depend on n.
    """
    # the upper 24 bits: as many as float32 holds, so that no number rounds up to 1
    bits = splitmix64(_absorb(keys, stream), 0, n)
    return _shift_right(bits, 40).to(torch.float32) * 2.0**-24


def normal(keys: Tensor, shape: tuple[int, ...], stream: int = 0) -> Tensor:
    """Draw standard normal numbers: keys (B,) int64 to (B, *shape) float32, by Box and Muller.

    stream: as for `uniform`. Within ±6.7. The first numbers do not depend on the shape. Computed
    in float64, so that devices agree but for a last bit about once in a hundred million.
    """
    count = math.prod(shape)
    pairs = (count + 1) // 2
    chunk = CHUNK["cuda" if keys.is_cuda else "cpu"]
    states = _absorb(keys, stream)
    # in pieces: the float64 words of a batch of spectrograms would fill the memory, and a number
    # depends on its position, not on its piece
    out = torch.empty(len(keys), pairs, 2, device=keys.device)
    rows = max(1, chunk // max(1, pairs))
    for row in range(0, len(keys), rows):
        for start in range(0, pairs, chunk):
            stop = min(start + chunk, pairs)
            block = splitmix64(states[row : row + rows], start, stop)
            cosine, sine = _box_muller(block)
            out[row : row + rows, start:stop, 0] = cosine
            out[row : row + rows, start:stop, 1] = sine
    return out.flatten(1)[:, :count].reshape(len(keys), *shape)


def _box_muller(bits: Tensor) -> tuple[Tensor, Tensor]:
    """Turn each word into two independent normals: 32 bits the radius, 32 bits the angle."""
    # + 1 keeps the logarithm's argument in (0, 1]
    radius = _shift_right(bits, 32).add_(1).double().mul_(2.0**-32).log_().mul_(-2).sqrt_()
    angle = (bits & 0xFFFFFFFF).double().mul_(2 * math.pi * 2.0**-32)
    return radius * angle.cos(), radius * angle.sin()


def _absorb(state: Tensor, value: int | Tensor) -> Tensor:
    # xor, then a step of the generator: keys of (1, 2) and of (2, 1) differ
    if isinstance(value, int):
        value = (value + 2**63) % 2**64 - 2**63
    return _mix((state ^ value) + GOLDEN)


def _mix(z: Tensor) -> Tensor:
    z = (z ^ _shift_right(z, 30)) * MIX_1
    z = (z ^ _shift_right(z, 27)) * MIX_2
    return z ^ _shift_right(z, 31)


def _shift_right(z: Tensor, places: int) -> Tensor:
    """Shift as if unsigned: torch's own shift copies the sign bit in from the left."""
    low_bits: int = 2 ** (64 - places) - 1
    return (z >> places) & low_bits
