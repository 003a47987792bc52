"""SMLP's three networks against the paper's sizes and equations, and the promises of a model."""

import pytest
import torch
import torchvision

from pipelines.ann.output import Targets
from pipelines.errors import UsageError
from pipelines.features import logmel
from pipelines.models import l2_act_spike_net, smlp, smlp_audio
from pipelines.snn.count_loss import count_loss, target_count
from pipelines.snn.residual_block import ResidualBlock
from pipelines.snn.snntorch_leaky import Leaky, LeakySettings

BANDS, FRAMES = 16, 24


def parameters(model):
    return sum(p.numel() for p in model.parameters())


def visual(**changes):
    torch.manual_seed(0)
    return l2_act_spike_net.Model(**{"classes": 4, "visual_channels": 3, "width": 6, **changes})


def audio(**changes):
    torch.manual_seed(0)
    sizes = {"width": 4, "bands": BANDS, "frames": FRAMES}
    return smlp_audio.Model(**{"classes": 4, "audio_channels": 1, **sizes, **changes})


def fusion(**changes):
    torch.manual_seed(0)
    branches = {
        "audio_branch": smlp.AudioBranch(width=4, bands=BANDS, frames=FRAMES),
        "visual_branch": smlp.VisualBranch(width=6),
    }
    supplied = {"classes": 4, "audio_channels": 1, "visual_channels": 3, "hidden": 32}
    return smlp.Model(**{**supplied, **branches, **changes})


def awake(make, **row):
    """A network that fires in every layer, also in evaluation, which a fresh one does not."""
    model = make(**row)
    norms = [m for m in model.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    model.head.scale = 0.6 * model.head.linear.in_features**0.5
    with torch.no_grad():
        for norm in norms:
            norm.momentum = 1.0
            norm.bias.fill_(0.5)
        model(*inputs_of(make))
        for norm in norms:
            norm.momentum = 0.1
    return model


def clips(count=6):
    """Return noisy copies of four sounds and images, and which each is."""
    torch.manual_seed(1)
    labels = torch.arange(count) % 4
    sounds, images = torch.randn(4, 1, BANDS, FRAMES), torch.randn(4, 3, 16, 16)
    return (
        sounds[labels] + 0.5 * torch.randn(count, 1, BANDS, FRAMES),
        images[labels] + 0.5 * torch.randn(count, 3, 16, 16),
        labels,
    )


def cases():
    sound, image, _ = clips()
    return [(visual, (image,)), (audio, (sound,)), (fusion, (sound, image))]


CASES = pytest.mark.parametrize(("make", "inputs"), cases(), ids=["visual", "audio", "fusion"])
ROWS = pytest.mark.parametrize(
    ("make", "row"),
    [
        (visual, {"order": "lif-after-bn"}),
        (visual, {"lif_before_add": True}),
        (visual, {"l2": False}),
        (visual, {"head_current": "per-step"}),
        (visual, {"stem": "7x7"}),
        (audio, {"dropout": 0.0}),
        (audio, {"blocks": 2}),
        (audio, {"pooling": False}),
        (audio, {"l2": False}),
        (audio, {"head_current": "per-step"}),
        (fusion, {"l2": False}),
        (fusion, {"projection": 8}),
    ],
    ids=lambda v: next(iter(v)) if isinstance(v, dict) else v.__name__,
)


def inputs_of(make):
    return next(inputs for made, inputs in cases() if made is make)


@pytest.mark.parametrize(("seconds", "size"), [(5, 27_136), (4, 22_016)])
def test_the_audio_features_of_44100_hz_logmel_are_as_many_as_published(seconds, size):
    torch.manual_seed(0)
    waveform = torch.randn(1, seconds * 44_100)
    spectrogram = logmel.extract(
        waveform, sample_rate=44_100, n_fft=2048, hop=512, n_mels=64, f_max=8000.0
    )
    model = smlp_audio.Model(classes=10, audio_channels=1, frames=spectrogram.shape[-1]).eval()
    with torch.no_grad():
        assert model(spectrogram / 20).embedding.shape == (1, size)
    assert model.features.size == size


def test_the_fused_representation_is_as_wide_as_published():
    model = smlp.Model(classes=10, audio_channels=1, visual_channels=3)
    assert (model.visual.size, model.audio.size) == (512, 27_136)
    assert model.norm.num_features == 27_648


@pytest.mark.parametrize("order", ["lif-before-bn", "lif-after-bn"])
def test_the_visual_network_has_resnet18s_parameters(order):
    ours = l2_act_spike_net.Model(
        classes=1000, visual_channels=3, stem="7x7", l2=False, order=order
    )
    assert parameters(ours) == parameters(torchvision.models.resnet18(weights=None)) == 11_689_512


def ran(block, x):
    """Name the layers of a block in the order in which they ran."""
    names = {torch.nn.Conv2d: "Conv", Leaky: "LIF"}
    seen = []
    for module in block.modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.BatchNorm2d, Leaky)):
            module.register_forward_hook(lambda m, *_: seen.append(names.get(type(m), "BN")))
    block(x)
    return "-".join(seen)


