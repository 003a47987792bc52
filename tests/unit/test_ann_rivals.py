"""The ANN rivals on CREMA-D: torchvision's ResNet-18, and each method's rule by its formula."""

import copy
import math

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional

from pipelines.ann.output import Output, Targets
from pipelines.ann.resnet import ResNet18
from pipelines.models import agm, mslr, ogm_ge, pmr, resnet18_joint
from pipelines.recipe import recipe as recipes
from pipelines.recipe.schema import Optimizer, Train
from pipelines.runs import train_stage
from pipelines.training.optimise import make_optimizer
from tests.e2e.test_resume import Quiet, outcome

SMALL = {"classes": 3, "audio_channels": 1, "visual_channels": 3, "width": 4}
LABELS = torch.tensor([0, 1, 2, 0, 1])
RIVALS = {"ogm_ge": ogm_ge, "mslr": mslr, "pmr": pmr, "agm": agm}
OFF = {
    "ogm_ge": {"alpha": 0.0, "noise": False},
    "mslr": {"audio_rate": 1.0, "visual_rate": 1.0},
    "pmr": {"alpha": 0.0, "entropy_weight": 0.0},
    "agm": {"alpha": 0.0},
}

# no rate for either modality: only the bias of the head, which is both's, may learn
STILL = """
version: 1
seed: 5
data: {dataset: digits-av}
audio: {feature: stft, sample_rate: 8000, seconds: 0.5, n_fft: 256, hop: 125, size: [16, 16]}
visual: {feature: image, size: [16, 16], channels: 1}
model: {name: mslr, width: 4, audio_rate: 0.0, visual_rate: 0.0}
train: {epochs: 1, batch_size: 512, optimizer: {name: sgd, lr: 0.1}}
runtime: {device: cpu}
"""


def parameters(model):
    return sum(p.numel() for p in model.parameters())


def small(module, **settings):
    torch.manual_seed(0)
    return module.Model(**SMALL, **settings)


def inputs(seed=1):
    torch.manual_seed(seed)
    return torch.randn(5, 1, 32, 32), torch.randn(5, 3, 32, 32)


def step(model, optimizer=None, seed=1):
    """Do one step as the training loop does; returns the loss and the output."""
    kind = next(model.parameters()).dtype
    output = model(*(x.to(kind) for x in inputs(seed)))
    loss = model.loss(output, Targets(LABELS))
    model.zero_grad()
    loss.backward()
    if hasattr(model, "after_backward"):
        model.after_backward(output, Targets(LABELS))
    if optimizer is not None:
        optimizer.step()
    return loss.detach(), output


def gradients(model):
    return {name: p.grad for name, p in model.named_parameters()}


# ---- the network


def test_resnet18_has_the_published_parameters():
    reference = torchvision.models.resnet18(weights=None)
    assert parameters(reference) == 11_689_512
    assert parameters(ResNet18(3)) == 11_176_512 == 11_689_512 - parameters(reference.fc)
    # a first convolution for one channel; a head of 2 x 512 features for six emotions
    pair = resnet18_joint.Model(classes=6, audio_channels=1, visual_channels=3)
    assert parameters(pair) == 2 * 11_176_512 - 2 * 64 * 49 + 1024 * 6 + 6


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_resnet18_is_torchvisions_with_torchvisions_weights(training):
    torch.manual_seed(0)
    reference = torchvision.models.resnet18(weights=None)
    reference.fc = nn.Identity()
    ours = ResNet18(3)
    ours.load_state_dict(reference.state_dict())
    x = torch.randn(2, 3, 64, 64)
    a, b = (network.train(training)(x) for network in (ours, reference))
    torch.testing.assert_close(a, b)
    a.square().sum().backward()
    b.square().sum().backward()
    torch.testing.assert_close(ours.conv1.weight.grad, reference.conv1.weight.grad)


def test_first_weights_spread_as_torchvisions_do():
    torch.manual_seed(0)
    reference, ours = torchvision.models.resnet18(weights=None), ResNet18(3)
    theirs = dict(reference.named_parameters())
    for name, weight in ours.named_parameters():
        if weight.dim() == 4:
            assert float(weight.detach().std()) == pytest.approx(
                float(theirs[name].detach().std()), rel=0.06
            ), name


