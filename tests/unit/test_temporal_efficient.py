"""Temporal efficient training: its loss by hand, and what it changes in a network."""

import math

import pytest
import torch

from pipelines.ann.output import Output, Targets, cross_entropy, temporal_efficient
from pipelines.models import s_cmrl, spikformer

LABELS = Targets(torch.tensor([0, 1]))


def given(steps):
    steps = torch.tensor(steps)
    return Output(steps.mean(0), step_logits=steps)


def test_it_is_the_steps_own_entropies_and_the_distance_to_the_threshold():
    # two steps, two clips, two classes; softmax of (a, b) is 1 / (1 + e^(b - a)) for the first
    output = given([[[2.0, 0.0], [0.0, 0.0]], [[0.0, 1.0], [3.0, 1.0]]])
    entropy = sum(math.log1p(math.exp(d)) for d in (-2.0, 0.0, 1.0, 2.0)) / 4
    square = (1 + 1 + 1 + 1 + 1 + 0 + 4 + 0) / 8
    found = temporal_efficient(output, LABELS, 0.25)
    assert float(found) == pytest.approx(0.75 * entropy + 0.25 * square, rel=1e-6)


def test_without_the_pull_and_with_equal_steps_it_is_the_cross_entropy():
    logits = torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
    output = Output(logits, step_logits=logits.expand(4, 2, 5))
    for smoothing in (0.0, 0.1):
        torch.testing.assert_close(
            temporal_efficient(output, LABELS, 0.0, smoothing),
            cross_entropy(output, LABELS, smoothing),
        )


def test_steps_that_differ_cost_more_than_their_mean():
    """Jensen: the cross-entropy is convex, which is why training by steps is the stricter aim."""
    steps = torch.randn(6, 2, 5, generator=torch.Generator().manual_seed(1))
    output = Output(steps.mean(0), step_logits=steps)
    assert temporal_efficient(output, LABELS, 0.0) > cross_entropy(output, LABELS)


@pytest.mark.parametrize("module", [s_cmrl, spikformer], ids=["s-cmrl", "spikformer"])
def test_it_changes_the_training_and_not_the_answer(module):
    inputs = {"audio": torch.randn(2, 1, 16, 16)}
    channels = {"audio_channels": 1}
    if module is s_cmrl:
        inputs["visual"], channels["visual_channels"] = torch.randn(2, 3, 16, 16), 3
    outputs = []
    for tet in (None, 0.05):
        torch.manual_seed(0)
        model = module.Model(classes=3, width=16, stages=2, heads=2, tet=tet, **channels)
        outputs.append(model(**inputs))
    plain, by_steps = outputs
    assert torch.equal(plain.logits, by_steps.logits) and plain.step_logits is None
    torch.testing.assert_close(by_steps.step_logits.mean(0), by_steps.logits)
    assert model.loss(by_steps, LABELS) != cross_entropy(plain, LABELS)
