"""Every recipe that comes with avsnn: its inputs fit its network, which takes a step and answers.

The features are computed from made-up sources of the form that the data set's reader gives. What
recipes share is computed once: a feature by its settings, a step by the network's settings and the
shapes of its inputs.
"""

from functools import lru_cache

import numpy as np
import pytest
import torch

from pipelines import registry
from pipelines.ann.output import Targets
from pipelines.readers.events import EventBatch
from pipelines.recipe import recipe as recipes
from pipelines.recipe.settings_from_signature import keyword_arguments
from pipelines.signal.crops import centre_crop

# channels of the arrays that the data sets have
MICROPHONES = 4
# networks, each with its settings and the shapes of its inputs, that a recipe before has run
TOOK_A_STEP = set()


def made_up(reads, section, random):
    """Make two sources as the data set's reader hands them over."""
    if reads in ("waveform", "microphones"):
        samples = round(section.seconds * section.sample_rate)
        shape = (2, samples) if reads == "waveform" else (2, MICROPHONES, samples)
        return torch.from_numpy(random.normal(0, 0.1, shape).astype(np.float32))
    if reads == "image":
        return torch.from_numpy(random.integers(0, 256, (2, 3, 40, 48), np.uint8))
    if reads == "video":
        return torch.from_numpy(random.integers(0, 256, (2, section.frames, 3, 40, 48), np.uint8))
    height, width = (1, 64) if reads == "spikes" else (34, 34)
    which = torch.arange(2).repeat_interleave(300)
    times = torch.from_numpy(np.sort(random.integers(0, 10**5, (2, 300)), 1).ravel())
    x, y, p = (torch.from_numpy(random.integers(0, end, 600)) for end in (width, height, 2))
    return EventBatch(which, times, x, y, p if height > 1 else p * 0, 2, height, width)


@lru_cache(maxsize=64)
def features(section, steps):
    """Compute a section's feature; returns (B, C, H, W) or (T, B, C, H, W), cropped."""
    random = np.random.default_rng(0)
    module = registry.load_module("feature", section.feature)
    data = made_up(module.READS, section, random)
    found = module.extract(data, **keyword_arguments(module.extract, section)).float()
    if getattr(section, "margin", 0):
        found = centre_crop(found, section.size)
    if found.dim() == 5:
        found = found.transpose(0, 1)
        assert len(found) in (1, steps)
        found = found[0] if len(found) == 1 else found
    return found / max(1.0, float(found.abs().max()))


@pytest.mark.parametrize("name", recipes.bundled_names())
def test_its_features_fit_its_network(name):
    recipe = recipes.load_recipe(recipes.find(name))
    module = registry.load_module("model", recipe.model.name)
    settings = keyword_arguments(module.build, recipe.model)
    inputs = {
        modality: features(section, settings.get("time_steps"))
        for modality, section in (("audio", recipe.audio), ("visual", recipe.visual))
        if section is not None
    }
    shapes = {modality: x.shape for modality, x in inputs.items()}
    network = repr((recipe.model.name, settings, shapes))
    if network not in TOOK_A_STEP:
        take_a_step(module, settings, inputs)
        TOOK_A_STEP.add(network)


def take_a_step(module, settings, inputs):
    """Check that a network trains on two inputs and answers them."""
    channels = {f"{modality}_channels": x.shape[-3] for modality, x in inputs.items()}
    torch.manual_seed(0)
    model = module.build(classes=10, **channels, **settings)
    targets = Targets(torch.tensor([3, 7]), torch.tensor([10.0, 200.0]))
    loss = model.loss(model(**inputs), targets)
    loss.backward()
    assert torch.isfinite(loss)
    with_gradient = [p for p in model.parameters() if p.grad is not None]
    assert with_gradient and all(torch.isfinite(p.grad).all() for p in with_gradient)
    model.eval()
    with torch.no_grad():
        answer = model(**inputs).logits
    assert answer.shape == (2, 10) and torch.isfinite(answer).all()


def test_every_paper_data_set_has_every_system_of_its_table():
    table = {
        "s_cmrl",
        "weight_attention",
        "sca",
        "cmci",
        "naive_add",
        "naive_concat",
        "spikformer_audio",
        "spikformer_visual",
    }
    systems = {"s_cmrl", *(f"{name}_{of}" for name in table for of in ("paper", "authors"))}
    for dataset in ("crema_d", "urbansound8k_av", "mnistdvs_ntidigits"):
        found = {
            name.partition("/")[2]
            for name in recipes.bundled_names()
            if name.startswith(f"{dataset}/")
        }
        assert systems <= found, systems - found
        for system in systems - {"s_cmrl", "naive_concat_paper", "naive_concat_authors"}:
            recipe = recipes.load_recipe(recipes.find(f"{dataset}/{system}"), with_model=False)
            known = dataset != "mnistdvs_ntidigits" or system.rpartition("_")[0] in (
                "s_cmrl",
                "weight_attention",
                "sca",
                "cmci",
            )
            assert (recipe.published is not None) == known, (dataset, system)
