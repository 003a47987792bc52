"""The recipes of authors' own code: what it does, and in S-CMRL's one body for all rivals."""

import math

import pytest

from pipelines import registry
from pipelines.recipe import recipe as recipes
from pipelines.recipe.settings_from_signature import keyword_arguments
from pipelines.training.optimise import learning_rate
from tests.unit.test_model_table import network, parameters

DATA_SETS = ("crema_d", "urbansound8k_av", "mnistdvs_ntidigits")
RIVALS = (
    "weight_attention",
    "sca",
    "cmci",
    "naive_add",
    "naive_concat",
    "spikformer_audio",
    "spikformer_visual",
)
# parameters that get a gradient, counted on the public code's models; the two single networks'
# are without their two unused norms
COUNTED = {
    "crema_d/s_cmrl_authors": 4_204_038,
    "crema_d/weight_attention_authors": 3_278_856,
    "crema_d/sca_authors": 3_544_070,
    "crema_d/cmci_authors": 3_678_482,
    "crema_d/naive_add_authors": 3_015_686,
    "crema_d/naive_concat_authors": 3_017_222,
    "crema_d/spikformer_audio_authors": 1_773_542 - 2 * 2 * 256,
    "crema_d/spikformer_visual_authors": 1_774_118 - 2 * 2 * 256,
    "urbansound8k_av/s_cmrl_authors": 267_146,
    # both counts with the norms that the code does not use, 106 for each of D, and 32 of stage 1
    "mnistdvs_ntidigits/s_cmrl_authors": 4_049_834 - (106 * 256 + 32),
}


def load(name):
    return recipes.load_recipe(recipes.find(name))


@pytest.mark.parametrize("data_set", DATA_SETS)
def test_the_authors_training_follows_its_closed_form(data_set):
    train = load(f"{data_set}/s_cmrl_authors").train
    peak = 5e-3 * 128 / 1024
    assert (train.epochs, train.batch_size, train.label_smoothing) == (100, 128, 0.1)
    assert train.optimizer.model_dump() == {
        "name": "adamw",
        "lr": peak,
        "weight_decay": 1e-4,
        "betas": (0.9, 0.999),
    }
    for epoch in range(101):
        if epoch < 5:
            expected = 1e-6 + (peak - 1e-6) * epoch / 5
        else:
            expected = 1e-5 + (peak - 1e-5) * (1 + math.cos(math.pi * (epoch - 5) / 95)) / 2
        assert learning_rate(train, epoch) == pytest.approx(expected, rel=1e-12)
    assert learning_rate(train, 100) == pytest.approx(1e-5)


@pytest.mark.parametrize(
    ("data_set", "width", "temperature", "protocol"),
    [
        ("crema_d", 256, 0.07, "ogm-ge"),
        ("urbansound8k_av", 64, 0.08, "authors-order"),
        ("mnistdvs_ntidigits", 256, 0.1, "disjoint"),
    ],
)
def test_each_data_set_has_the_codes_sizes_temperature_and_split(
    data_set, width, temperature, protocol
):
    recipe = load(f"{data_set}/s_cmrl_authors")
    model = keyword_arguments(registry.load_module("model", "s-cmrl").build, recipe.model)
    expected = {
        "width": width,
        "sao_temperature": temperature,
        "sao_weight": 1.0,
        "alpha": 1.5,
        "heads": 16,
        "scale": 0.25,
        "sao": "supervised",
        "sao_head": True,
        "tcsa_layout": "scrambled",
        "self_attention": "never",
    }
    assert {name: model[name] for name in expected} == expected
    assert model["neuron"].gradient == "cut"
    assert recipe.data.protocol == protocol
    assert recipe.audio.normalise == "none"
    if data_set == "mnistdvs_ntidigits":
        return
    visual = recipe.visual
    assert (visual.size, visual.fit, visual.crop, visual.flip, visual.normalise) == (
        (128, 128),
        "cover",
        "resized-antialiased",
        True,
        "imagenet",
    )
    above = visual.margin if isinstance(visual.margin, int) else visual.margin[0]
    assert visual.size[0] + 2 * above == 256  # the shorter side in testing


@pytest.mark.parametrize("data_set", DATA_SETS)
@pytest.mark.parametrize("rival", RIVALS)
def test_a_rival_differs_from_s_cmrl_in_the_network_alone(data_set, rival):
    ours = load(f"{data_set}/s_cmrl_authors").resolved()
    theirs = load(f"{data_set}/{rival}_authors").resolved()
    modality = {"spikformer_audio": "audio", "spikformer_visual": "visual"}.get(rival)
    left_out = {"audio": "visual", "visual": "audio"}.get(modality)
    if modality:
        ours["noise"]["modality"] = modality
    for section in ("version", "seed", "data", "audio", "visual", "train", "noise", "runtime"):
        assert (theirs.get(section) == ours[section]) == (section != left_out), section
    same = ("time_steps", "width", "stages", "neuron", "heads", "scale")
    assert {k: v for k, v in ours["model"].items() if k in same and k in theirs["model"]} == {
        k: v for k, v in theirs["model"].items() if k in same
    }


@pytest.mark.parametrize("name", COUNTED)
def test_an_authors_network_has_as_many_live_parameters_as_the_public_codes(name):
    assert parameters(network(name)[1]) == COUNTED[name]


def test_the_sloclas_baseline_has_its_own_authors_training_and_scale():
    recipe = load("sloclas/sloclas_baseline_paper")
    train = recipe.train
    assert (train.epochs, train.batch_size, train.label_smoothing) == (50, 32, 0.0)
    optimizer = train.optimizer
    assert (optimizer.name, optimizer.lr, optimizer.weight_decay) == ("adam", 1e-3, 0.0)
    assert {learning_rate(train, epoch) for epoch in range(50)} == {1e-3}
    assert (recipe.audio.scale, recipe.audio.normalise) == ("frame-minmax", "none")
