"""S-CMRL against the sizes counted on the authors' model, and the promises of its forward pass."""

import pytest
import torch

from pipelines.ann.output import Targets
from pipelines.models import s_cmrl, spikformer
from pipelines.snn.lif import LIF
from pipelines.snn.lif_settings import LIFSettings


def parameters(model):
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def authors(**changes):
    settings = {**s_cmrl.PRESETS["authors"], **changes}
    settings["neuron"] = LIFSettings(**settings["neuron"])
    return s_cmrl.Model(**{"classes": 6, "audio_channels": 1, "visual_channels": 3, **settings})


# the dead norms of the authors' model: 106 D + 32 trainable parameters without a gradient
@pytest.mark.parametrize(
    ("settings", "live"),
    [
        ({}, 4_204_038),
        ({"sao": "none"}, 4_072_454),
        ({"sao": "none", "ccssa": "spatial"}, 3_544_070),
        ({"sao": "none", "ccssa": "temporal"}, 3_544_070),
        ({"sao": "none", "ccssa": "none"}, 3_015_686),
        ({"sao": "none", "ccssa": "none", "fusion": "concat"}, 3_017_222),
        ({"width": 64, "classes": 10}, 267_146),
    ],
)
def test_live_parameter_counts_are_the_published_ones(settings, live):
    assert parameters(authors(**settings)) == live


@pytest.mark.parametrize(
    ("width", "trainable"), [(32, 69_018), (64, 262_922), (128, 1_025_514), (256, 4_049_834)]
)
def test_shallow_event_models_have_the_published_counts_less_the_dead_norms(width, trainable):
    model = authors(width=width, classes=10, stages=2, visual_channels=2, heads=8)
    assert parameters(model) == trainable - (106 * width + 32)


@pytest.mark.parametrize(
    ("channels", "trainable"),
    [({"audio_channels": 1}, 1_773_542), ({"visual_channels": 3}, 1_774_118)],
)
def test_unimodal_counts_are_the_published_ones_less_two_unused_norms(channels, trainable):
    assert parameters(spikformer.Model(classes=6, **channels)) == trainable - 2 * 2 * 256


def test_breakdown_at_256_is_the_published_one():
    model = authors()
    assert parameters(model.audio.patches) == 978_656
    assert parameters(model.visual.patches) == 979_232
    assert parameters(model.audio.residual) == 528_384
    assert parameters(model.audio.sao_head) == 65_792
    assert parameters(model.audio.mlp) + parameters(model.visual.mlp) == 1_056_256
    assert parameters(model.head) == 1_542


def awake(**changes):
    """A small model whose attention fires, so that the fusion branch is not silent."""
    torch.manual_seed(0)
    settings = {"classes": 5, "audio_channels": 1, "visual_channels": 3, "width": 32, "heads": 4}
    model = s_cmrl.Model(**{**settings, "stages": 2, **changes})
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm1d):
                module.bias.fill_(1.5)
    return model


def inputs(batch=6, size=16):
    torch.manual_seed(1)
    return torch.randn(batch, 1, size, size), torch.randn(batch, 3, size, size)


def test_every_parameter_of_both_presets_is_live():
    for preset in ("paper", "authors"):
        settings = dict(s_cmrl.PRESETS[preset])
        settings["neuron"] = LIFSettings(**settings.get("neuron", {}))
        model = awake(**settings)
        labels = torch.arange(6) % 5
        out = model(*inputs())
        model.loss(out, Targets(labels)).backward()
        assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_static_input_equals_the_same_frames_given_at_every_step():
    for train in (True, False):
        shared, repeated = awake(), awake()
        shared.train(train)
        repeated.train(train)
        audio, visual = inputs()
        a = shared(audio, visual)
        b = repeated(audio.expand(4, *audio.shape), visual.expand(4, *visual.shape))
        torch.testing.assert_close(a.logits, b.logits, rtol=1e-4, atol=1e-5)
        a.logits.square().sum().backward()
        b.logits.square().sum().backward()
        for (name, p), q in zip(shared.named_parameters(), repeated.parameters(), strict=True):
            torch.testing.assert_close(p.grad, q.grad, rtol=1e-3, atol=1e-4, msg=name)
        for (name, p), q in zip(shared.named_buffers(), repeated.buffers(), strict=True):
            torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-6, msg=name)


