"""`avsnn explain`: distances, maps and rasters of trained runs, kept, and said what is left out."""

import json

import pytest
from PIL import Image

from pipelines.disk import store
from tests.cli.conftest import SMALL

PICTURES = ["cam.png", "distances.png", "raster.png"]
AUDIO = """
version: 1
seed: 0
data: {dataset: digits-av}
audio: {feature: stft, sample_rate: 8000, seconds: 0.5, n_fft: 256, hop: 125, size: [16, 16]}
model: {name: spikformer, width: 16, heads: 2, stages: 2, time_steps: 2}
train: {epochs: 1, batch_size: 64, optimizer: {name: adamw, lr: 2.0e-3}}
"""


def width(picture):
    with Image.open(picture) as image:
        return image.width


def ground(picture):
    """Return the colour of the first pixel."""
    with Image.open(picture) as image:
        return image.convert("RGB").getpixel((0, 0))


def test_one_run(avsnn, trained):
    said = avsnn("explain", "--json")
    assert said.code == 0, said.err
    (found,) = json.loads(said.out)
    folder = trained / "explained"
    assert found.pop("folder") == str(folder)
    assert json.loads((folder / "distances.json").read_text()) == found
    assert found["files"] == sorted(path.name for path in folder.iterdir() if path.is_file())
    # the report shows these on a dark screen; the others stay white, as published figures are
    dark = {path.name for path in (folder / "dark").iterdir()}
    assert dark == {name for name in found["files"] if name.endswith(".png")}
    for name in dark:
        assert ground(folder / name) == (255, 255, 255)
        assert ground(folder / "dark" / name) == (0x16, 0x16, 0x16)
    assert found["files"] == sorted(["distances.json", *PICTURES]) and not found["left_out"]
    assert all(width(folder / name) > 300 for name in PICTURES)
    assert (found["run"], found["n"], found["embedding"]) == (trained.name, 269, 16)
    assert found["ratio"] == pytest.approx(found["within"] / found["between"])
    assert found["cam"]["layer"] == "visual.mlp" and found["cam"]["size"] == [4, 4]
    assert len(found["cam"]["clips"]) == 6
    # classes of 26 or 27 clips: the mean over pairs lies close to that over classes
    own = [found["by_class"][c][c] for c in range(10)]
    assert found["within"] == pytest.approx(sum(own) / 10, rel=0.02)
    assert all(0 <= rate <= 1 for rate in found["raster"]["rates"].values())

    before = (folder / "distances.json").stat().st_mtime_ns
    text = avsnn("explain")
    assert f"explain: hit, {trained.name}" in text.err
    assert (folder / "distances.json").stat().st_mtime_ns == before
    table = text.out.split("\n\n")[0]
    assert f"{found['within']:.3f}" in table and trained.name in table
    assert all(len(line) <= 80 for line in table.splitlines())

    pictures = {name: (folder / name).read_bytes() for name in PICTURES}
    (folder / "raster.png").unlink()  # what is not whole is made again
    assert "hit" not in avsnn("explain").err
    assert {name: (folder / name).read_bytes() for name in PICTURES} == pictures
    assert avsnn("explain", "--force").code == 0
    assert {name: (folder / name).read_bytes() for name in PICTURES} == pictures
    assert not list(trained.glob(".explained*"))


def test_several_runs_are_columns_of_one_picture(avsnn, trained, tmp_path):
    assert avsnn("explain").code == 0
    alone = width(trained / "explained" / "cam.png")
    other = json.loads(avsnn("train", *SMALL, "--set", "model.ccssa=none", "--json").out)["run"]
    recipe = tmp_path / "sound.yaml"
    recipe.write_text(AUDIO)
    audio = json.loads(avsnn("train", recipe, "--json").out)["run"]

    names = [trained.name, other, audio]
    said = avsnn("explain", *names, "--json")
    assert said.code == 0, said.err
    found = json.loads(said.out)
    assert [row["run"] for row in found] == names
    assert all(list(row["beside"]) == names for row in found)
    runs = trained.parent
    both = (trained / "explained" / "cam.png").read_bytes()
    assert (runs / other / "explained" / "cam.png").read_bytes() == both
    assert width(trained / "explained" / "cam.png") > alone
    # what hears only has no map, and says so in one line; the rest is there
    assert found[2]["files"] == ["distances.json", "distances.png", "raster.png"]
    lines = [line for line in said.err.splitlines() if "left out" in line]
    assert len(lines) == 1 and f"{audio}: cam.png left out, for it sees no picture" in lines[0]

    again = avsnn("explain", *names, *names, "--json")
    assert json.loads(again.out) == found and "explain: hit" in again.err
    assert "cam.png left out" in again.err
    # alone, the picture is another one
    assert avsnn("explain", trained.name).code == 0
    assert width(trained / "explained" / "cam.png") == alone


def test_a_run_that_another_process_works_on_is_left_alone(avsnn, trained):
    with store.lock(trained, waiting=print, what="this test"):
        said = avsnn("explain")
    assert said.code != 0 and "is being worked on by another process" in said.first
    assert not (trained / "explained").exists()


def test_no_run_is_said(avsnn):
    assert avsnn("explain").first == "error: no trained run yet"
    assert avsnn("explain", "nope").first == "error: no run 'nope'"
