"""`avsnn predict`: a clip given as files is answered as the same clip in the test set is."""

import json

import numpy as np
import pytest
import soundfile
from PIL import Image

from pipelines.datasets import digits_av
from tests.unit.test_video import film


@pytest.fixture
def clips(home, trained):
    """Some test clips written to files, with what the evaluation said of them."""
    (manifest,) = (home / "manifests").glob("*.jsonl")
    said = json.loads((trained / "eval.json").read_text())["predictions"]
    listed = [json.loads(line) for line in manifest.read_text().splitlines()]
    found = []
    for clip in [c for c in listed if c["split"] == "test"][::40]:
        waveform, rate = digits_av.audio(home, clip["audio"])
        soundfile.write(home / f"{clip['id']}.wav", waveform.T, rate, subtype="FLOAT")
        pixels = digits_av.image(home, clip["visual"])
        Image.fromarray(np.repeat(pixels, 3, 2) if pixels.shape[2] == 1 else pixels).save(
            home / f"{clip['id']}.png"
        )
        found.append((clip["id"], said[clip["id"]]))
    return found


def test_files_are_answered_as_the_test_clips_they_are(avsnn, home, clips):
    assert len(clips) > 5
    for name, answer in clips:
        said = avsnn(
            "predict", "--audio", home / f"{name}.wav", "--image", home / f"{name}.png", "--json"
        )
        assert said.code == 0, said.err
        found = json.loads(said.out)
        assert found["class"] == str(answer) and found["missing"] == []
        assert sum(found["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert max(found["probabilities"], key=found["probabilities"].get) == found["class"]


def test_a_missing_modality_is_said(avsnn, home, clips):
    name, _ = clips[0]
    said = avsnn("predict", "--audio", home / f"{name}.wav")
    assert said.code == 0, said.err
    assert "no visual input was given: the mean of the training clips stands in for it" in said.out
    assert json.loads(avsnn("predict", "--image", home / f"{name}.png", "--json").out)[
        "missing"
    ] == ["audio"]


def test_a_video_is_both(avsnn, home, trained):  # noqa: ARG001
    path = film(home / "x.avi", codec="mpeg4", sound="pcm_s16le", count=20)
    found = json.loads(avsnn("predict", "--video", path, "--json").out)
    assert found["missing"] == [] and found["files"] == {"audio": str(path), "visual": str(path)}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "no file to classify"),
        (("--audio", "nothing.wav"), 4, "nothing.wav"),
        (("--image", "{run}/recipe.yaml"), 4, "recipe.yaml"),
        (("nothing", "--audio", "a.wav"), 4, "no run"),
    ],
)
def test_a_users_error_is_one_line(avsnn, trained, arguments, code, words):
    said = avsnn("predict", *(word.format(run=trained) for word in arguments))
    assert said.code == code and words in said.err and "Traceback" not in said.err