def test_static_input_pays_for_its_first_convolution_once():
    model = awake().eval()
    sizes = []
    model.audio.patches.stages[0].conv.register_forward_hook(
        lambda *a: sizes.append(a[1][0].shape[0])
    )
    model(*inputs(batch=2))
    assert sizes == [2]


def test_same_input_gives_the_same_output_twice_without_a_reset():
    model = awake().eval()
    assert torch.equal(model(*inputs()).logits, model(*inputs()).logits)


def test_a_sample_does_not_depend_on_its_neighbours_in_evaluation():
    model = awake().eval()
    audio, visual = inputs()
    alone = model(audio[2:3], visual[2:3]).logits
    torch.testing.assert_close(model(audio, visual).logits[2:3], alone, rtol=1e-4, atol=1e-5)


def test_the_fusion_branch_changes_the_output_and_alpha_scales_it():
    model = awake().eval()
    audio, visual = inputs()
    fused = model(audio, visual)
    assert fused.audio_residual.count_nonzero() > 0
    model.alpha = 0.0
    assert not torch.equal(model(audio, visual).logits, fused.logits)


def test_spatial_residual_is_flat_over_positions_and_temporal_over_time():
    audio, visual = inputs()
    spatial = awake(ccssa="spatial").eval()(audio, visual).audio_residual
    assert torch.equal(spatial, spatial[:, :, :1].expand_as(spatial))
    temporal = awake(ccssa="temporal").eval()(audio, visual).audio_residual
    assert torch.equal(temporal, temporal[:1].expand_as(temporal))


def test_unreduced_single_residual_is_raw_spikes():
    residual = awake(ccssa="spatial", reduce_single=False).eval()(*inputs()).audio_residual
    assert set(residual.unique().tolist()) == {0.0, 1.0}


def test_scrambled_heads_equal_per_head_only_with_one_head():
    torch.manual_seed(2)
    x, y = (torch.rand(4, 2, 16, 32) > 0.5).float(), (torch.rand(4, 2, 16, 32) > 0.5).float()
    for heads, equal in ((1, True), (4, False)):
        layouts = [awake(heads=heads, tcsa_layout=layout) for layout in ("per-head", "scrambled")]
        a, b = (model.eval().audio.residual.temporal for model in layouts)
        b.load_state_dict(a.state_dict())
        outputs = []
        for attention in (a, b):
            attention.project = torch.nn.Identity()
            outputs.append(attention(x, y))
        assert torch.equal(*outputs) is equal


def test_attention_equals_the_equation_written_out():
    attention = awake(ccssa="spatial", reduce_single=False).eval().audio.residual.spatial
    torch.manual_seed(2)
    x, y = (torch.rand(4, 2, 16, 32) > 0.5).float(), (torch.rand(4, 2, 16, 32) > 0.5).float()
    q, k, v = attention.query(x), attention.key(y), attention.value(y)
    out = torch.zeros_like(q)
    for head in range(4):
        part = slice(8 * head, 8 * head + 8)
        for t in range(4):
            for b in range(2):
                scores = q[t, b, :, part] @ k[t, b, :, part].T
                out[t, b, :, part] = scores @ v[t, b, :, part] * 0.25
    fired = LIF(4)(out.flatten(0, 2)).view_as(out)
    assert torch.equal(attention.project(fired), attention(x, y))


def test_dense_macs_per_sample_are_the_published_ones():
    from torch.utils.flop_counter import FlopCounterMode

    for width, giga in ((256, 2.76), (64, 0.187)):
        model = authors(width=width).eval()
        a, v = torch.zeros(4, 1, 1, 128, 128), torch.zeros(4, 1, 3, 128, 128)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(a, v)
        assert counter.get_total_flops() / 2e9 == pytest.approx(giga, rel=0.01)


def test_a_width_that_heads_do_not_divide_is_refused():
    with pytest.raises(ValueError, match="multiple of heads"):
        s_cmrl.Model(classes=2, audio_channels=1, visual_channels=1, width=40, heads=16)
