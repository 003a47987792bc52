"""Counted operations against published counts, closed forms, and a published mistake."""

import json

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from pipelines.errors import UsageError
from pipelines.evaluation.energy import LABEL, energy, energy_pj
from pipelines.models import s_cmrl, spikformer, spikslc_net
from pipelines.models.slc_net import Model as SLCNet
from pipelines.snn.attention import SpikingAttention
from pipelines.snn.lif import LIF
from pipelines.snn.lif_settings import LIFSettings
from tests.unit.test_every_system import MODELS, built


def run(model, x):
    return energy(model, [{"input": x}])


def row(found, name):
    return next(r for r in found["layers"] if r["name"] == name)


def marked(x, value=4.5):
    """Make one value real; NeuroBench's tests put a 4 there, which for us is four spikes."""
    x = x.clone()
    x.view(-1)[0] = value
    return x


# NeuroBench tests/test_metrics.py, test_synaptic_ops
@pytest.mark.parametrize(
    ("layers", "shape", "macs"),
    [
        ([nn.Linear(20, 25), nn.Sigmoid(), nn.Linear(25, 25), nn.ReLU()], (1, 20), 1125),
        ([nn.Conv2d(1, 1, 3)], (1, 1, 3, 3), 9),
        ([nn.Conv2d(1, 1, 3)], (1, 1, 12, 12), 900),
        ([nn.Conv1d(5, 1, 5)], (1, 5, 10), 150),
    ],
    ids=["mlp", "conv-9", "conv-900", "conv1d"],
)
def test_real_valued_networks_have_neurobenchs_macs_and_no_acs(layers, shape, macs):
    total = run(nn.Sequential(*layers), marked(torch.ones(shape)))["total"]
    assert (total["macs"], total["acs"]) == (macs, 0)


def test_ten_steps_of_spikes_have_neurobenchs_acs_and_no_macs():
    # 5 samples, 10 steps, 20 to 5: 1000 a sample
    network = nn.Sequential(nn.Flatten(2), nn.Linear(20, 5))
    found = run(network, torch.ones(10, 5, 20, 1, 1))
    assert (found["total"]["macs"], found["total"]["acs"], found["samples"]) == (0, 1000, 5)
    assert found["ann_twin"]["macs"] == 100


def test_acs_of_a_linear_layer_are_spikes_times_fan_out():
    # spikingjelly's test_synops.py: as many as non-zero inputs, times 50
    x = torch.zeros(1, 40)
    x[0, [1, 5, 8]] = 1
    total = run(nn.Sequential(nn.Linear(40, 50)), x)["total"]
    assert (total["acs"], total["dense_macs"]) == (pytest.approx(3 * 50), 40 * 50)


# syops-counter's README: G operations and mJ, which is also pJ to G operations
@pytest.mark.parametrize(
    ("acs", "macs", "millijoules"), [(0, 1.82, 8.372), (0.5, 2.75, 13.10)], ids=["resnet", "sew"]
)
def test_energy_is_syops_counters(acs, macs, millijoules):
    assert energy_pj(macs, acs)["float32"] == pytest.approx(millijoules, abs=1e-9)


def test_int8_has_the_presets_of_spikingjelly():
    assert energy_pj(1, 0)["int8"] == 0.23 and energy_pj(0, 1)["int8"] == 0.03


def test_the_firing_rate_is_counted_once_and_not_twice_as_published():
    # PMC10242054, Table 3: 18.39 M MACs, rate 0.1366, 845.94e-7 J; the rate is in its operations
    # (2.51 M) and again in its energy, 3.09e-7 J, hence "ANN/SNN 273.77"
    x = torch.zeros(1, 100, 100)
    x.view(-1)[:1366] = 1
    found = run(nn.Sequential(nn.Linear(100, 1839)), x)
    total, twin = found["total"], found["ann_twin"]["energy_pj"]["float32"]
    assert twin * 1e-12 == pytest.approx(845.94e-7, rel=1e-5)
    assert total["acs"] == pytest.approx(2.51e6, rel=1e-3)
    once = total["energy_pj"]["float32"]
    assert twin / once == pytest.approx(37.4, abs=0.05)
    assert once * 1e-12 / 3.09e-7 == pytest.approx(1 / 0.1366, rel=2e-3)


