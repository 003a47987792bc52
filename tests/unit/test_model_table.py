"""The table of sizes in docs/models.md is what the networks have, and what others counted.

`python -m tests.unit.test_model_table` writes it anew.
"""

from functools import cache
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from pipelines import registry
from pipelines.download import manifest
from pipelines.recipe import recipe as recipes
from pipelines.recipe.settings_from_signature import keyword_arguments
from tests.unit.test_recipes_run import features

PAGE = Path(__file__).parents[2] / "docs/models.md"
BEGIN = "<!-- written by tests/unit/test_model_table.py -->\n"
RECIPES = [name for name in recipes.bundled_names() if name.endswith("_paper")]
PAPERS = {
    "s-cmrl": "S-CMRL",
    "weight-attention": "WeightAttention (ICASSP 2022)",
    "sca": "SMMT (TCDS 16:3)",
    "cmci": "CMCI (ICONIP 2023)",
    "spikformer": "Spikformer (2023)",
    "resnet18-joint": "S-CMRL, Table I",
    "ogm-ge": "OGM-GE (CVPR 2022)",
    "mslr": "MSLR",
    "pmr": "PMR",
    "agm": "AGM (ICCV 2023)",
    "l2-act-spike-net": "SMLP",
    "smlp-audio": "SMLP",
    "smlp": "SMLP",
    "spikslc-net": "SpikSLC-Net",
    "slc-net": "SpikSLC-Net",
    "sloclas-baseline": "SLoClas (2108.02539)",
}
# torchvision's resnet18 without its classifier: one for each modality, the audio's first
# convolution with 1 channel for 3; then a linear layer for 6 classes
RESNET18 = 11_689_512 - 513_000
TWO_RESNETS = 2 * RESNET18 - 64 * 2 * 7 * 7 + 6 * (2 * 512 + 1)
# counted on the authors' models, parameters without a gradient left out; the SAO head, which only
# the preset `authors` has, left out too
PUBLISHED = {
    "crema_d/s_cmrl_paper": 4_072_454,
    "cifar10_av/s_cmrl_paper": 267_146 - 2 * (64 * 64 + 64),
    "urbansound8k_av/s_cmrl_paper": 267_146 - 2 * (64 * 64 + 64),
    "crema_d/weight_attention_paper": 3_278_856,
    "crema_d/cmci_paper": 3_678_482,
    "crema_d/spikformer_audio_paper": 1_773_542 - 2 * 2 * 256,
    "crema_d/spikformer_visual_paper": 1_774_118 - 2 * 2 * 256,
    "mnistdvs_ntidigits/s_cmrl_paper": 262_922 - (106 * 64 + 32) - 2 * (64 * 64 + 64),
    **dict.fromkeys(
        (f"crema_d/{name}_paper" for name in ("resnet18_joint", "mslr", "ogm_ge", "agm", "pmr")),
        TWO_RESNETS,
    ),
}


@cache
def network(name):
    """Build a bundled recipe's network; returns it, its recipe and one clip of its inputs."""
    recipe = recipes.load_recipe(recipes.find(name))
    module = registry.load_module("model", recipe.model.name)
    settings = keyword_arguments(module.build, recipe.model)
    inputs = {
        modality: features(section, settings.get("time_steps")).narrow(-4, 0, 1)
        for modality, section in (("audio", recipe.audio), ("visual", recipe.visual))
        if section is not None
    }
    channels = {f"{modality}_channels": x.shape[-3] for modality, x in inputs.items()}
    classes = len(manifest.load_manifest(recipe.data.dataset).classes)
    return recipe, module.build(classes=classes, **channels, **settings).eval(), inputs


def macs(model, inputs):
    """Count the multiply-accumulates of one clip, as if no value were 0."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(**inputs)
    return counter.get_total_flops() // 2


def parameters(model):
    return sum(p.numel() for p in model.parameters())


def row(name):
    """Make a recipe's row, but for the name of its system and paper."""
    recipe, model, inputs = network(name)
    every = macs(model, inputs)
    for module in model.modules():
        if hasattr(module, "time_steps"):
            module.time_steps = 1
    one = macs(model, {k: x[:1] if x.dim() == 5 else x for k, x in inputs.items()})
    network.cache_clear()  # one network at a time in memory
    sizes = ", ".join(f"{k} {'×'.join(map(str, x.shape[-3:]))}" for k, x in inputs.items())
    published = f"{PUBLISHED[name]:,}" if name in PUBLISHED else "–"
    steps = getattr(recipe.model, "time_steps", "–")
    counts = f"{parameters(model):,} | {published} | {one / 1e6:,.1f} | {every / 1e6:,.1f}"
    return f"| {sizes} | {steps} | {counts} |"


def table():
    """Write the table, a row for each system and size; recipes alike share a row."""
    head = (
        "system | paper | recipes `…_paper` of | input of a step | T | parameters | published "
        "| M MACs, 1 step | M MACs, T steps"
    )
    lines = [f"| {head} |", "|---|---|---|---|--:|--:|--:|--:|--:|"]
    alike: dict[tuple[str, str], list[str]] = {}
    for name in sorted(RECIPES, key=lambda name: name.partition("/")[::-1]):
        system = name.partition("/")[2].removesuffix("_paper")
        alike.setdefault((system, row(name)), []).append(name)
    for (system, counted), names in alike.items():
        paper = PAPERS[recipes.load_recipe(recipes.find(names[0]), with_model=False).model.name]
        where = ", ".join(name.partition("/")[0] for name in names)
        lines.append(f"| {system} | {paper} | {where} {counted}")
    return "\n".join(lines) + "\n"


def test_the_page_has_the_sizes_that_the_networks_have():
    found = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2]
    assert found == table(), "python -m tests.unit.test_model_table"


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_network_has_the_published_parameters(name):
    assert parameters(network(name)[1]) == PUBLISHED[name]


def test_sca_has_the_published_parameters_and_learned_positions():
    # a table of (2 M - 1)^2, M = 8 + 1 for 8 x 8 tokens, which the authors draw at random
    assert parameters(network("crema_d/sca_paper")[1]) == 3_544_070 + 17**2


def test_a_resnet_branch_has_torchvisions_parameters_and_macs():
    from torchvision.models import resnet18

    theirs = resnet18()
    assert parameters(theirs) == 11_689_512
    counted = macs(theirs.eval(), {"x": torch.zeros(1, 3, 224, 224)})
    # syops-counter has 1.82 G with the norms
    assert counted / 1e9 == pytest.approx(1.82, rel=0.005)
    # all of it but the classifier is convolutions, which go with the area: two branches at 128²,
    # the audio's first with 1 channel for 3
    convolutions = (counted - 512 * 1000) * 128 * 128 // (224 * 224)
    _, model, inputs = network("crema_d/resnet18_joint_paper")
    assert macs(model, inputs) == 2 * convolutions - 64 * 64 * 64 * 2 * 49 + 2 * 512 * 6


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8").partition(BEGIN)[0]
    PAGE.write_text(text + BEGIN + table(), encoding="utf-8")
