"""Our networks in float64 against figures of the S-CMRL authors' public code.

`tests/golden` holds what the code published at commit 3be3df7 computes for small networks whose
weights and inputs anyone can draw again from a seed. AVSNN_GOLDEN names another folder of such
files.
"""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines import registry
from pipelines.ann.output import Targets
from pipelines.snn.lif_settings import LIFSettings

FOLDER = Path(os.environ.get("AVSNN_GOLDEN") or Path(__file__).parent.parent / "golden")
FILES = sorted(FOLDER.glob("*.json"))
ALONE = ("spatial", "temporal")
SAO = {"sao": "supervised", "sao_temperature": 0.07}
# the model and the settings that differ from its preset `authors`
SYSTEMS = {
    "s_cmrl": ("s-cmrl", SAO),
    "s_cmrl_concat": ("s-cmrl", {**SAO, "fusion": "concat"}),
    "s_cmrl_no_sao": ("s-cmrl", {"sao": "none"}),
    "spatial": ("s-cmrl", {"sao": "none", "ccssa": "spatial"}),
    "temporal": ("s-cmrl", {"sao": "none", "ccssa": "temporal"}),
    "naive_add": ("s-cmrl", {"sao": "none", "ccssa": "none"}),
    "naive_concat": ("s-cmrl", {"sao": "none", "ccssa": "none", "fusion": "concat"}),
    "weight_attention": ("weight-attention", {}),
    "cmci": ("cmci", {}),
    "sca": ("sca", {"positions": "learned", "side": 2}),
    "unimodal_audio": ("spikformer", {}),
    "unimodal_visual": ("spikformer", {}),
}
PARTS = {
    "q": "query",
    "k": "key",
    "v": "value",
    "proj": "project",
    "fc1": "expand",
    "fc2": "contract",
    "conv": "linear",
    "bn": "norm",
}


def our_name(theirs: str, system: str) -> str:
    """Return our parameter's or statistic's name for one of the authors'."""
    path, _, kind = theirs.rpartition(".")
    words = path.split(".")
    if words[0] == "head":
        # CMCI has three, the joint one first
        number = int(words[1]) if len(words) > 1 else 0
        return f"{('head', 'audio_head', 'visual_head')[number]}.{kind}"
    if words[0].endswith("patch_embed"):
        side = "" if system.startswith("unimodal") else words[0].split("_")[0]
        return f"{part_of(side, 'patches', system)}.{patch_layer(words[1])}.{kind}"
    side = "" if system.startswith("unimodal") else ("audio", "visual")[int(words[1])]
    part, _, layer = words[-1].partition("_")
    layers = f"{PARTS.get(part)}.{PARTS.get(layer)}.{kind}"
    if words[0] == "mlp" or (not side and "mlp" in words):
        return f"{part_of(side, 'mlp', system)}.{layers}"
    if system == "cmci":
        linear = {"fc1": "from_audio", "fc2": "from_visual"}[part]
        return f"joint_mlp.{layers}" if "mlp" in words else f"{linear}.{kind}"
    if system == "weight_attention":
        return f"{side}_weight.{('fc1', 'fc2').index(part)}.{kind}"
    if SYSTEMS[system][0] != "s-cmrl":
        return f"{part_of(side, 'attention', system)}.{layers}"
    if words[-1] == "trans_linear":
        return f"{side}.sao_head.{kind}"
    axis = system if system in ALONE else words[3].removesuffix("_attn")
    return f"{side}.residual.{axis}.{layers}"


def part_of(side: str, part: str, system: str) -> str:
    """Return the path of a modality's part: S-CMRL keeps a module for each modality."""
    if not side:
        return part
    return f"{side}.{part}" if SYSTEMS[system][0] == "s-cmrl" else f"{side}_{part}"


def patch_layer(theirs: str) -> str:
    """Return the path of a layer of the patch splitting."""
    found = re.fullmatch(r"(?:rpe|proj)_(conv|bn)(\d?)", theirs)
    kind = "conv" if found[1] == "conv" else "norm"
    return f"position_{kind}" if theirs.startswith("rpe") else f"stages.{found[2] or 0}.{kind}"


def draw(rng, shape, kind):
    """Draw one parameter as the figures' own description says."""
    if kind == "bn_weight":
        return 1 + rng.random(shape)
    if kind in ("bn_bias", "bn_bias_attention"):
        return (4 if kind == "bn_bias_attention" else 1.5) * rng.random(shape)
    if kind == "bias":
        return 0.1 * rng.standard_normal(shape)
    gain = float(kind.partition("_")[2] or 1)
    return gain * rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))