def test_features_of_a_changing_input_are_the_mean_over_time():
    model = small(resnet18_joint).eval()
    audio, visual = inputs()
    frames = torch.stack((visual, 2 * visual, -visual))
    with torch.no_grad():
        each = torch.stack([model.net.visual(frame) for frame in frames])
        changing = model(audio, frames)
        static = model(audio.expand(3, *audio.shape), visual)
        torch.testing.assert_close(changing.embedding[:, 32:], each.mean(0))
        torch.testing.assert_close(static.logits, model(audio, visual).logits)


def test_the_modalities_logits_add_up():
    model = small(resnet18_joint)
    nn.init.normal_(model.net.head.bias)
    output = model(*inputs())
    torch.testing.assert_close(sum(model.net.modality_logits(output)), output.logits)


# ---- all of them


@pytest.mark.parametrize("name", RIVALS)
def test_switched_off_it_is_joint_training_bit_for_bit(name):
    joint, rival = small(resnet18_joint), small(RIVALS[name], **OFF[name])
    assert rival.load_state_dict(joint.state_dict(), strict=False).unexpected_keys == []
    optimizers = [torch.optim.SGD(m.parameters(), 0.01, momentum=0.9) for m in (joint, rival)]
    for seed in range(3):
        (a, _), (b, _) = (step(m, o, seed) for m, o in zip((joint, rival), optimizers, strict=True))
        assert torch.equal(a, b)
    state = rival.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in joint.state_dict().items())


@pytest.mark.parametrize("name", RIVALS)
def test_switched_on_it_is_not_joint_training(name):
    joint, rival = small(resnet18_joint), small(RIVALS[name])
    for model in (joint, rival):
        optimizer = torch.optim.SGD(model.parameters(), 0.01)
        for seed in range(2):
            step(model, optimizer, seed)
    state = rival.state_dict()
    assert not all(torch.equal(value, state[key]) for key, value in joint.state_dict().items())


@pytest.mark.parametrize("name", RIVALS)
def test_a_copy_from_its_weights_and_torchs_generator_goes_on_in_the_same_bits(name):
    model = small(RIVALS[name])
    for seed in range(2):
        step(model, torch.optim.SGD(model.parameters(), 0.01), seed)
    state, other = copy.deepcopy(model.state_dict()), RIVALS[name].Model(**SMALL)
    other.load_state_dict(state)
    ends = []
    for network in (model, other):
        step(network, torch.optim.SGD(network.parameters(), 0.01), 7)  # sets the generator
        ends.append(network.state_dict())
    assert all(torch.equal(value, ends[1][key]) for key, value in ends[0].items())


@pytest.mark.parametrize(
    ("name", "percent"),
    [("ogm_ge", 62.20), ("mslr", 64.42), ("pmr", 65.30), ("agm", 70.16), ("resnet18_joint", None)],
)
def test_its_recipe_compares_with_the_figure_of_s_cmrls_table(name, percent):
    recipe = recipes.load_recipe(recipes.find(f"crema_d/{name}_paper"))
    published = recipe.published
    assert (published.accuracy_percent if published else None) == percent
    same = recipes.load_recipe(recipes.find("crema_d/s_cmrl_paper"))
    assert (recipe.data, recipe.audio, recipe.visual) == (same.data, same.audio, same.visual)
    assert recipe.train.optimizer.name == "sgd"


# ---- OGM-GE


def test_scores_and_coefficients_are_those_worked_out_by_hand():
    # softmax of (log 3, 0) is (3/4, 1/4), of (0, 0) is (1/2, 1/2)
    logits = torch.tensor([[math.log(3.0), 0.0], [0.0, 0.0]])
    assert float(ogm_ge.scores(logits, torch.tensor([0, 1]))) == pytest.approx(1.25)
    assert float(ogm_ge.scores(logits, torch.tensor([1, 1]))) == pytest.approx(0.75)
    better, worse = torch.tensor(1.25), torch.tensor(0.75)
    assert float(ogm_ge.coefficient(better, worse, 0.8)) == pytest.approx(
        1 - math.tanh(0.8 * 5 / 3)
    )
    assert float(ogm_ge.coefficient(worse, better, 0.8)) == 1.0
    assert float(ogm_ge.coefficient(better, better, 0.8)) == 1.0


def dominated(module=ogm_ge, **settings):
    """A model that tells the classes by the sound alone: the images have no weight in the head."""
    model = small(module, **settings)
    with torch.no_grad():
        z_a, _ = model.net.features(*inputs())
        model.net.head.weight.zero_()
        model.net.head.weight[:, :32] = functional.one_hot(LABELS).float().T @ (z_a - z_a.mean(0))
        model.net.head.weight[:, 32:] = 1e-3 * torch.randn(3, 32)
    return model


