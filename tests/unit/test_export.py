"""An export gives back the same network, or is not written."""

import json

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from pipelines import registry
from pipelines.ann.output import Output
from pipelines.errors import AvsnnError, UsageError
from pipelines.evaluation.export import Clips, load_network, write
from pipelines.recipe.settings_from_signature import settings_model
from pipelines.snn.dsln import DSLN
from pipelines.snn.fold import BatchNorm, Layer, difference, folded
from tests.unit.test_every_system import SMALL, built

MODELS = registry.names("model")


def settings_of(name, inputs, **more):
    """All settings of the small version, as model.json has them."""
    channels = {f"{modality}_channels": x.shape[1] for modality, x in inputs.items()}
    section = settings_model(registry.load_module("model", name).build)
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
            if isinstance(module, BatchNorm | DSLN):
                module.weight.copy_(2.0 ** drawn(module.weight, -1, 2, 1))
                module.bias.copy_(drawn(module.bias, -8, 16, 2**-4))
                variance = (
                    module.running_variance if isinstance(module, DSLN) else module.running_var
                )
                exact = 4.0 ** drawn(variance, -1, 2, 1) - module.eps
                variance.copy_(exact if name in done else exact.float())
            if isinstance(module, BatchNorm):
                module.bias += offset
                module.running_mean.copy_(drawn(module.running_mean, -4, 5, 2**-4))
            elif isinstance(module, Layer) and module.bias is not None:
                module.bias += offset


def exported(name, folder, **more):
    """The small version of a network, its inputs, and what the export said."""
    if more:
        torch.manual_seed(0)
        inputs = built(name)[1]
        model = registry.load_module("model", name).build(
            classes=3,
            **{f"{m}_channels": x.shape[1] for m, x in inputs.items()},
            **SMALL[name][0],
            **more,
        )
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
    back = load_network(tmp_path / "export")
    assert not back.training
    assert said["folded"] and said["check"]["float64_difference"] <= 1e-10
    assert difference(model, back, inputs) < 1e-10
    assert said == json.loads((tmp_path / "export" / "model.json").read_text())


@pytest.mark.parametrize(
    "more",
    [{"norm": "dsln", "variance_frames": 8}, {"norm": "ln"}, {"norm": "bn1d"}],
    ids=["dsln-per-frame", "ln", "bn1d"],
)
def test_every_norm_of_table_4_is_folded_or_named(more, tmp_path):
    model, inputs, said = exported("spikslc-net", tmp_path / "export", **more)
    assert difference(model, load_network(tmp_path / "export"), inputs) < 1e-10
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
        "model.json",
        "weights.safetensors",
    ]


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
    with pytest.raises(AvsnnError, match="changes the network's outputs by 1 in float64"):
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
    model = registry.load_module("model", "sca").build(
        classes=3,
        audio_channels=3,
        visual_channels=3,
        **SMALL["sca"][0],
        positions="random",
        scale=10.0,
    )
    for module in model.modules():
        if isinstance(module, BatchNorm):  # neurons that fire: of one batch, a deviation of 3
            nn.init.constant_(module.weight, 3)
            module.momentum = 1.0
    # silent keys leave the drawn table alone on the scores, and all values are there to be let in
    nn.init.constant_(model.visual_attention.key.norm.bias, -50)
    nn.init.constant_(model.visual_attention.value.norm.bias, 50)
    with torch.no_grad():
        model.train()(**inputs)
    clips = [Clips(inputs, targets.labels)]
    settings = settings_of("sca", inputs, positions="random", scale=10.0)
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