class Published:
    """A network with the weights, inputs and labels of one file of figures."""

    def __init__(self, path: Path) -> None:
        self.figures = figures = json.loads(path.read_text(encoding="utf-8"))
        self.system = path.stem
        rng = np.random.default_rng(figures["seed"])
        size, labels = figures["size"], figures["labels"]
        audio = torch.tensor(rng.standard_normal((len(labels), 1, size, size)))
        visual = torch.tensor(rng.standard_normal((len(labels), 3, size, size)))
        name, changes = SYSTEMS[self.system]
        self.inputs = {"audio": audio, "visual": visual}
        if self.system.startswith("unimodal"):
            side = self.system.removeprefix("unimodal_")
            self.inputs = {side: self.inputs[side]}
        module = registry.load_module("model", name)
        settings = {
            **{f"{side}_channels": x.shape[1] for side, x in self.inputs.items()},
            "classes": figures["classes"],
            "time_steps": figures["time_steps"],
            "width": figures["width"],
        }
        if name not in ("cmci", "weight-attention"):
            settings["heads"] = figures["heads"]
        preset = {**module.PRESETS["authors"], **changes}
        preset["neuron"] = LIFSettings(**preset["neuron"])
        model = module.Model(**{**settings, **preset}).double()
        known = dict(model.named_parameters())
        self.parameters = {}
        with torch.no_grad():
            for theirs, shape, kind in figures["order"]:
                parameter = known.pop(our_name(theirs, self.system))
                values = torch.tensor(draw(rng, shape, kind))
                parameter.copy_(values.view_as(parameter))  # a convolution of size 1 is linear
                self.parameters[theirs] = parameter
            if figures.get("position_table_5x5_drawn_last"):
                # their table is float32
                table = known.pop("position_table")
                table.copy_(torch.tensor(rng.standard_normal(table.shape)).float())
                bias = torch.tensor(figures["position_bias_4x4"], dtype=torch.float64)
                assert torch.equal(model._offset(2, 2, bias), bias)
                table.requires_grad_(False)  # theirs is drawn and never learns
        assert not known, f"parameters that the public code does not have: {sorted(known)}"
        self.model, self.targets = model, Targets(torch.tensor(labels))

    def loss(self):
        output = self.model(**self.inputs)
        return output, self.model.loss(output, self.targets)


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def published(request):
    return Published(request.param)


def close(ours, theirs, **tolerances):
    torch.testing.assert_close(ours, torch.tensor(theirs, dtype=ours.dtype), **tolerances)


def test_there_are_figures_for_every_system_of_the_public_code():
    assert {path.stem for path in FILES} >= set(SYSTEMS) or "AVSNN_GOLDEN" in os.environ
    assert FILES


def test_logits_loss_gradients_and_running_statistics_are_the_public_codes(published):
    figures, model = published.figures, published.model
    output, loss = published.loss()
    close(output.logits.detach(), figures["train"]["logits"], rtol=0, atol=1e-9)
    close(loss.detach(), figures["train"]["loss"], rtol=0, atol=1e-5)
    for name in ("audio_residual", "visual_residual"):
        if published.system in ("s_cmrl", "s_cmrl_no_sao", "s_cmrl_concat", *ALONE):
            mean = getattr(output, name).detach().mean()
            close(mean, figures["train"][f"{name}_mean"], rtol=0, atol=1e-9)
    loss.backward()
    for name, norm in figures["gradient_norms"].items():
        if norm > 1e-2:
            gradient = published.parameters[name].grad
            close(gradient.norm(), norm, rtol=1e-4, atol=0)
    statistics = dict(model.named_buffers())
    for name, total in figures["running_sums"].items():
        ours = statistics[our_name(name, published.system)]
        close(ours.double().sum(), total, rtol=1e-9, atol=1e-9)
    model.eval()
    with torch.no_grad():
        logits = model(**published.inputs).logits
    close(logits, figures["eval"]["logits"], rtol=0, atol=1e-9)


def test_five_steps_of_adamw_lose_what_the_public_code_loses(published):
    settings = published.figures["five_steps_of_adamw"]
    published.loss()  # the figures' first pass, which the running statistics have seen
    weights = [p for p in published.model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        [
            {"params": [p for p in weights if p.dim() > 1]},
            {
                "params": [p for p in weights if p.dim() <= 1],
                "weight_decay": settings["weight_decay_on_vectors"],
            },
        ],
        lr=settings["lr"],
        weight_decay=settings["weight_decay"],
    )
    losses = []
    for _ in settings["losses"]:
        optimiser.zero_grad()
        _, loss = published.loss()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses == pytest.approx(settings["losses"], abs=1e-5)