def test_the_dominant_encoders_convolutions_are_scaled_by_k_and_nothing_else_is():
    model = dominated(alpha=0.3, noise=False)
    output = model(*inputs())
    model.loss(output, Targets(LABELS)).backward()
    before = {name: g.clone() for name, g in gradients(model).items()}
    s_a, s_v = (
        sum(
            float(row.detach().softmax(0)[label]) for row, label in zip(logits, LABELS, strict=True)
        )
        for logits in model.net.modality_logits(output)
    )
    assert s_a > 1.2 * s_v
    k = 1 - math.tanh(0.3 * s_a / s_v)
    model.after_backward(output, Targets(LABELS))
    for name, gradient in gradients(model).items():
        scaled = name.startswith("net.audio.") and gradient.dim() == 4
        expected = before[name] * k if scaled else before[name]
        torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=0, msg=name)


def test_the_noise_is_as_strong_as_the_gradient_and_only_in_convolutions():
    model = small(ogm_ge, alpha=0.0)
    output = model(*inputs())
    model.loss(output, Targets(LABELS)).backward()
    before = {name: g.clone() for name, g in gradients(model).items()}
    model.after_backward(output, Targets(LABELS))
    for name, gradient in gradients(model).items():
        added = gradient - before[name]
        if gradient.dim() != 4:
            assert torch.equal(gradient, before[name]), name
        elif gradient.numel() > 5000:
            assert float(added.std() / before[name].std()) == pytest.approx(1, rel=0.06), name
            assert abs(float(added.mean() / before[name].std())) < 0.06, name


def test_modulation_ends_after_its_steps():
    model = dominated(modulated_steps=1)
    for expected in (False, True):
        output = model(*inputs())
        model.zero_grad()
        model.loss(output, Targets(LABELS)).backward()
        before = model.net.audio.conv1.weight.grad.clone()
        model.after_backward(output, Targets(LABELS))
        assert torch.equal(model.net.audio.conv1.weight.grad, before) is expected
    assert int(model.steps) == 2


# ---- MSLR


def test_steps_are_those_of_sgd_with_a_learning_rate_for_each_modality():
    model = small(mslr, audio_rate=0.5, visual_rate=3.0).double()
    twin = small(resnet18_joint).double()
    twin.load_state_dict(model.state_dict())
    train = Train(epochs=1, batch_size=5, optimizer=Optimizer(name="sgd", lr=0.02))
    ours = make_optimizer(model, train)
    w_a, w_v = (half.detach().clone() for half in twin.net.head.weight.chunk(2, 1))
    theirs = torch.optim.SGD(
        [
            {"params": [*twin.net.audio.parameters(), w_a], "lr": 0.02 * 0.5},
            {"params": [*twin.net.visual.parameters(), w_v], "lr": 0.02 * 3.0},
            {"params": [twin.net.head.bias], "lr": 0.02},
        ],
        momentum=0.9,
    )
    for seed in range(3):
        step(model, ours, seed)
        step(twin, None, seed)
        w_a.grad, w_v.grad = twin.net.head.weight.grad.chunk(2, 1)
        theirs.step()
        with torch.no_grad():
            twin.net.head.weight.copy_(torch.cat((w_a, w_v), 1))
        for (name, p), q in zip(model.named_parameters(), twin.parameters(), strict=True):
            torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-7, msg=name)


def test_the_training_loop_lets_a_network_change_its_gradients(tmp_path, monkeypatch):
    monkeypatch.setenv("AVSNN_HOME", str(tmp_path))
    path = tmp_path / "still.yaml"
    path.write_text(STILL)
    train_stage.train(recipes.load_recipe(path), Quiet())
    (run,) = (tmp_path / "runs").glob("still-*")
    weights, _ = outcome(run)
    torch.manual_seed(5)
    first = mslr.Model(classes=10, audio_channels=1, visual_channels=1, width=4).state_dict()
    learned = {name for name in first if not torch.equal(first[name], weights[name])}
    statistics = {name for name in first if ".bn" in name or ".downsample.1." in name}
    assert learned - statistics == {"net.head.bias"}


# ---- PMR


