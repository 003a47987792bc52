"""Every network learns 32 samples by heart: random inputs, random labels, random azimuths.

Asked in evaluation mode, with the norms' running statistics, as a trained network is asked: a
network that is right with batch statistics alone is no good. What cannot do this cannot learn.
Three networks answer at every change, the others in `make test-slow`.
"""

import inspect

import pytest
import torch

from pipelines import registry
from pipelines.ann.output import Targets
from pipelines.recipe.settings_from_signature import keyword_arguments, settings_model
from pipelines.snn.doa import decode, errors
from tests.unit.test_every_system import SMALL, SUPPLIED

# one whose spikes attend, one with losses of its own, one that changes its own gradients; those
# that locate learn as much in test_spikslc_net.py, SMLP in test_smlp.py
AT_EVERY_CHANGE = ("s-cmrl", "cmci", "ogm-ge")
MODELS = [
    pytest.param(name, marks=() if name in AT_EVERY_CHANGE else pytest.mark.slow)
    for name in registry.names("model")
]
SAMPLES, CLASSES = 32, 4
EACH = 10  # steps from one question to the next
STEPS, LR = 300, 3e-3
# spikes that are counted, and attention without a residual, learn more slowly: steps, lr
OWN = {"sca": (300, 1e-2), "l2-act-spike-net": (400, 1e-3)}


def task(name):
    """Build a network's small version, 32 inputs of its shapes, and their targets."""
    settings, shapes = SMALL[name]
    module = registry.load_module("model", name)
    torch.manual_seed(1)
    inputs = {
        modality: torch.randn(SAMPLES, *shape)
        for modality in ("audio", "visual")
        if modality in inspect.signature(module.Model.forward).parameters
        and (shape := shapes.get(modality, (3, 16, 16))) is not None
    }
    targets = Targets(torch.randint(CLASSES, (SAMPLES,)), 360 * torch.rand(SAMPLES))
    channels = {f"{modality}_channels": x.shape[1] for modality, x in inputs.items()}
    torch.manual_seed(0)
    section = settings_model(module.build, omit=SUPPLIED)(**settings)
    model = module.build(classes=CLASSES, **channels, **keyword_arguments(module.build, section))
    return model, inputs, targets


def asked(model, inputs, targets):
    """Return how many samples are right, and the azimuths' mean error in degrees, 0 without."""
    model.eval()
    with torch.no_grad():
        output = model(**inputs)
    model.train()
    right = int((output.logits.argmax(1) == targets.labels).sum())
    if output.azimuth is None:
        return right, 0.0
    return right, errors(decode(output.azimuth), targets.azimuth_deg).mae_deg


@pytest.mark.parametrize("name", MODELS)
def test_it_learns_32_samples_by_heart(name):
    model, inputs, targets = task(name)
    steps, lr = OWN.get(name, (STEPS, LR))
    optimiser = torch.optim.Adam(model.parameters(), lr)
    right, mae_deg = 0, 180.0
    for step in range(1, steps + 1):
        optimiser.zero_grad()
        output = model(**inputs)
        model.loss(output, targets).backward()
        if hasattr(model, "after_backward"):
            model.after_backward(output, targets)
        optimiser.step()
        if step % EACH == 0:
            right, mae_deg = asked(model, inputs, targets)
            if right == SAMPLES and mae_deg < 5:
                return
    pytest.fail(f"{right} of {SAMPLES} after {steps} steps, azimuths {mae_deg:.1f}° off")
