"""S-CMRL's rivals against the sizes counted on their authors' models, and their definitions."""

import itertools

import pytest
import torch
from torch.nn import functional

from pipelines.ann.output import Targets
from pipelines.errors import UsageError
from pipelines.models import cmci, sca, weight_attention

SIZES = {"classes": 6, "audio_channels": 1, "visual_channels": 3}
SMALL = {"classes": 5, "audio_channels": 1, "visual_channels": 3, "width": 32, "stages": 2}


def parameters(model):
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize(
    ("model", "settings", "live"),
    # trainable parameters that get a gradient; the authors' other 27,168 belong to unused norms
    [
        (weight_attention, {}, 3_278_856),
        (sca, {"positions": "random"}, 3_544_070),
        (cmci, {}, 3_678_482),
    ],
    ids=["weight_attention", "sca", "cmci"],
)
def test_parameter_counts_are_the_published_ones(model, settings, live):
    assert parameters(model.Model(**SIZES, **settings)) == live


def test_learned_positions_are_one_entry_for_each_offset():
    # M = 8 + 1 of 8 x 8 tokens: (2 M - 1)^2
    assert parameters(sca.Model(**SIZES)) == 3_544_070 + 17 * 17


def inputs(batch=4, size=16, seed=1):
    torch.manual_seed(seed)
    return torch.randn(batch, 1, size, size), torch.randn(batch, 3, size, size)


def test_weight_attention_weighs_by_one_number_of_both_modalities():
    torch.manual_seed(0)
    model = weight_attention.Model(**SMALL).eval()
    audio, visual = inputs()
    with torch.no_grad():
        x_a, x_v = model.audio_patches(audio), model.visual_patches(visual)
        sides = []
        for x, other, (first, second), mlp in (
            (x_a, x_v, model.audio_weight, model.audio_mlp),
            (x_v, x_a, model.visual_weight, model.visual_mlp),
        ):
            both = torch.cat([x.mean(2), other.mean(2)], 2)
            weight = (both @ first.weight.T + first.bias) @ second.weight.T + second.bias
            assert weight.shape == (*x.shape[:2], 1)
            sides.append(mlp(weight.unsqueeze(2) * x).mean(2))
        by_hand = model.head((sides[0] + sides[1]).mean(0))
        torch.testing.assert_close(model(audio, visual).logits, by_hand)


def test_cmci_adds_three_cross_entropies_and_the_joint_head_decides():
    torch.manual_seed(0)
    model = cmci.Model(**SMALL)
    found = model(*inputs())
    labels = torch.tensor([0, 1, 2, 3])
    by_hand = sum(functional.cross_entropy(z, labels) for z in (found.logits, *found.side_logits))
    torch.testing.assert_close(model.loss(found, Targets(labels)), by_hand)
    torch.testing.assert_close(found.logits, model.head(found.embedding))


def awake(positions):
    """A model that fires everywhere, so that attention has something to move."""
    torch.manual_seed(0)
    model = sca.Model(**SMALL, positions=positions, heads=4, side=4, scale=0.5)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.bias, -1.0, 2.0)
        elif isinstance(module, torch.nn.Linear):
            torch.nn.init.normal_(module.weight)
    return model.eval()


def test_the_authors_random_positions_give_two_answers_and_ours_one():
    with torch.no_grad():
        theirs, ours = awake("random"), awake("learned")
        torch.nn.init.normal_(ours.position_table)
        pair = inputs()
        assert not torch.equal(theirs(*pair).embedding, theirs(*pair).embedding)
        assert torch.equal(ours(*inputs()).embedding, ours(*inputs()).embedding)


def test_positions_move_the_visual_side_alone():
    with torch.no_grad():
        model = awake("learned")
        before = model(*inputs()).embedding
        torch.nn.init.normal_(model.position_table, std=3.0)
        assert not torch.equal(model(*inputs()).embedding, before)
    assert [name for name, p in model.named_parameters() if p.shape == (9, 9)] == ["position_table"]


def test_a_position_is_looked_up_by_its_offset_in_rows_and_columns():
    model = awake("learned")
    with torch.no_grad():
        model.position_table.copy_(torch.arange(81.0).view(9, 9))
    found = model._offset(3, 2, torch.zeros(()))
    for i, j in itertools.product(range(6), repeat=2):
        rows, columns = i // 2 - j // 2, i % 2 - j % 2
        assert found[i, j] == 9 * (4 + rows) + 4 + columns


def test_the_visual_side_alone_has_a_neuron_on_its_scores():
    model = awake("none")
    assert model.audio_attention.score_lif is None
    attention, spikes = model.visual_attention, []
    attention.score_lif.register_forward_hook(lambda *call: spikes.append(call[2]))
    with torch.no_grad():
        model(*inputs())
    assert set(spikes[0].unique().tolist()) == {0.0, 1.0}


def test_inputs_of_another_size_say_what_to_set():
    with pytest.raises(UsageError) as caught:
        awake("learned")(*inputs(size=32))
    assert caught.value.hint == "set model.side=8"
