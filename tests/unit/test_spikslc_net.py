"""SpikSLC-Net, its ANN twin, the SLoClas baseline and their feature: the equations written out."""

import librosa
import numpy as np
import pytest
import torch
from torch import nn

from pipelines.ann.output import Targets
from pipelines.errors import UsageError
from pipelines.features import gcc_logmel, gcc_phat
from pipelines.models import slc_net, sloclas_baseline, spikslc_net
from pipelines.snn.arctan_lif import ArcTanLIF
from pipelines.snn.doa import decode, errors
from pipelines.snn.dsln import DSLN

MODELS = {"spikslc": spikslc_net, "slc": slc_net, "baseline": sloclas_baseline}
EACH = pytest.mark.parametrize("name", MODELS)
FRAMES, BINS = 9, 11


def parameters(model):
    return sum(p.numel() for p in model.parameters())


def small(name="spikslc", **changes):
    torch.manual_seed(0)
    sizes = {"width": 64} if name == "baseline" else {"embedding": 32, "heads": 4}
    return MODELS[name].Model(
        **{"classes": 4, "audio_channels": 10, "bins": BINS, **sizes, **changes}
    )


def awake(**changes):
    """A small SpikSLC-Net whose attention fires: a fresh one's is almost silent."""
    model = small(**changes)
    with torch.no_grad():
        for part in model.blocks.modules():
            if isinstance(part, nn.BatchNorm1d):
                part.bias.fill_(1.5)
    return model


def inputs(batch=6):
    torch.manual_seed(1)
    return 2 * torch.randn(batch, 10, BINS, FRAMES)


def targets(batch=6):
    torch.manual_seed(2)
    return Targets(torch.arange(batch) % 4, 360 * torch.rand(batch))


# no count is published; these are the layers' own: 51 bins, 6 pairs and 4 microphones in a frame
@pytest.mark.parametrize("blocks", [1, 2, 3, 4])
@pytest.mark.parametrize("e", [64, 128, 256, 512])
def test_the_papers_sizes_have_the_parameters_of_their_equations_and_the_twin_as_many(blocks, e):
    encoders = (306 + 204) * e + 2 * 2 * e
    attention = 4 * (e * e + 2 * e)
    fls = (2 * e + 4 * e * e + 4 * e) + (2 * 4 * e + 4 * e * e + e)
    heads = 2 * e * (360 + 10) + 360 + 10
    expected = encoders + blocks * 2 * (2 * attention + fls) + heads
    settings = {"classes": 10, "audio_channels": 10, "blocks": blocks, "embedding": e}
    with torch.device("meta"):
        assert parameters(spikslc_net.Model(**settings)) == expected
        assert parameters(slc_net.Model(**settings)) == expected


def test_the_baseline_has_the_layers_of_its_authors_code():
    """618 values a frame: 306 of GCC-PHAT and 312 of MFCC there; here 6 channels of 103."""
    model = sloclas_baseline.Model(classes=10, audio_channels=6, bins=103)
    linear = (618 + 1) * 1024 + 3 * (1024 + 1) * 1024 + (1024 + 1) * (360 + 10)
    assert parameters(model) == linear + 4 * 2 * 1024
    out = model.eval()(torch.randn(2, 6, 103, 27))
    assert out.azimuth.shape == (2, 360) and out.logits.shape == (2, 10)


@EACH
def test_every_parameter_is_live(name):
    model = awake() if name == "spikslc" else small(name)
    model.loss(model(inputs()), targets()).backward()
    assert [key for key, p in model.named_parameters() if p.grad is None] == []
    silent = [key for key, p in model.named_parameters() if not p.grad.any()]
    # a batch norm takes away what a bias before it adds
    assert name == "baseline" or silent == [], silent


@EACH
def test_the_same_input_gives_the_same_output_twice(name):
    model = small(name).eval()
    first, second = model(inputs()), model(inputs())
    assert torch.equal(first.logits, second.logits)
    assert torch.equal(first.azimuth, second.azimuth)


