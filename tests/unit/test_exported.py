"""What was tampered with in an export gives one line of error."""

import hashlib
import json
import os
import re

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipelines.errors import AvsnnError, DataError
from pipelines.evaluation.export import load_network
from tests.unit.test_export import exported


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    _, _, said = exported("spikformer", folder / "export")
    return said, load_file(folder / "export" / "weights.safetensors")


def put(folder, said, tensors, **where):
    """Write an export by hand, its hash right, with what `where` says changed in model.json."""
    folder.mkdir()
    save_file(tensors, folder / "weights.safetensors")
    file = (folder / "weights.safetensors").read_bytes()
    said = json.loads(json.dumps(said))
    said["weights"] |= {"bytes": len(file), "sha256": hashlib.sha256(file).hexdigest()}
    for path, value in where.items():
        *way, last = path.split("__")
        inner = said
        for key in way:
            inner = inner[key]
        inner[last] = value
    (folder / "model.json").write_text(json.dumps(said))


def refused(folder):
    with pytest.raises(AvsnnError) as failure:
        load_network(folder)
    assert isinstance(failure.value, DataError) and failure.value.hint
    assert "\n" not in failure.value.message and len(failure.value.message) < 500
    return failure.value.message


def test_by_hand_the_same_files_load(whole, tmp_path):
    put(tmp_path / "x", *whole)
    load_network(tmp_path / "x")


TENSORS = {
    "missing": (lambda t: t.pop("head.bias"), "lacks tensor 'head.bias'"),
    "extra": (lambda t: t.update(more=torch.zeros(2)), "has an extra tensor 'more'"),
    "shape": (lambda t: t.update({"head.bias": torch.zeros(4)}), r"F32 \[4\], not F32 \[3\]"),
    "axes": (lambda t: t.update({"head.weight": t["head.weight"].T.contiguous()}), "head.weight"),
    "type": (lambda t: t.update({"head.bias": torch.zeros(3).half()}), r"F16 \[3\], not F32"),
    "large": (lambda t: t.update(more=torch.zeros(6_000_000)), "bytes"),
}


@pytest.mark.parametrize("kind", TENSORS)
def test_other_tensors_are_refused(kind, whole, tmp_path):
    said, tensors = whole
    change, message = TENSORS[kind]
    change(tensors := dict(tensors))
    put(tmp_path / "x", said, tensors)
    assert re.search(message, refused(tmp_path / "x"))


DEEP = json.loads("[" * 400 + "]" * 400)
DESCRIPTIONS = {
    "unknown-model": ({"model__name": "spikformr"}, "no model 'spikformr'"),
    "path-as-model": ({"model__name": "../../os"}, "model.name: must match"),
    "file-elsewhere": ({"weights__file": "/etc/passwd"}, "weights.file: must be"),
    "unknown-setting": ({"model__settings__a\nb": 1}, "model.settings: a\ufffdb: unknown setting"),
    "setting-out-of-bounds": ({"model__settings__width": 10**9}, "width: must be ≤ 4096"),
    "another-width": ({"model__settings__width": 4096}, "not F32 [2048"),
    "setting-of-another-type": ({"model__settings__width": "32"}, "width: must be an integer"),
    "heads-that-do-not-divide": ({"model__settings__heads": 5}, "not a multiple of heads"),
    "no-classes": ({"model__settings__classes": 0}, "classes is 0"),
    "too-many-classes": ({"model__settings__classes": 10**15}, "classes is 1"),
    "nan": ({"model__settings__scale": float("nan")}, "scale"),
    "both-modalities": ({"model__settings__visual_channels": 3}, "takes one modality"),
    "settings-deep": ({"model__settings__scale": DEEP}, "damaged"),
    "norm-that-is-not-there": ({"folded": [{"norm": "x", "into": "head"}]}, "no norm 'x'"),
    "norm-by-attribute": ({"folded": [{"norm": "__class__", "into": "head"}]}, "no norm"),
    "layer-that-is-none": ({"folded": [{"norm": "patches.stages.0.norm", "into": "mlp"}]}, "'mlp'"),
    "nothing-folded": ({"folded": []}, "has an extra tensor"),
    "of-the-future": ({"format_version": 2}, "format_version: must be 1"),
    "another-format": ({"format": "pickle"}, "format: must be"),
    "hash": ({"weights__sha256": "0" * 64}, "its sha256 is not"),
    "size": ({"weights__bytes": 10}, "bytes, not the 10"),
    "null": ({"model": None}, "model: must be a mapping"),
}


@pytest.mark.parametrize("kind", DESCRIPTIONS)
def test_another_description_is_refused(kind, whole, tmp_path):
    change, message = DESCRIPTIONS[kind]
    put(tmp_path / "x", *whole, **change)
    assert message in refused(tmp_path / "x")


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "nul", "\x00", "[" * 100_000, '{"format": "\\ud800"}', "9" * 5000],
    ids=["empty", "cut", "list", "word", "binary", "deep", "surrogate", "long"],
)
def test_a_damaged_description_is_refused(text, whole, tmp_path):
    put(tmp_path / "x", *whole)
    (tmp_path / "x" / "model.json").write_text(text)
    refused(tmp_path / "x")


@pytest.mark.parametrize("damage", ["bit", "cut", "gone", "folder", "pipe", "no-json", "nothing"])
def test_damaged_files_are_refused(damage, whole, tmp_path):
    put(tmp_path / "x", *whole)
    file = tmp_path / "x" / "weights.safetensors"
    data = bytearray(file.read_bytes())
    if damage == "bit":
        data[-5] ^= 1
        file.write_bytes(data)
        assert "is damaged" in refused(tmp_path / "x")
    elif damage == "cut":
        file.write_bytes(data[:-1])
        assert f"has {len(data) - 1} bytes" in refused(tmp_path / "x")
    elif damage in ("gone", "folder", "pipe"):
        file.unlink()
        if damage != "gone":
            file.mkdir() if damage == "folder" else os.mkfifo(file)
        assert "weights.safetensors is missing" in refused(tmp_path / "x")
    else:
        (tmp_path / "x" / "model.json").unlink()
        assert "model.json is missing" in refused(tmp_path / ("x" if damage == "no-json" else "y"))
