"""Memory: bounded by bytes while decoding, and when there is none, exit 5 and a hint."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from pipelines import device as machine
from pipelines.readers.sound import fit_length
from tests import published
from tests.cli.conftest import environment

MIB = 1 << 20
# decode everything, the threads as far ahead as they get, and keep what a batch would; print what
# the peak rose by, in MiB
DECODE = """
import resource, sys, time
from pathlib import Path
from pipelines import device
from pipelines.cache import source_reader
from pipelines.cache.workers import decode_all
device.keep_large_blocks()
raw, first, reads, count = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
suffix = Path(first).suffix
reading = source_reader.Reading("folder", raw, reads, 0.3, {})
source_reader.decode(reading, first)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
kept = []
for found, item in enumerate(decode_all(reading, [f"{i}{suffix}" for i in range(count)], 2)):
    assert isinstance(item, source_reader.Decoded), item
    if found == 0:
        used = -1.0
        while time.process_time() > used + 0.05:  # until the threads rest
            used = time.process_time()
            time.sleep(1)
    if reads == "waveform":
        kept.append(item)
assert found == count - 1
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def rise_mib(folder: Path, first: str, reads: str, count: int) -> int:
    """Return by how many MiB decoding all takes more than decoding one."""
    for number in range(1, count):
        (folder / f"{number}{Path(first).suffix}").hardlink_to(folder / first)
    command = [sys.executable, "-c", DECODE, str(folder), first, reads, str(count)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(folder))
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_a_piece_of_a_recording_does_not_keep_the_recording():
    whole = np.zeros((2, 1000), np.float32)
    piece = fit_length(whole, 10)
    assert piece.base is None or piece.base.size <= 2 * 10
    assert fit_length(whole, 1000) is whole


def test_many_long_recordings_take_no_more_memory_than_those_being_decoded(tmp_path):
    """40 recordings of 200 s, of which 0.3 s are used: whole they would be 1.4 GB."""
    samples = np.random.default_rng(0).integers(-99, 99, 200 * 44100).astype(np.int16)
    soundfile.write(tmp_path / "0.flac", samples, 44100)
    assert rise_mib(tmp_path, "0.flac", "waveform", 40) < 250


def test_many_large_pictures_take_no_more_memory_than_the_bytes_ahead(tmp_path):
    """30 pictures of 31 MB: all of them would be 0.9 GB."""
    picture = Image.new("RGB", (3200, 3200), (9, 9, 9))
    picture.putpixel((5, 5), (200, 0, 0))
    picture.save(tmp_path / "0.png", compress_level=1)
    assert rise_mib(tmp_path, "0.png", "image", 30) < 256 + 8 * 31 + 100


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (OSError(12, "Cannot allocate memory"), True),
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (OSError(28, "full"), False),
        (RuntimeError("could not create a primitive"), True),
        (RuntimeError("could not create a primitive descriptor for a convolution"), False),
        (RuntimeError("size mismatch"), False),
        (ValueError("can't allocate memory"), False),
    ],
)
def test_what_is_want_of_memory_and_what_is_not(error, expected):
    assert machine.is_out_of_memory(error) == expected


def test_torch_and_numpy_say_it_in_words_that_are_known():
    for ask in (lambda: torch.empty(1 << 55), lambda: np.empty(1 << 55)):
        with pytest.raises((RuntimeError, MemoryError)) as caught:
            ask()
        assert machine.is_out_of_memory(caught.value)


LIMITED = """
import re, resource, sys
import h5py, numpy, torch, torchaudio, torchvision, PIL.Image, soundfile, av
from torch.utils.tensorboard import SummaryWriter
import pipelines.cache.build, pipelines.training.loop
from avsnn_cli.main import main
torch.zeros(2, 2) @ torch.zeros(2, 2)
size = int(re.search(r"VmSize:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (size + int(sys.argv.pop(1)), resource.RLIM_INFINITY))
main()
"""


def limited(home: Path, more_bytes: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process that may take so many bytes more than it has at its start."""
    command = [sys.executable, "-c", LIMITED, str(more_bytes), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment(home))


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
@pytest.mark.parametrize("workers", [0, 2])
def test_prepare_without_memory_ends_with_5_and_a_hint_and_leaves_no_clip_out(tmp_path, workers):
    own = tmp_path / "mine"
    published.class_pairs(own, ("audio", "vision"), ("dog", "rain"), 4)
    picture = Image.new("RGB", (6000, 6000), (9, 9, 9))
    picture.putpixel((5, 5), (200, 0, 0))
    (own / "vision" / "dog" / "1-0.png").unlink()
    picture.save(own / "vision" / "dog" / "1-0.png")
    done = limited(
        tmp_path / "home",
        160 * MIB,
        "prepare",
        "folder/s_cmrl",
        "--set",
        f"data.path={own}",
        "--set",
        f"runtime.num_workers={workers}",
    )
    assert done.returncode == 5, done.stderr
    assert "error: out of memory" in done.stderr and "hint:" in done.stderr
    assert "Traceback" not in done.stderr and "left out" not in done.stderr
    assert not list((tmp_path / "home").glob("cache/folder/image-*/receipt.json"))


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_training_without_memory_on_the_cpu_ends_with_5_and_the_hint_that_cuda_has(tmp_path):
    done = limited(
        tmp_path,
        420 * MIB,
        "train",
        "quickstart",
        "--set",
        "train.epochs=1",
        "--set",
        "train.batch_size=1024",
        "--set",
        "runtime.threads=1",
    )
    assert done.returncode == 5, done.stderr
    assert "out of memory on cpu with batch_size 1024" in done.stderr
    assert "lower train.batch_size" in done.stderr and "Traceback" not in done.stderr
