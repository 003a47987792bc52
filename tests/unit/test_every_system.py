"""What every network promises, whichever there are: one answer, no memory, it learns, it is saved.

Small versions on inputs of their own kind; sizes and definitions are tested apart.
"""

import inspect

import pytest
import torch
from safetensors.torch import load, save

from pipelines import registry
from pipelines.ann.output import Targets
from pipelines.recipe.settings_from_signature import keyword_arguments, settings_model

SPIKFORMERS = {"width": 32, "stages": 2, "time_steps": 2}
SUPPLIED = frozenset({"classes", "audio_channels", "visual_channels"})
# settings of a small version; the inputs' shapes where they are not (3, 16, 16)
SMALL = {
    "s-cmrl": ({**SPIKFORMERS, "heads": 4}, {}),
    "spikformer": ({**SPIKFORMERS, "heads": 4}, {"visual": None}),
    "weight-attention": (SPIKFORMERS, {}),
    "sca": ({**SPIKFORMERS, "heads": 4, "side": 4}, {}),
    "cmci": (SPIKFORMERS, {}),
    "l2-act-spike-net": ({"width": 8, "time_steps": 4}, {}),
    "smlp-audio": ({"width": 4, "bands": 16, "frames": 24, "blocks": 2}, {"audio": (1, 16, 24)}),
    "smlp": (
        {
            "hidden": 64,
            "audio_branch": {"width": 4, "bands": 16, "frames": 24, "blocks": 2},
            "visual_branch": {"width": 8, "time_steps": 4},
        },
        {"audio": (1, 16, 24)},
    ),
    "spikslc-net": ({"embedding": 32, "blocks": 1, "heads": 4, "bins": 12}, {"audio": (10, 12, 8)}),
    "slc-net": ({"embedding": 32, "blocks": 1, "heads": 4, "bins": 12}, {"audio": (10, 12, 8)}),
    "sloclas-baseline": ({"bins": 12}, {"audio": (10, 12, 8)}),
    "resnet18-joint": ({"width": 8}, {}),
    "ogm-ge": ({"width": 8}, {}),
    "mslr": ({"width": 8}, {}),
    "pmr": ({"width": 8}, {}),
    "agm": ({"width": 8}, {}),
}
MODELS = registry.names("model")


def built(name, seed=0):
    """Build the small version of a network, and five pairs of inputs with targets."""
    settings, shapes = SMALL[name]
    module = registry.load_module("model", name)
    wanted = inspect.signature(module.Model.forward).parameters
    inputs, channels = {}, {}
    torch.manual_seed(1)
    for modality in ("audio", "visual"):
        shape = shapes.get(modality, (3, 16, 16))
        if modality in wanted and shape is not None:
            inputs[modality] = torch.randn(5, *shape)
            channels[f"{modality}_channels"] = shape[0]
    torch.manual_seed(seed)
    section = settings_model(module.build, omit=SUPPLIED)(**settings)
    model = module.build(classes=3, **channels, **keyword_arguments(module.build, section))
    return model, inputs, Targets(torch.tensor([0, 1, 2, 0, 1]), torch.arange(5) * 72.0)


def test_every_network_is_here():
    assert set(SMALL) == set(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_one_question_has_one_answer_and_nothing_is_kept(name):
    model, inputs, _ = built(name)
    model.eval()
    with torch.no_grad():
        first = model(**inputs)
        model(**{k: torch.randn_like(v) for k, v in inputs.items()})
        again = model(**inputs)
    assert first.logits.shape == (5, 3)
    assert torch.equal(first.logits, again.logits)
    assert first.azimuth is None or torch.equal(first.azimuth, again.azimuth)


@pytest.mark.parametrize("name", MODELS)
def test_in_evaluation_a_sample_does_not_depend_on_its_neighbours(name):
    model, inputs, _ = built(name)
    model.double().eval()
    inputs = {k: v.double() for k, v in inputs.items()}
    with torch.no_grad():
        together = model(**inputs).logits
        alone = torch.cat(
            [model(**{k: v[i : i + 1] for k, v in inputs.items()}).logits for i in range(5)]
        )
    torch.testing.assert_close(alone, together, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_gets_a_gradient_and_a_step_lowers_the_loss(name):
    model, inputs, targets = built(name)
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    losses = []
    for _ in range(40):
        optimiser.zero_grad()
        loss = model.loss(model(**inputs), targets)
        assert loss.shape == () and torch.isfinite(loss)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert min(losses[-5:]) < losses[0]
    without = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert not without


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_network_gives_the_same_answer(name):
    model, inputs, _ = built(name)
    other, _, _ = built(name, seed=5)
    other.load_state_dict(load(save({k: v.contiguous() for k, v in model.state_dict().items()})))
    model.eval()
    other.eval()
    with torch.no_grad():
        assert torch.equal(model(**inputs).logits, other(**inputs).logits)
