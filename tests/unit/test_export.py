"""An export gives back the same network, and what was tampered with gives one line of error."""

import ast
import hashlib
import importlib.util
import json
import os
import re
import sys
from pathlib import Path

import nir
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from spikingjelly import activation_based
from spikingjelly.activation_based import layer, neuron
from torch import nn

from pipelines import registry
from pipelines.errors import AvsnnError, DataError, MachineError, UsageError
from pipelines.evaluation import nir_export
from pipelines.evaluation.export import Clips, load, write
from pipelines.models._output import Output
from pipelines.signature import settings_model
from pipelines.snn.dsln import DSLN
from pipelines.snn.fold import Layer, Norm, difference, folded
from tests.unit.test_every_system import SMALL, built

MODELS = registry.names("model")


def settings_of(name, inputs, **more):
    """All settings of the small version, as model.json has them."""
    channels = {f"{modality}_channels": x.shape[1] for modality, x in inputs.items()}
    section = settings_model(registry.load("model", name).build)
    given = {"classes": 3, **channels, **SMALL[name][0], **more}
    return section(**given).model_dump(mode="json")


def representable(model, inputs):
    """Give a network numbers whose folding float32 holds without rounding.

    Weights are multiples of 2^-8, scales and deviations powers of two. The biases' last bit is
    finer than what all other numbers add up to, so that no membrane is at its threshold.
    """
    _, done, _ = folded(model, inputs)
    torch.manual_seed(3)
    offset = 3 * 2.0**-18

    def drawn(like, low, high, unit):
        return torch.randint(low, high, like.shape).to(like) * unit

    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_((parameter * 256).round() / 256)
        for name, module in model.named_modules():
            if isinstance(module, Norm | DSLN):
                module.weight.copy_(2.0 ** drawn(module.weight, -1, 2, 1))
                module.bias.copy_(drawn(module.bias, -8, 16, 2**-4))
                variance = module.running_variance if isinstance(module, DSLN) \
                    else module.running_var  # fmt: skip
                exact = 4.0 ** drawn(variance, -1, 2, 1) - module.eps
                variance.copy_(exact if name in done else exact.float())
            if isinstance(module, Norm):
                module.bias += offset
                module.running_mean.copy_(drawn(module.running_mean, -4, 5, 2**-4))
            elif isinstance(module, Layer) and module.bias is not None:
                module.bias += offset


def exported(name, folder, **more):
    """The small version of a network, its inputs, and what the export said."""
    if more:
        torch.manual_seed(0)
        inputs = built(name)[1]
        model = registry.load("model", name).build(
            classes=3, **{f"{m}_channels": x.shape[1] for m, x in inputs.items()},
            **SMALL[name][0], **more,
        )  # fmt: skip
    else:
        model, inputs, _ = built(name)
    model = model.double().eval()
    inputs = {k: v.double() for k, v in inputs.items()}
    representable(model, inputs)
    clips = [Clips(inputs, torch.tensor([0, 1, 2, 0, 1]))]
    said = write(folder, model, name, settings_of(name, inputs, **more), clips, {})
    return model, inputs, said


@pytest.mark.parametrize("name", MODELS)
def test_what_is_loaded_answers_as_what_was_trained(name, tmp_path):
    model, inputs, said = exported(name, tmp_path / "export")
    back = load(tmp_path / "export")
    assert not back.training
    assert said["folded"] and said["check"]["float64_difference"] <= 1e-10
    assert difference(model, back, inputs) < 1e-10
    assert said == json.loads((tmp_path / "export" / "model.json").read_text())


@pytest.mark.parametrize(
    "more", [{"norm": "dsln", "variance_frames": 8}, {"norm": "ln"}, {"norm": "bn1d"}],
    ids=["dsln-per-frame", "ln", "bn1d"],
)  # fmt: skip
def test_every_norm_of_table_4_is_folded_or_named(more, tmp_path):
    model, inputs, said = exported("spikslc-net", tmp_path / "export", **more)
    assert difference(model, load(tmp_path / "export"), inputs) < 1e-10
    kept = {row["type"] for row in said["not_folded"]}
    wanted = {"dsln": set(), "ln": {"LayerNorm"}, "bn1d": {"TokenBatchNorm"}}
    assert kept == wanted[more["norm"]]


