"""A large set takes no more memory than a small one, and time in proportion."""

import os
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

RECIPE = """
version: 1
seed: 0
data: {{dataset: folder, path: {path}}}
audio: {{feature: stft, sample_rate: 8000, seconds: 0.1, n_fft: 64, hop: 32, size: [16, 16]}}
visual: {{feature: image, size: [16, 16]}}
model: {{name: s-cmrl, width: 16, heads: 2, stages: 2}}
train: {{epochs: 1, batch_size: 64, optimizer: {{name: adam, lr: 1.0e-3}}}}
"""


def wav(samples):
    """Lay out 16-bit samples at 8 kHz as RIFF; a library takes ten times as long."""
    data = samples.astype("<i2").tobytes()
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 16000, 2, 16)
    return (
        struct.pack("<4sI4s", b"RIFF", 36 + len(data), b"WAVE")
        + form
        + struct.pack("<4sI", b"data", len(data))
        + data
    )


def png(pixels):
    """Lay out (16, 16) grey levels as PNG."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rows = np.pad(pixels, ((0, 0), (1, 0))).tobytes()  # each row begins with its filter, 0
    header = struct.pack(">IIBBBBB", 16, 16, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows, 1))
        + chunk(b"IEND", b"")
    )


def clips(folder, count):
    random = np.random.default_rng(0)
    for i in range(count):
        place = folder / f"class{i % 10}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{i:06d}.wav").write_bytes(wav(random.integers(-9999, 9999, 800)))
        (place / f"{i:06d}.png").write_bytes(png(random.integers(0, 256, (16, 16), np.uint8)))
    return folder


def resident_bytes(pid):
    """Sum what a process and its children have in memory now; shared pages count twice."""
    total = 0
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1]) * 1024
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            total += sum(resident_bytes(int(child)) for child in task.read_text().split())
    except (OSError, ValueError):
        pass
    return total


def prepared(tmp_path, count):
    """Prepare a set; returns the processor time it took, in s, and the most bytes it held.

    Processor time, for what else the machine does is no fault of ours.
    """
    place = tmp_path / str(count)
    recipe = tmp_path / f"{count}.yaml"
    recipe.write_text(RECIPE.format(path=clips(place, count)))
    environment = {**os.environ, "AVSNN_HOME": str(tmp_path / f"home{count}")}
    before, most = os.times(), 0
    with subprocess.Popen(
        [sys.executable, "-m", "avsnn_cli", "prepare", str(recipe)],
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        while process.poll() is None:
            most = max(most, resident_bytes(process.pid))
            time.sleep(0.1)
        assert process.returncode == 0, process.stderr.read()
    after = os.times()
    spent = after.children_user + after.children_system
    return spent - before.children_user - before.children_system, most


@pytest.mark.slow
def test_50_000_clips_stay_under_2_gib_and_time_is_linear(tmp_path):
    seconds, most = zip(*(prepared(tmp_path, count) for count in (12_500, 50_000)), strict=True)
    print(
        f"12,500 clips: {seconds[0]:.0f} s, {most[0] >> 20} MiB; "
        f"50,000 clips: {seconds[1]:.0f} s, {most[1] >> 20} MiB"
    )
    assert most[1] < 2 << 30
    assert seconds[1] < 4.8 * seconds[0], "four times the clips, and something over"
