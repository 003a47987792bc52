"""Rasters of neurons whose spike times are known in closed form."""

import numpy as np
import pytest
import torch
from torch import nn

from pipelines.ann.output import Output
from pipelines.evaluation.rasters import rasters
from pipelines.snn.lif import LIF
from pipelines.snn.snntorch_leaky import Leaky
from tests.unit.test_every_system import MODELS, built

STEPS = 12


class Neurons(nn.Module):
    """One neuron for each pixel of a still picture, the current being its value."""

    def __init__(self, neuron):
        super().__init__()
        self.neurons = neuron

    def forward(self, visual):
        return Output(self.neurons(visual, static=True))


def currents(*values):
    return {"visual": torch.tensor(values)[None, None, None]}


def test_a_lif_under_a_constant_current_fires_every_so_many_steps():
    # h[n] = I (1 - 2^-n) from rest at tau 2: I = 2 reaches 1 at once, 1.5 after 2 steps (1.125),
    # 1.2 after 3 (1.05), 1.05 after 5 (1.017), 1 never; after each spike from rest again
    (found,) = rasters(Neurons(LIF(STEPS)), currents(2.0, 1.5, 1.2, 1.05, 1.0))
    assert found.neurons.tolist() == [0, 1, 2, 3] and (found.size, found.firing) == (5, 4)
    steps = [(np.flatnonzero(column) + 1).tolist() for column in found.spikes.T]
    assert steps == [list(range(1, 13)), [2, 4, 6, 8, 10, 12], [3, 6, 9, 12], [5, 10]]
    assert found.rate == pytest.approx((12 + 6 + 4 + 2) / (5 * 12))
    assert found.layer == "neurons" and found.spikes.dtype == bool


def test_a_leaky_neuron_without_leak_fires_by_its_count():
    # beta 1, subtract a step later, h > 1: h[t] = 0.4 t - spikes before; first above 1 at t = 3
    (found,) = rasters(Neurons(Leaky(STEPS, beta=1.0)), currents(0.4))
    wanted, spent = [], 0
    for t in range(1, STEPS + 1):
        if round(0.4 * t - spent, 6) > 1:
            wanted.append(t)
            spent += 1
    assert wanted[0] == 3
    assert (np.flatnonzero(found.spikes[:, 0]) + 1).tolist() == wanted


def test_at_most_so_many_of_those_that_fire_are_shown_by_seed():
    inputs = currents(*([2.0, 0.1] * 100))
    model = Neurons(LIF(STEPS))
    (found,) = rasters(model, inputs, most=64, seed=3)
    assert found.spikes.shape == (STEPS, 64) and (found.size, found.firing) == (200, 100)
    assert (np.diff(found.neurons) > 0).all() and not (found.neurons % 2).any()
    assert found.spikes.all() and found.rate == 0.5
    again, other = (rasters(model, inputs, most=64, seed=seed)[0].neurons for seed in (3, 4))
    assert np.array_equal(found.neurons, again) and not np.array_equal(found.neurons, other)


def test_a_silent_layer_is_there_and_shows_nothing():
    (found,) = rasters(Neurons(LIF(STEPS)), currents(0.0, 0.5))
    assert found.spikes.shape == (STEPS, 0) and (found.firing, found.rate) == (0, 0.0)


def test_two_clips_are_refused():
    with pytest.raises(ValueError, match="one clip"):
        rasters(Neurons(LIF(STEPS)), {"visual": torch.ones(2, 1, 1, 1)})


@pytest.mark.parametrize("name", MODELS)
def test_every_layer_of_a_network_is_recorded_once(name):
    model, inputs, _ = built(name)
    wanted = {n for n, m in model.named_modules() if isinstance(m, LIF | Leaky)}
    found = rasters(model, {k: v[:1] for k, v in inputs.items()})
    assert sorted(r.layer for r in found) == sorted(wanted)
    steps = dict(model.named_modules())
    assert all(len(r.spikes) == steps[r.layer].time_steps for r in found)
    assert not any(m._forward_hooks for m in model.modules())