def test_the_numbers_are_float32_and_no_norm_is_among_them(tmp_path):
    exported("s-cmrl", tmp_path / "export")
    found = load_file(tmp_path / "export" / "weights.safetensors")
    assert {x.dtype for x in found.values()} == {torch.float32}
    assert all(x.is_contiguous() for x in found.values())
    assert not [name for name in found if "norm" in name or "running" in name]
    assert sorted(p.name for p in (tmp_path / "export").iterdir()) == [
        "model.json", "weights.safetensors",
    ]  # fmt: skip


class Forked(nn.Module):
    """Its norm follows a layer whose output serves something else too: not to be folded."""

    def __init__(self):
        super().__init__()
        self.linear, self.norm = nn.Linear(4, 3), nn.BatchNorm1d(3)
        nn.init.constant_(self.norm.running_mean, 1)

    def forward(self, audio):
        x = self.linear(audio)
        return Output(self.norm(x) + x)


def test_where_folding_changes_an_answer_nothing_is_written(tmp_path):
    clips = [Clips({"audio": torch.randn(5, 4)}, torch.zeros(5))]
    with pytest.raises(AvsnnError, match="changes the network's answers by 1 in float64"):
        write(tmp_path / "export", Forked().double(), "forked", {}, clips, {})
    assert not list(tmp_path.iterdir())


def test_a_network_without_finite_answers_is_not_written(tmp_path):
    model, inputs, _ = built("spikformer")
    nn.init.constant_(model.head.bias, torch.nan)
    settings, clips = settings_of("spikformer", inputs), [Clips(inputs, torch.zeros(5))]
    with pytest.raises(AvsnnError, match="by nan in float64"):
        write(tmp_path / "export", model, "spikformer", settings, clips, {})
    assert not list(tmp_path.iterdir())


def test_a_network_that_draws_its_answers_is_not_written_and_the_setting_is_named(tmp_path):
    # SCA's positions "random" are drawn at every call, as its authors do, in evaluation too
    _, inputs, targets = built("sca")
    model = registry.load("model", "sca").build(
        classes=3, audio_channels=3, visual_channels=3, **SMALL["sca"][0], positions="random"
    )
    for module in model.modules():
        if isinstance(module, Norm):  # neurons that fire: of one batch, a deviation of 3
            nn.init.constant_(module.weight, 3)
            module.momentum = 1.0
    with torch.no_grad():
        model.train()(**inputs)
    clips = [Clips(inputs, targets.labels)]
    settings = settings_of("sca", inputs, positions="random")
    with pytest.raises(UsageError, match="sca answers the same clips differently") as failure:
        write(tmp_path / "export", model, "sca", settings, clips, {})
    assert "\n" not in failure.value.message and "model.positions" in failure.value.hint
    assert not list(tmp_path.iterdir())


class Drawn(nn.Module):
    """Adds what it draws to its answer, and has no setting that says so."""

    def forward(self, audio):
        return Output(audio + torch.randn_like(audio))


def test_where_no_setting_is_to_blame_none_is_named(tmp_path):
    clips = [Clips({"audio": torch.randn(5, 3)}, torch.zeros(5))]
    with pytest.raises(UsageError, match="differently each time: it cannot be exp") as failure:
        write(tmp_path / "export", Drawn(), "drawn", {}, clips, {})
    assert failure.value.hint == ""
    assert not list(tmp_path.iterdir())


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
        load(folder)
    assert isinstance(failure.value, DataError) and failure.value.hint
    assert "\n" not in failure.value.message and len(failure.value.message) < 500
    return failure.value.message


def test_by_hand_the_same_files_load(whole, tmp_path):
    put(tmp_path / "x", *whole)
    load(tmp_path / "x")


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


@pytest.mark.parametrize("text", [
    "", "{", "[]", "nul", "\x00", "[" * 100_000, '{"format": "\\ud800"}', "9" * 5000,
], ids=["empty", "cut", "list", "word", "binary", "deep", "surrogate", "long"])  # fmt: skip
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


def chain():
    """What NIR does carry: spikingjelly's own modules in a row, soft nothing, one input."""
    return nn.Sequential(
        layer.Conv2d(1, 2, 3), neuron.LIFNode(tau=2.0), layer.Flatten(), layer.Linear(2 * 4 * 4, 3),
    )  # fmt: skip