@pytest.mark.parametrize(
    ("settings", "layers"),
    [
        ({}, "Conv-LIF-BN-Conv-BN-LIF"),
        ({"order": "lif-after-bn"}, "Conv-BN-LIF-Conv-BN-LIF"),
        ({"lif_before_add": True}, "Conv-LIF-BN-Conv-BN-LIF-LIF-LIF"),
    ],
    ids=["paper", "lif-after-bn", "lif-before-add"],
)
def test_a_block_runs_its_layers_in_the_order_of_fig_3_and_table_iii(settings, layers):
    block = ResidualBlock(4, 4, 1, LeakySettings().factory(2), **settings)
    assert ran(block, torch.randn(2 * 3, 4, 8, 8)) == layers


def test_the_audio_networks_rows_leave_out_what_table_iii_says():
    assert audio().features.size == 16 * (BANDS // 8) * (FRAMES // 8)
    assert audio(blocks=2).features.size == 8 * (BANDS // 4) * (FRAMES // 4)
    assert audio(pooling=False).features.size == 16 * BANDS * FRAMES
    sound, _, _ = clips()
    for rate, same in ((0.5, False), (0.0, True)):
        model = audio(dropout=rate).train()
        assert torch.equal(model(sound).embedding, model(sound).embedding) is same


def test_the_l2_layers_neurons_get_the_cosines_of_the_averaged_features():
    head = l2_act_spike_net.SpikeCountHead(9, 4, Leaky(8, beta=0.95))
    torch.manual_seed(0)
    z = torch.rand(8, 5, 9)
    cosine = torch.nn.functional.cosine_similarity(
        z.mean(0)[:, None], head.linear.weight[None], dim=-1
    )
    got = []
    head.lif.register_forward_pre_hook(lambda _, inputs: got.append(inputs[0]))
    out = head(z)
    torch.testing.assert_close(got[0], cosine)
    torch.testing.assert_close(out.embedding.norm(dim=1), torch.ones(5))
    assert torch.equal(out.logits, out.step_logits.sum(0))
    with torch.no_grad():
        head.linear.weight.mul_(7)
    torch.testing.assert_close(head(3 * z).embedding, out.embedding)
    torch.testing.assert_close(got[1], got[0])


def test_a_head_without_l2_is_a_linear_layer():
    head = l2_act_spike_net.SpikeCountHead(9, 4, Leaky(8), l2=False, scale=2.0)
    z = torch.rand(8, 5, 9)
    got = []
    head.lif.register_forward_pre_hook(lambda _, inputs: got.append(inputs[0]))
    assert torch.equal(head(z).embedding, z.mean(0))
    torch.testing.assert_close(got[0], 2 * head.linear(z.mean(0)))


def test_bfloat16_leaves_the_cosines_alone():
    head = l2_act_spike_net.SpikeCountHead(9, 4, Leaky(8), scale=3.0)
    z = torch.rand(8, 50, 9).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = head(z)
    assert torch.equal(low.embedding, head(z.float()).embedding)
    assert torch.equal(low.logits, head(z.float()).logits)


def test_a_silent_clip_has_no_direction_and_a_finite_gradient():
    z = torch.zeros(4, 2, 9)
    z[0, 1, 3] = 1 / 8
    z.requires_grad_()
    head = l2_act_spike_net.SpikeCountHead(9, 4, Leaky(4))
    out = head(z)
    assert out.embedding[0].count_nonzero() == 0
    assert out.embedding[1, 3] == 1
    out.logits.sum().backward()
    assert z.grad.abs().max() < 100


@pytest.mark.parametrize(
    ("steps", "rate", "whole", "exact"),
    [(8, 0.90, 7, 7.2), (8, 0.10, 0, 0.8), (4, 0.85, 3, 3.4), (4, 0.15, 0, 0.6)],
)
def test_target_counts_are_snntorchs_and_eq_15s(steps, rate, whole, exact):
    assert target_count(steps, rate, "truncated") == whole
    assert target_count(steps, rate, "exact") == pytest.approx(exact)


def test_the_count_loss_is_eq_16():
    counts = torch.tensor([[7.0, 0.0, 1.0], [2.0, 8.0, 0.0]])
    labels = torch.tensor([0, 2])
    settings = {"time_steps": 8, "correct_rate": 0.9, "incorrect_rate": 0.1}
    whole = count_loss(counts, labels, **settings)
    assert whole.item() == pytest.approx((0 + 0 + 1 + 4 + 64 + 49) / 6)
    exact = count_loss(counts, labels, **settings, target="exact")
    squares = [0.2, 0.8, 0.2, 1.2, 7.2, 7.2]
    assert exact.item() == pytest.approx(sum(x * x for x in squares) / 6)
    # half of each label is spread over three classes: 7 (1/2 + 1/6) and 7/6
    smooth = count_loss(counts, labels, **settings, label_smoothing=0.5)
    squares = [7 / 3, 7 / 6, 1 / 6, 5 / 6, 41 / 6, 14 / 3]
    assert smooth.item() == pytest.approx(sum(x * x for x in squares) / 6)


@ROWS
def test_every_row_has_a_gradient_for_every_parameter_and_other_results(make, row):
    *_, labels = clips()
    model, plain = awake(make, **row), awake(make)
    out, other = model(*inputs_of(make)), plain(*inputs_of(make))
    model.loss(out, Targets(labels)).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
    assert out.step_logits.unique().tolist() == [0, 1]
    assert not torch.equal(out.step_logits, other.step_logits)


@CASES
def test_same_input_gives_the_same_output_twice_without_a_reset(make, inputs):
    model = awake(make).eval()
    first, second = model(*inputs), model(*inputs)
    assert len(first.logits.unique(dim=0)) > 1
    assert torch.equal(first.step_logits, second.step_logits)


@CASES
def test_a_sample_does_not_depend_on_its_neighbours_in_evaluation(make, inputs):
    model = awake(make).eval()
    alone = model(*(x[2:3] for x in inputs))
    others = model(*inputs)
    assert len(others.logits.unique(dim=0)) > 1
    torch.testing.assert_close(others.embedding[2:3], alone.embedding, rtol=1e-4, atol=1e-5)
    assert torch.equal(others.logits[2:3], alone.logits)


@pytest.mark.parametrize("train", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize(("make", "steps"), [(visual, 8), (audio, 4)], ids=["visual", "audio"])
def test_static_input_equals_the_same_frames_given_at_every_step(make, steps, train):
    (x,) = inputs_of(make)
    settings = {"dropout": 0.0} if make is audio else {"order": "lif-after-bn"}
    once, copies = awake(make, **settings).train(train), awake(make, **settings).train(train)
    a, b = once(x), copies(x.expand(steps, *x.shape))
    assert len(a.logits.unique(dim=0)) > 1
    torch.testing.assert_close(a.embedding, b.embedding, rtol=1e-4, atol=1e-5)
    for (name, p), q in zip(once.named_buffers(), copies.buffers(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-6, msg=name)


def test_an_input_of_another_size_or_length_is_refused():
    with pytest.raises(UsageError, match="16 bands x 23 frames"):
        audio()(torch.zeros(2, 1, BANDS, FRAMES - 1))
    with pytest.raises(UsageError, match="5 time steps, the network 8"):
        visual()(torch.zeros(5, 2, 3, 16, 16))
    with pytest.raises(ValueError, match="leave nothing"):
        audio(blocks=6)


def learn(model, inputs, labels, *, lr, most):
    """Train until every clip is right in evaluation; return that accuracy."""
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr)
    torch.manual_seed(0)
    for step in range(most):
        optimizer.param_groups[0]["lr"] = lr * (1 - step / most)
        model.train()
        loss = model.loss(model(*inputs), Targets(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 5 == 4:
            with torch.no_grad():
                right = model.eval()(*inputs).logits.argmax(1) == labels
            if right.all():
                break
    return right.float().mean().item()


@pytest.fixture(scope="module")
def trained():
    """Train each modality alone."""
    sound, image, labels = clips(32)
    found = {}
    for name, model, x, lr in (("audio", audio(), sound, 5e-3), ("visual", visual(), image, 3e-3)):
        found[name] = (learn(model, (x,), labels, lr=lr, most=80), model)
    return found


@pytest.mark.parametrize("modality", ["audio", "visual"])
def test_a_network_learns_32_samples(trained, modality):
    assert trained[modality][0] == 1


def test_the_fusion_learns_32_samples_on_frozen_networks_which_it_hears_and_sees_with(trained):
    """As published: the branches are trained alone, then kept (`train.start_from`, `freeze`)."""
    sound, image, labels = clips(32)
    heard, seen = trained["audio"][1].eval(), trained["visual"][1].eval()
    model = fusion()
    for branch, alone in ((model.audio, heard), (model.visual, seen)):
        branch.features.load_state_dict(alone.features.state_dict())
        branch.features.requires_grad_(False).eval()
        branch.features.train = lambda _: None
    assert learn(model, (sound, image), labels, lr=5e-3, most=50) == 1
    with torch.no_grad():
        torch.testing.assert_close(model.audio(sound), heard(sound).embedding)
        torch.testing.assert_close(model.visual(image), seen(image).embedding)