@EACH
def test_a_sample_does_not_depend_on_its_neighbours_in_evaluation(name):
    model = small(name).eval()
    together, alone = model(inputs()), model(inputs()[2:3])
    torch.testing.assert_close(together.logits[2:3], alone.logits, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(together.azimuth[2:3], alone.azimuth, rtol=1e-4, atol=1e-5)


@EACH
def test_the_layout_in_memory_does_not_change_the_result(name):
    model = small(name).eval()
    layout = inputs().contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(model(layout).azimuth, model(inputs()).azimuth)


def test_static_input_equals_the_same_frames_given_at_every_step():
    model = small().eval()
    a, b = model(inputs()), model(inputs().expand(2, *inputs().shape))
    torch.testing.assert_close(a.azimuth, b.azimuth, rtol=1e-4, atol=1e-5)


def test_a_block_is_the_equations_written_out():
    """Eqs 11-13, and Eqs 8-10 head by head, in evaluation."""
    model = awake(blocks=1)
    model(inputs())  # statistics that are not the initial ones
    block = model.eval().blocks[0]
    torch.manual_seed(3)
    x, y = (torch.rand(2, 2, 5, FRAMES, 32) > 0.5).float()

    def fire(currents):
        return ArcTanLIF(2)(currents.flatten(0, 2)).view_as(currents)

    def linear_norm_fire(part, z):
        return fire(part.norm(part.linear(z).flatten(0, 2)).view_as(z))

    def attend(a, q, kv):
        queries, keys = linear_norm_fire(a.query, q), linear_norm_fire(a.key, kv)
        values, out = linear_norm_fire(a.value, kv), torch.zeros_like(q)
        for head in range(4):
            part = slice(8 * head, 8 * head + 8)
            scores = torch.einsum("tbfe,tbge->tbfg", queries[..., part], keys[..., part])
            out[..., part] = torch.einsum("tbfg,tbge->tbfe", scores, values[..., part]) * 0.125
        return linear_norm_fire(a.project, fire(out))

    def fls(part, z):
        norm = part.norm
        scaled = (z - z.mean(-1, keepdim=True)) / (norm.running_variance + 1e-5).sqrt()
        return fire(part.linear(scaled * norm.weight + norm.bias))

    for half, a, b, found in (
        (block.correlation, x, y, block(x, y)[0]),
        (block.spectrum, y, x, block(x, y)[1]),
    ):
        mixed = a + attend(half.self_attention, a, a) + attend(half.cross_attention, a, b)
        by_hand = mixed + fls(half.contract, fls(half.expand, mixed))
        assert (found != by_hand).float().mean() < 1e-3  # rounding at a threshold
        assert mixed.max() == 3, "the residual stream holds 0 to 3"


def test_the_twins_attention_is_torchs():
    attention = slc_net.Attention(32, 4).eval()
    torch.manual_seed(3)
    x, y = torch.randn(2, 5, FRAMES, 32)
    parts = (attention.query(x), attention.key(y), attention.value(y))
    q, k, v = (part.unflatten(-1, (4, 8)).transpose(1, 2) for part in parts)
    mixed = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    torch.testing.assert_close(attention(x, y), attention.project(mixed), rtol=1e-4, atol=1e-5)


def test_heads_read_the_mean_over_steps_and_frames_of_both_streams():
    model = small(blocks=1).eval()
    kept = []
    model.blocks[0].register_forward_hook(lambda *a: kept.append(a[2]))
    out = model(inputs())
    both = torch.cat([stream.mean((0, 2)) for stream in kept[0]], -1)
    torch.testing.assert_close(out.embedding, both)
    torch.testing.assert_close(out.logits, both @ model.class_head.weight.T + model.class_head.bias)
    torch.testing.assert_close(out.azimuth, both @ model.doa_head.weight.T + model.doa_head.bias)


def test_each_encoder_sees_its_own_channels_alone():
    model = small().eval()
    kept = {}
    for part in ("correlation", "spectrum"):
        getattr(model, part).register_forward_hook(
            lambda *a, part=part: kept.setdefault(part, []).append(a[2])
        )
    changed = inputs()
    changed[:, 6:] += 3
    model(inputs()), model(changed)
    assert torch.equal(*kept["correlation"]) and not torch.equal(*kept["spectrum"])
    model(inputs() + torch.cat((torch.ones(6), torch.zeros(4)))[:, None, None])
    assert torch.equal(kept["spectrum"][0], kept["spectrum"][2])


def test_the_surrogate_is_the_derivative_of_the_arctan_of_equation_23():
    """h(u) = arctan(pi u) / pi + 1/2; one step from rest, so h = x / tau."""
    x = torch.linspace(-3, 6, 50, dtype=torch.float32, requires_grad=True)
    spikes = ArcTanLIF(1)(x)
    assert torch.equal(spikes, (x / 2 >= 1).float())
    spikes.sum().backward()
    u = (x.detach() / 2 - 1).double().requires_grad_()
    (torch.arctan(torch.pi * u) / torch.pi + 0.5).sum().backward()
    torch.testing.assert_close(x.grad.double(), u.grad / 2, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("variance_frames", [None, FRAMES], ids=["shared", "per-frame"])
def test_reparameterised_it_is_the_same_network_without_a_norm(variance_frames):
    model = awake(variance_frames=variance_frames, time_steps=4).double()
    model(inputs().double())
    model.eval()
    folded = spikslc_net.reparameterised(model)
    a, b = model(inputs().double()), folded(inputs().double())
    assert a.embedding.count_nonzero() > 0
    torch.testing.assert_close(a.azimuth, b.azimuth, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(a.logits, b.logits, rtol=1e-10, atol=1e-10)
    assert not any(isinstance(part, DSLN) for part in folded.modules())
    assert any(isinstance(part, DSLN) for part in model.modules()), "the model itself is as it was"


@pytest.mark.parametrize("norm", ["ln", "variant-ln", "bn1d"])
def test_every_norm_of_table_4_learns_and_none_but_dsln_folds(norm):
    model = small(norm=norm)
    model.loss(model(inputs()), targets()).backward()
    with pytest.raises(UsageError, match="DSLN"):
        spikslc_net.reparameterised(model.eval())


def test_a_model_in_training_is_not_reparameterised():
    with pytest.raises(UsageError, match="training"):
        spikslc_net.reparameterised(small())


def test_the_loss_is_lambda_times_one_and_the_rest_times_the_other():
    out = small().eval()(inputs())
    aims = targets()
    by_class = nn.functional.cross_entropy(out.logits, aims.labels)
    bins = torch.arange(360.0)
    turn = (bins - aims.azimuth_deg[:, None]).abs()
    near = torch.exp(-((torch.minimum(turn, 360 - turn) / 5) ** 2))
    by_angle = ((out.azimuth - near) ** 2).mean()
    for weight in (0.0, 0.8, 0.99, 0.999, 1.0):
        found = small(doa_weight=weight).loss(out, aims)
        torch.testing.assert_close(found, weight * by_angle + (1 - weight) * by_class)


@EACH
def test_without_azimuths_only_the_classes_can_be_learned(name):
    aims = targets()._replace(azimuth_deg=None)
    model = small(name)
    with pytest.raises(UsageError, match="azimuth") as caught:
        model.loss(model(inputs()), aims)
    assert "doa_weight=0" in caught.value.hint
    model = small(name, doa_weight=0.0)
    assert model.loss(model(inputs()), aims).isfinite()


def test_channels_that_are_no_array_and_bins_that_are_not_the_models_are_refused():
    for channels in (1, 2, 4, 11):
        with pytest.raises(ValueError, match="gcc_logmel"):
            small(audio_channels=channels)
    assert small(audio_channels=3).microphones == 2
    for name in MODELS:
        with pytest.raises(UsageError, match="51") as caught:
            small(name)(torch.zeros(1, 10, 51, FRAMES))
        assert caught.value.hint == "set model.bins=51"


@EACH
def test_it_overfits_32_samples(name):
    torch.manual_seed(4)
    azimuth = 11.25 * torch.arange(32)
    audio, labels = 2 * torch.randn(32, 10, BINS, FRAMES), torch.arange(32) % 4
    model = small(name, **({"dropout": 0.0} if name == "baseline" else {"blocks": 1}))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(50):
        optimizer.zero_grad()
        model.loss(model(audio), Targets(labels, azimuth)).backward()
        optimizer.step()
    out = model.eval()(audio)
    assert torch.equal(out.logits.argmax(1), labels)
    found = errors(decode(out.azimuth), azimuth)
    assert found.below_2_5 == 32, found


def array(samples=16_000, batch=2):
    return np.random.default_rng(0).standard_normal((batch, 4, samples)).astype(np.float32)


def test_the_feature_is_six_correlations_then_librosas_mel_bands_of_four_microphones():
    waves = array(batch=1)
    found = gcc_logmel.extract(torch.from_numpy(waves), sample_rate=16_000)
    assert found.shape == (1, 10, 51, 32)
    torch.testing.assert_close(
        found[:, :6], gcc_phat.extract(torch.from_numpy(waves), sample_rate=16_000)
    )
    for clip, features in zip(waves, found[:, 6:], strict=True):
        for wave, bands in zip(clip, features, strict=True):
            power = librosa.feature.melspectrogram(
                y=wave,
                sr=16_000,
                n_fft=1024,
                hop_length=512,
                n_mels=51,
                fmin=250,
                fmax=8000,
                pad_mode="constant",
            )
            np.testing.assert_allclose(
                bands.numpy(), librosa.power_to_db(power, ref=1.0, top_db=80), atol=1e-3
            )


@pytest.mark.parametrize("rate_hz", [16_000, 22_050, 44_100])
@pytest.mark.parametrize("hop_s", [0.01, 0.032, 0.038])
def test_both_features_have_the_same_frames_at_any_rate(rate_hz, hop_s):
    """A click lies in the same frames of both; 64 ms at 22,050 Hz are an odd 1,411 samples."""
    hop = round(hop_s * rate_hz)
    waves = torch.zeros(1, 4, 20 * hop)
    waves[..., 10 * hop] = 1
    found = gcc_logmel.extract(
        waves, sample_rate=rate_hz, hop_s=hop_s, max_lag=10, f_max=rate_hz / 2
    )
    assert found.shape == (1, 10, 21, 21)
    heard = found[0, :6].amax((0, 1)) > 0.5
    seen = found[0, 6:].amax((0, 1)) > -90
    assert heard[10] and torch.equal(heard, seen)


def test_one_second_at_38_ms_is_the_27_frames_of_the_baseline():
    found = gcc_logmel.extract(torch.from_numpy(array()), sample_rate=16_000, hop_s=0.038)
    assert found.shape == (2, 10, 51, 27)


def test_a_clip_does_not_depend_on_its_neighbours_in_the_batch():
    waves = torch.from_numpy(array(4000, 3))
    together = gcc_logmel.extract(waves, sample_rate=16_000)
    torch.testing.assert_close(together[1:2], gcc_logmel.extract(waves[1:2], sample_rate=16_000))


def test_a_single_microphone_has_no_pairs():
    with pytest.raises(UsageError, match="compares microphones"):
        gcc_logmel.extract(torch.zeros(1, 1, 4000), sample_rate=16_000)


def test_frame_minmax_brings_each_part_of_a_frame_to_0_to_1_and_leaves_zeros():
    waves = torch.from_numpy(array(batch=2))
    waves[1, :, 8000:] = 0  # frames without a sound
    plain = gcc_logmel.extract(waves, sample_rate=16_000).numpy()
    found = gcc_logmel.extract(waves, sample_rate=16_000, scale="frame-minmax").numpy()
    assert found.shape == plain.shape
    for clip, expected_clip in zip(found, plain, strict=True):
        for frame, expected in zip(
            clip.transpose(2, 0, 1), expected_clip.transpose(2, 0, 1), strict=True
        ):
            for part in (np.s_[:6], np.s_[6:]):  # 306 correlations, 204 bands
                x = expected[part].astype(np.float64)
                span = x.max() - x.min()
                scaled = (x - x.min()) / span if expected[:6].any() else np.zeros_like(x)
                np.testing.assert_allclose(frame[part], np.where(x == 0, 0, scaled), atol=1e-5)
    assert found.min() == 0 and found.max() == 1
    assert plain[1, ..., -3].any() and not found[1, ..., -3].any()
