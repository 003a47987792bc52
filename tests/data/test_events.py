"""Real event recordings: MNIST-DVS's zeros and a sample of N-MNIST, counted and looked at."""

import gzip
import hashlib

import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool2d, normalize, pad

from pipelines.datasets import n_mnist_spoken_small
from pipelines.readers.aedat import read_aedat2
from pipelines.readers.nmnist import read_nmnist


@pytest.fixture(scope="module")
def zeros(mirror):
    found = sorted((mirror / "mnist-dvs-sample/grabbed_data0/scale4").glob("*.aedat"))
    assert len(found) == 20
    return found


def test_real_recordings_are_as_long_and_as_busy_as_others_counted(zeros):
    """10,076 to 23,434 events in 1.94 to 2.49 s, from time 0, by the count over all of scale 4."""
    for path in zeros:
        events = read_aedat2(path)
        assert 10_076 <= len(events.t_us) <= 23_434
        assert 1.94 <= events.t_us[-1] / 1e6 <= 2.49 and events.t_us[0] == 0
        assert 0.3 < events.p.mean() < 0.7


def test_our_reader_gives_what_spikingjellys_gives(zeros):
    """spikingjelly's reader of CIFAR10-DVS turns, mirrors and inverts; so does our orientation."""
    from spikingjelly.datasets import cifar10_dvs

    for path in zeros[:5]:
        theirs = cifar10_dvs._load_origin_data(path)
        ours = read_aedat2(path, "spikingjelly")
        for name, values in zip("txyp", (ours.t_us, ours.x, ours.y, ours.p), strict=True):
            np.testing.assert_array_equal(values, theirs[name], err_msg=name)


@pytest.mark.parametrize("scale", [8, 16])
def test_a_recording_cut_between_events_reads_as_a_shorter_one(mirror, scale):
    folder = mirror / f"mnist-dvs-sample/grabbed_data0/scale{scale}"
    (path,) = folder.glob("*.aedat")
    events = read_aedat2(path)
    assert len(events.t_us) > 100 and events.t_us[-1] / 1e6 < 1.94


def test_all_1100_recordings_of_n_mnist_are_whole(mirror):
    folder = mirror / n_mnist_spoken_small.FOLDER
    counts = []
    for path in sorted(folder.glob("*.bs2")):
        events = read_nmnist(path)
        counts.append(len(events.t_us))
        assert 0.25 < events.t_us[-1] / 1e6 < 0.4  # three saccades of 100 ms
        assert len(path.read_bytes()) == 5 * len(events.t_us)
    assert len(counts) == 1100 and 1000 < np.median(counts) < 8000


def test_a_recording_is_upright_and_of_the_mnist_digit_it_was_filmed_from(mirror):
    """A moving digit fires at its edges: they are where those of the MNIST image are."""
    folder = mirror / n_mnist_spoken_small.FOLDER
    lines = (folder / "train1K.txt").read_text().splitlines()[1:51]
    labels = [int(line.split()[1]) for line in lines]
    raw = gzip.decompress((mirror / "mnist/train-images-idx3-ubyte.gz").read_bytes())
    assert hashlib.md5(raw).hexdigest() == "6bbc9ace898e44ae57da46a324031adb"
    marks = gzip.decompress((mirror / "mnist/train-labels-idx1-ubyte.gz").read_bytes())
    assert labels == list(marks[8:58])
    images = torch.frombuffer(bytearray(raw[16:]), dtype=torch.uint8).view(-1, 1, 28, 28)
    digits = blurred_edges(pad(images[:1000].float(), (3, 3, 3, 3)))
    seen = torch.stack([counts_of(read_nmnist(folder / f"{n}.bs2")) for n in range(1, 51)])
    seen = avg_pool2d(seen[:, None], 5, 1, 2)[:, 0]
    turned = [torch.rot90(view, i, (1, 2)) for view in (seen, seen.flip(2)) for i in range(4)]
    match = [standard(view) @ standard(digits).T for view in turned]
    own = torch.stack([scores[:, :50].diagonal() for scores in match])
    assert own[0].mean() > 0.9 and own[1:].mean(1).max() < 0.85
    # its own image is the best of 1,000 for most, of which most others are of other digits
    assert (match[0].argmax(1) == torch.arange(50)).sum() >= 30


def counts_of(events):
    found = torch.zeros(events.height, events.width)
    places = [torch.from_numpy(np.asarray(v).astype(np.int64)) for v in (events.y, events.x)]
    return found.index_put(tuple(places), torch.ones(len(places[0])), accumulate=True)


def blurred_edges(images):
    across = (images[..., 1:] - images[..., :-1]).abs()
    down = (images[..., 1:, :] - images[..., :-1, :]).abs()
    edges = pad(across, (0, 1)) + pad(across, (1, 0)) + pad(down, (0, 0, 0, 1))
    return avg_pool2d(edges + pad(down, (0, 0, 1, 0)), 5, 1, 2)[:, 0]


def standard(images):
    flat = images.flatten(1)
    return normalize(flat - flat.mean(1, keepdim=True))