def test_padding_stride_groups_and_dilation_follow_the_closed_form():
    layer = nn.Conv2d(6, 8, (3, 5), stride=2, padding=(1, 4), dilation=(1, 2), groups=2)
    total = run(nn.Sequential(layer), torch.randn(3, 6, 11, 15))["total"]
    height, width = (11 + 2 - 3) // 2 + 1, (15 + 8 - 9) // 2 + 1
    assert total["dense_macs"] == 8 * height * width * (6 // 2) * 3 * 5


@pytest.mark.parametrize(
    ("values", "kind", "acs"),
    [
        ([0, 1, 1, 0], "binary", 2),
        ([0, 1, 3, 0], "integer", 4),
        ([0, -1, 1, 0], "integer", 2),
        ([0, 1, 6, 0], "real", 0),
        ([0, 1, 1.5, 0], "real", 0),
        ([0, 0, 0, 0], "binary", 0),
    ],
    ids=["binary", "sum", "signed", "too-large", "scaled", "silent"],
)
def test_the_kind_is_that_of_the_values_and_an_integer_k_is_k_additions(values, kind, acs):
    found = run(nn.Sequential(nn.Linear(4, 7)), torch.tensor([values]).float())
    assert found["layers"][0]["input"] == kind
    assert found["total"]["acs"] == pytest.approx(7 * acs)
    assert found["total"]["macs"] == (28 if kind == "real" else 0)
    assert found["layers"][0]["density"] == sum(v != 0 for v in values) / 4


@pytest.mark.parametrize("halves", [(1.0, 0.5), (0.5, 1.0)], ids=["later", "earlier"])
def test_real_values_in_one_batch_make_the_layer_real(halves):
    network = nn.Sequential(nn.Linear(4, 7))
    found = energy(network, [{"input": torch.full((2, 4), value)} for value in halves])
    assert (found["total"]["macs"], found["total"]["acs"], found["samples"]) == (28, 0, 4)


def attention(axis, steps=4, width=16):
    torch.manual_seed(0)
    module = SpikingAttention(
        width, heads=2, scale=0.25, axis=axis, neuron=lambda: LIF(steps, v_threshold=0.1)
    )
    for part in (module.query, module.key, module.value):
        nn.init.normal_(part.norm.bias)
    return module.eval()


# (T, B, N, D) = (4, 3, n, 16), 2 heads of d = 8: n² d twice, or n d² twice where n > d
@pytest.mark.parametrize(
    ("axis", "positions", "macs"),
    [
        ("space", 6, 4 * 2 * (6 * 6 * 8)),
        ("space", 20, 4 * 2 * (20 * 8 * 8)),
        ("time", 5, 5 * 2 * (4 * 4 * 8)),
    ],
    ids=["space", "space-reordered", "time"],
)
def test_attention_has_two_products_of_the_size_it_runs_and_spikes_drive_them(
    axis, positions, macs
):
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = attention(axis)

        def forward(self, audio):
            tokens = audio.flatten(3)
            return self.attention(tokens, tokens)

    torch.manual_seed(1)
    x = (torch.rand(4, 3, positions, 16, 1) > 0.5).float()
    model, spikes = Tokens(), {}
    for name in ("query", "key", "value"):
        getattr(model.attention, name).register_forward_hook(
            lambda *a, name=name: spikes.setdefault(name, a[2])
        )
    found = energy(model, [{"audio": x}])
    first, second = (row(found, f"attention.matmul_{i}") for i in (1, 2))
    assert first["dense_macs"] == second["dense_macs"] == macs
    rates = {name: float(x.mean()) for name, x in spikes.items()}
    reordered = positions > 8
    pair = ("key", "value") if reordered else ("query", "key")
    assert first["acs"] == pytest.approx(macs * min(rates[name] for name in pair))
    assert 0 < first["acs"] < macs
    last = "query" if reordered else "value"
    assert second["acs"] == pytest.approx(macs * rates[last])
    assert [r["operation"] for r in found["layers"]].count("matmul") == 2


def authors(width):
    settings = dict(s_cmrl.PRESETS["authors"])
    settings["neuron"] = LIFSettings(**settings["neuron"])
    return s_cmrl.Model(classes=6, audio_channels=1, visual_channels=3, width=width, **settings)


@pytest.mark.parametrize(("width", "giga"), [(256, 2.76), (64, 0.187)])
def test_s_cmrl_has_the_published_dense_macs(width, giga):
    audio, visual = torch.randn(4, 1, 1, 128, 128), torch.randn(4, 1, 3, 128, 128)
    found = energy(authors(width), [{"audio": audio, "visual": visual}])
    assert found["total"]["dense_macs"] / 1e9 == pytest.approx(giga, rel=0.005)
    sps = sum(r["dense_macs"] for r in found["layers"] if ".patches." in r["name"])
    if width == 256:
        assert sps / found["total"]["dense_macs"] == pytest.approx(0.79, abs=0.005)


@pytest.mark.parametrize("name", MODELS)
def test_every_network_has_the_dense_macs_that_torch_counts_and_none_is_left_out(name):
    model, inputs, _ = built(name)
    found = energy(model, [inputs])
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(**inputs)
    assert found["total"]["dense_macs"] * 5 == counter.get_total_flops() / 2
    assert found["uncounted"] == []
    assert 0 < found["ann_twin"]["macs"] <= found["total"]["dense_macs"]


def test_a_static_input_pays_for_its_first_convolutions_once_as_macs():
    torch.manual_seed(0)
    model = authors(64)
    for norm in (model.audio.mlp.contract.norm, model.visual.mlp.contract.norm):
        nn.init.normal_(norm.bias, std=2)  # so that it fires
    audio, visual = torch.randn(2, 1, 128, 128), torch.randn(2, 3, 128, 128)
    moving = {"audio": audio.expand(4, *audio.shape), "visual": visual.expand(4, *visual.shape)}
    once, each = (energy(model, [b]) for b in ({"audio": audio, "visual": visual}, moving))
    first = 128 * 128 * 8 * 9  # for each input channel
    for found, times in ((once, 1), (each, 4)):
        for name, channels in (("audio", 1), ("visual", 3)):
            conv = row(found, f"{name}.patches.stages.0.conv")
            assert conv["macs"] == conv["dense_macs"] == times * first * channels
            assert conv["twin_macs"] == first * channels
            assert row(found, f"{name}.patches.stages.1.conv")["input"] == "binary"
    for k in ("acs", "neuron_updates"):
        assert once["total"][k] == pytest.approx(each["total"][k])
    assert once["ann_twin"] == each["ann_twin"]
    # the mean over time is real
    assert row(once, "head")["macs"] == 64 * 6


def test_the_twin_is_one_step_with_every_mac_and_leaves_the_network_as_it_was():
    model = spikformer.Model(classes=3, visual_channels=2, width=32, heads=4, stages=2).eval()
    x = torch.randn(2, 2, 16, 16)
    before = model(visual=x).logits
    found = energy(model, [{"visual": x}])
    assert torch.equal(model(visual=x).logits, before)
    convolutions = 256 * 16 * 2 * 9 + 64 * 32 * 16 * 9 + 16 * 32 * 32 * 9
    linear = 16 * (4 * 32 * 32 + 2 * 32 * 128) + 32 * 3
    products = 2 * 4 * 16 * 8 * 8
    macs = convolutions + linear + products
    assert found["ann_twin"]["macs"] == macs
    assert found["ann_twin"]["energy_pj"] == {
        "float32": pytest.approx(4.6 * macs),
        "int8": pytest.approx(0.23 * macs),
    }
    assert found["total"]["neuron_updates"] == 4 * (
        256 * 16 + 64 * 32 + 16 * 32 + 16 * 32 * 5 + 16 * 128 + 16 * 32
    )


def test_batches_and_samples_do_not_change_what_one_sample_costs():
    torch.manual_seed(0)
    model = spikformer.Model(classes=3, visual_channels=2, width=32, heads=4, stages=2)
    x = torch.randn(4, 2, 16, 16)
    together = energy(model, [{"visual": x}])
    apart = energy(model, [{"visual": x[:1]}, {"visual": x[1:]}])
    assert together["samples"] == apart["samples"] == 4
    for a, b in zip(together["layers"], apart["layers"], strict=True):
        for key in ("density", "dense_macs", "macs", "acs"):
            assert a[key] == pytest.approx(b[key])


def test_an_ann_is_its_own_twin():
    model = SLCNet(classes=3, audio_channels=10, embedding=16, heads=2, bins=8, blocks=1)
    found = energy(model, [{"audio": torch.randn(2, 10, 8, 5)}])
    # the softmax's products are between real numbers
    assert [r["input"] for r in found["layers"] if r["operation"] == "matmul"] == ["real"] * 8
    assert found["total"]["macs"] == found["ann_twin"]["macs"]
    assert found["total"]["energy_pj"] == found["ann_twin"]["energy_pj"]


def test_folding_the_norms_turns_macs_into_acs():
    torch.manual_seed(0)
    model = spikslc_net.Model(
        classes=3, audio_channels=10, embedding=16, heads=2, bins=8, blocks=1
    ).eval()
    batch = {"audio": torch.randn(2, 10, 8, 5)}
    plain = energy(model, [batch])["total"]
    folded = energy(spikslc_net.reparameterised(model), [batch])["total"]
    assert folded["dense_macs"] == plain["dense_macs"]
    assert folded["macs"] < plain["macs"] and folded["acs"] > plain["acs"]


def test_the_result_is_plain_json_that_says_what_it_is():
    found = run(nn.Sequential(nn.Linear(4, 7)), torch.ones(2, 4))
    assert json.loads(json.dumps(found)) == found
    assert found["label"] == LABEL == "theoretical, compute-only"


def test_weights_of_an_unknown_type_are_named_and_not_passed_over():
    found = run(nn.Sequential(nn.ConvTranspose1d(4, 4, 3), nn.Conv1d(4, 2, 1)), torch.ones(1, 4, 9))
    assert found["uncounted"] == ["0"]


def test_no_batch_is_refused():
    with pytest.raises(UsageError, match="no sample"):
        energy(nn.Linear(2, 2), [])
