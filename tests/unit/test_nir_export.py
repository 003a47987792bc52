"""What NIR can carry of a network is named; what is written fires as the network does."""

import ast
import importlib.util
import sys
from pathlib import Path

import nir
import numpy as np
import pytest
import torch
from spikingjelly import activation_based
from spikingjelly.activation_based import layer, neuron
from torch import nn

from pipelines import registry
from pipelines.errors import MachineError, UsageError
from pipelines.evaluation import nir_export
from pipelines.snn.fold import folded
from tests.unit.test_every_system import built

MODELS = registry.names("model")


def chain():
    """What NIR does carry: spikingjelly's own modules in a row, soft nothing, one input."""
    return nn.Sequential(
        layer.Conv2d(1, 2, 3), neuron.LIFNode(tau=2.0), layer.Flatten(), layer.Linear(2 * 4 * 4, 3)
    )


def test_the_modules_that_nir_carries_are_those_of_spikingjellys_exporter():
    (home,) = importlib.util.find_spec("spikingjelly.activation_based").submodule_search_locations
    tree = ast.parse((Path(home) / "nir_exchange" / "to_nir.py").read_text())
    (table,) = (
        node
        for f in ast.walk(tree)
        if isinstance(f, ast.FunctionDef) and f.name == "map_dict"
        for node in ast.walk(f)
        if isinstance(node, ast.Dict)
    )
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
    assert (len(inputs) == 2) == (
        rows[0]["why"] == "2 inputs, audio and visual; NIR's exporter follows one"
    )


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