def test_similarity_is_minus_the_euclidean_distance():
    prototypes = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    z = torch.tensor([[0.0, 0.0], [3.0, 0.0]], requires_grad=True)
    found = pmr.similarities(z, prototypes, torch.tensor([True, True]))
    torch.testing.assert_close(found, torch.tensor([[0.0, -5.0], [-3.0, -4.0]]))
    found.sum().backward()
    assert torch.isfinite(z.grad).all()  # also at distance zero
    unseen = pmr.similarities(z, prototypes, torch.tensor([True, False]))
    assert torch.equal(unseen.softmax(1), torch.tensor([[1.0, 0.0], [1.0, 0.0]]))


def test_the_slower_modality_is_helped_by_the_clipped_ratio():
    labels = torch.tensor([0])
    half, quarter = torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, math.log(3.0)]])
    two_fifths = torch.tensor([[0.0, math.log(1.5)]])
    for audio, visual, beta, gamma in (
        (half, half, 0.0, 0.0),
        (half, two_fifths, 0.0, 0.25),
        (two_fifths, half, 0.25, 0.0),
        (half, quarter, 0.0, 1.0),
        (quarter, torch.tensor([[5.0, 0.0]]), 1.0, 0.0),
    ):
        found = [float(x) for x in pmr.strengths(audio, visual, labels)]
        assert found == pytest.approx([beta, gamma], abs=1e-6)


def test_entropy_of_equal_chances_is_log_n_and_of_certainty_zero():
    assert float(pmr.entropy(torch.zeros(4, 6))) == pytest.approx(math.log(6))
    assert float(pmr.entropy(torch.tensor([[0.0, pmr.UNSEEN]]))) == 0


def test_loss_with_two_prototypes_is_the_one_worked_out_by_hand():
    model = pmr.Model(
        classes=2,
        audio_channels=1,
        visual_channels=1,
        width=1,
        alpha=0.7,
        momentum=0.5,
        entropy_weight=0.3,
        entropy_steps=1,
    )
    with torch.no_grad():
        model.prototypes[0, 0, 0], model.prototypes[0, 1, 0] = 6.0, -2.0
        model.prototypes[1, 0, 0], model.prototypes[1, 1, 0] = 2.0, 0.0
        model.seen.fill_(True)
        model.net.head.weight.zero_()
    z_a, z_v = torch.zeros(2, 8), torch.zeros(2, 8)
    z_a[0, 0], z_a[1, 0] = 2.0, -2.0  # class 0 moves half way, 6 to 4; class 1 stays at -2
    z_v[0, 0], z_v[1, 0] = 2.0, 0.0  # both stay
    output = Output(torch.zeros(2, 2), embedding=torch.cat((z_a, z_v), 1))

    def chance(right, wrong):  # of the true class, by its distances
        return math.exp(-right) / (math.exp(-right) + math.exp(-wrong))

    def uncertainty(p):
        return -p * math.log(p) - (1 - p) * math.log(1 - p)

    audio, visual = [chance(2, 4), chance(0, 6)], [chance(0, 2), chance(0, 2)]
    beta, gamma = max(0, sum(visual) / sum(audio) - 1), max(0, sum(audio) / sum(visual) - 1)
    assert 0 < gamma < 1 or 0 < beta < 1
    pce = [-sum(map(math.log, p)) / 2 for p in (audio, visual)]
    h = [sum(map(uncertainty, p)) / 2 for p in (audio, visual)]
    helped = math.log(2) + 0.7 * (beta * pce[0] + gamma * pce[1])
    early = helped - 0.3 * (gamma * h[0] + beta * h[1])
    targets = Targets(torch.tensor([0, 1]))
    assert float(model.loss(output, targets)) == pytest.approx(early, rel=1e-5)
    assert model.prototypes[0, :, 0].tolist() == [4.0, -2.0]
    # past the entropy's steps; the prototype goes half of what is left, to 3
    audio = [chance(1, 4), chance(0, 5)]
    beta, gamma = max(0, sum(visual) / sum(audio) - 1), max(0, sum(audio) / sum(visual) - 1)
    pce = [-sum(map(math.log, p)) / 2 for p in (audio, visual)]
    helped = math.log(2) + 0.7 * (beta * pce[0] + gamma * pce[1])
    assert float(model.loss(output, targets)) == pytest.approx(helped, rel=1e-5)


def test_a_first_prototype_is_its_classs_mean_and_an_absent_class_has_none():
    model = small(pmr)
    targets = Targets(torch.tensor([0, 0, 2, 2, 2]))
    output = model(*inputs())
    model.loss(output, targets).backward()
    assert model.seen.tolist() == [True, False, True]
    z = output.embedding.detach()
    torch.testing.assert_close(model.prototypes[0, 0], z[:2, :32].mean(0))
    torch.testing.assert_close(model.prototypes[1, 2], z[2:, 32:].mean(0))
    assert model.prototypes[:, 1].count_nonzero() == 0
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


