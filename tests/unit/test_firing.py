"""Firing rates of layers against rates in closed form."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from pipelines.snn.lif import LIF
from pipelines.training.firing import record_rates


class Layers(nn.Module):
    """Two LIF layers side by side, of 4 steps."""

    def __init__(self) -> None:
        super().__init__()
        self.fast, self.slow = LIF(4, v_threshold=1.0), LIF(4, v_threshold=1000.0)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fast(x) + self.slow(x)
        return out


def constant(*currents: float) -> Tensor:
    """Currents of neurons, the same at all 4 steps: (4 * 1, neurons)."""
    return torch.tensor([currents] * 4)


@pytest.mark.parametrize(
    ("currents", "rate"),
    # tau 2, threshold 1, from rest: 2 fires at every step, 1.5 at every second
    # (h = 0.75, then 1.125), 1 never gets there, -3 neither
    [((2.0,), 1.0), ((1.5,), 0.5), ((1.0,), 0.0), ((-3.0,), 0.0), ((2.0, 1.5, 1.0, -3.0), 0.375)],
)
def test_the_rate_of_a_layer_is_the_share_of_neuron_steps_that_spike(
    currents: tuple[float, ...], rate: float
) -> None:
    with record_rates(Layers()) as sums:
        found = sums
        assert set(found) == set()
    model = Layers()
    with record_rates(model) as sums:
        model(constant(*currents))
        model(constant(*currents))
    assert {name: float(total) / 2 for name, total in sums.items()} == {"fast": rate, "slow": 0.0}
    model(constant(2.0))
    assert float(sums["fast"]) / 2 == rate, "nothing is recorded after the context"
    assert not model.fast._forward_hooks


def test_hooks_go_even_when_the_pass_fails() -> None:
    model = Layers()
    with pytest.raises(ZeroDivisionError), record_rates(model):
        raise ZeroDivisionError
    assert not model.fast._forward_hooks


def test_every_lif_layer_and_every_fusion_branch_is_recorded() -> None:
    from pipelines.models.s_cmrl import Model

    model = Model(classes=3, audio_channels=1, visual_channels=1, width=8, stages=1, heads=2)
    x: Callable[[], Tensor] = lambda: torch.rand(2, 1, 4, 4)  # noqa: E731
    with record_rates(model.eval()) as sums, torch.no_grad():
        model(x(), x())
    layers = {name for name, module in model.named_modules() if isinstance(module, LIF)}
    assert set(sums) == layers | {"audio.residual", "visual.residual"}
    assert all(0 <= float(total) <= 1 for total in sums.values())