def test_the_modules_that_nir_carries_are_those_of_spikingjellys_exporter():
    (home,) = importlib.util.find_spec("spikingjelly.activation_based").submodule_search_locations
    tree = ast.parse((Path(home) / "nir_exchange" / "to_nir.py").read_text())
    (table,) = (
        node for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) and f.name == "map_dict"
        for node in ast.walk(f) if isinstance(node, ast.Dict)
    )  # fmt: skip
    place = {"nn": nn, "layer": layer, "neuron": neuron}
    theirs = {getattr(place[key.value.id], key.attr) for key in table.keys}
    assert theirs == set(nir_export.CARRIED)


def test_a_chain_of_spikingjellys_modules_is_carried_and_attention_is_named():
    assert nir_export.not_carried(chain(), {"input": torch.randn(2, 1, 6, 6)}) == []
    model, inputs, _ = built("spikformer")
    rows = nir_export.not_carried(model.eval(), inputs)
    named = {row["module"]: row for row in rows}
    assert named["attention"]["type"] == "SpikingAttention"
    assert "matmul" in named["attention"]["why"]
    assert named["patches.stages.0.pool"]["type"] == "MaxPool2d"
    assert "head" not in named and "patches.stages.0.conv" not in named


@pytest.mark.parametrize("name", MODELS)
def test_no_network_is_said_to_be_carried_that_holds_what_nir_has_no_node_for(name):
    model, inputs, _ = built(name)
    small, _, _ = folded(model, inputs)
    rows = nir_export.not_carried(small, inputs)
    error = nir_export.refusal(name, rows)
    assert rows and "\n" not in error.message and len(error.message) < 500
    assert (len(inputs) == 2) == (rows[0]["why"] == "2 inputs, audio and visual; NIR's exporter "
                                                    "follows one")  # fmt: skip


def test_a_written_nir_file_fires_as_the_network_when_its_own_equations_are_solved(tmp_path):
    """NIR says tau v' = v_leak - v + r i; solved here with numpy and the exporter's 0.1 ms step."""
    torch.manual_seed(0)
    network, clips = chain().eval(), 2.0 * torch.randn(12, 1, 1, 6, 6)
    nir_export.write_nir(network, clips[0], tmp_path / "network.nir")
    nodes = nir.read(tmp_path / "network.nir").nodes
    convolution, cell, flatten, linear = (nodes[f"_{place}"] for place in range(4))
    v, spikes = 0.0, 0
    for image in clips:
        with torch.no_grad():
            theirs = network(image)[0].numpy()
        current = correlate(image[0], convolution.weight) + convolution.bias[:, None, None]
        v = v + 1e-4 / cell.tau * (cell.v_leak - v + cell.r * current)
        spike = v >= cell.v_threshold
        v = np.where(spike, cell.v_reset, v)
        spikes += spike.sum()
        ours = linear.weight @ spike.reshape(-1) + linear.bias
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert 0 < spikes < 12 * v.size
    assert (int(flatten.start_dim), int(flatten.end_dim)) == (0, -1)


def correlate(image, weight):
    """Valid cross-correlation of an image, (C, H, W), by its definition."""
    windows = np.lib.stride_tricks.sliding_window_view(image.numpy(), weight.shape[2:], (1, 2))
    return np.einsum("cyxij,ocij->oyx", windows, weight)


def test_a_network_that_the_exporter_refuses_is_one_line(tmp_path):
    with pytest.raises(UsageError, match="refuses the network"):
        nir_export.write_nir(nn.Sequential(nn.MaxPool2d(2)), torch.ones(1, 1, 6, 6), tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_without_its_packages_nir_names_them(tmp_path, monkeypatch):
    for name in [name for name in sys.modules if ".nir_exchange" in name]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(activation_based, "nir_exchange", raising=False)
    monkeypatch.setitem(sys.modules, "nir", None)
    monkeypatch.setitem(sys.modules, "nirtorch", None)
    with pytest.raises(MachineError, match="nir and nirtorch") as failure:
        nir_export.write_nir(chain(), torch.randn(1, 1, 6, 6), tmp_path / "network.nir")
    assert failure.value.hint == 'pip install "avsnn[nir]"'
    assert not list(tmp_path.iterdir())