# ---- AGM


def test_shares_are_shapley_values_by_the_sum_over_orders():
    torch.manual_seed(0)
    both, audio, visual = torch.randn(3, 4, 6)
    nothing = torch.zeros(4, 6)
    # the mean over the two orders of arrival of what a modality adds
    by_hand = ((audio - nothing) + (both - visual)) / 2, ((visual - nothing) + (both - audio)) / 2
    found = agm.shapley(both, audio, visual)
    for share, expected in zip(found, by_hand, strict=True):
        torch.testing.assert_close(share, expected)
    torch.testing.assert_close(found[0] + found[1], both - nothing)


def test_agms_coefficients_are_those_worked_out_by_hand():
    # audio has p = 1/2 on average, the images 1/4: r is 2 and 1/2; so far both were equal, tau 1
    now = torch.tensor([math.log(2), math.log(4)])
    found = agm.coefficients(now, torch.zeros(2), 0.5)
    assert found.tolist() == pytest.approx([math.exp(-0.5), math.exp(0.25)])
    assert agm.coefficients(now, now, 0.5).tolist() == pytest.approx([1, 1])
    # bounded as the authors' code bounds it
    assert float(agm.coefficients(now, torch.tensor([0.0, 5.0]), 1.0)[0]) == pytest.approx(
        math.exp(10)
    )
    assert float(agm.score(torch.tensor([[-90.0, 0.0]]), torch.tensor([0]))) == pytest.approx(
        -math.log(1e-8)
    )


def test_running_scores_are_the_mean_over_all_steps():
    model, seen = small(agm), []
    for seed in range(4):
        _, output = step(model, torch.optim.SGD(model.parameters(), 0.01), seed)
        seen.append(
            [float(functional.cross_entropy(x.detach(), LABELS)) for x in output.side_logits]
        )
    torch.testing.assert_close(model.running, torch.tensor(seen).mean(0))


def test_agms_shares_come_from_inputs_of_zeros_without_batch_statistics():
    model = small(agm)
    audio, visual = inputs()
    output = model(audio, visual)
    frozen = copy.deepcopy(model).eval()
    only_a = frozen(audio, torch.zeros_like(visual)).logits
    only_v = frozen(torch.zeros_like(audio), visual).logits
    expected = agm.shapley(output.logits, only_a, only_v)
    for share, by_hand in zip(output.side_logits, expected, strict=True):
        torch.testing.assert_close(share, by_hand)


def test_agms_inputs_of_zeros_leave_the_norms_statistics_alone():
    joint, rival = small(resnet18_joint), small(agm)
    for seed in range(3):
        joint(*inputs(seed))
        rival(*inputs(seed))
    assert rival.training and all(module.training for module in rival.modules())
    state = rival.state_dict()
    for name, buffer in joint.named_buffers():
        assert torch.equal(buffer, state[name]), name
    rival.net.audio.eval()  # as a part is that the recipe freezes
    rival(*inputs())
    assert not any(module.training for module in rival.net.audio.modules())
    assert rival.net.visual.training


def test_agms_gradient_goes_through_each_share_times_its_coefficient():
    model = small(agm, alpha=0.5).double()
    with torch.no_grad():
        model.running.copy_(torch.tensor([1.5, 0.9]))
        model.steps.fill_(10)
    twin = copy.deepcopy(model)
    loss, output = step(model)
    assert float(loss) == pytest.approx(
        float(functional.cross_entropy(output.logits.detach(), LABELS))
    )
    again = twin(*(x.double() for x in inputs()))
    shares = again.side_logits
    s_a, s_v = (float(functional.cross_entropy(x.detach(), LABELS)) for x in shares)
    c_a = math.exp(0.5 * (math.exp(0.9 - 1.5) - math.exp(s_v - s_a)))
    c_v = math.exp(0.5 * (math.exp(1.5 - 0.9) - math.exp(s_a - s_v)))
    assert abs(c_a - c_v) > 0.05
    error = (again.logits.softmax(1) - functional.one_hot(LABELS, 3)).detach() / len(LABELS)
    (c_a * (error * shares[0]).sum() + c_v * (error * shares[1]).sum()).backward()
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, gradients(twin)[name], rtol=1e-5, atol=1e-7, msg=name)
