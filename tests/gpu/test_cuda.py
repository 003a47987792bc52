"""The same numbers on a CUDA device as on the CPU, and every stage there."""

import pytest
import torch

from pipelines.features import image, logmel, stft
from pipelines.models import s_cmrl
from pipelines.recipe import recipe as recipes
from pipelines.runs import result_stages, train_stage
from pipelines.signal import counter_rng
from pipelines.signal.noise import add_noise
from pipelines.signal.resample import resample
from pipelines.snn.lif import LIF

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def cuda():
    if not torch.cuda.is_available():
        pytest.fail("`make test-gpu` needs a CUDA device")
    return torch.device("cuda")


def test_lif_fires_and_learns_as_on_the_cpu(cuda):
    torch.manual_seed(0)
    x, grad = 2 * torch.randn(4 * 8, 16, 9, 9), torch.randn(4 * 8, 16, 9, 9)
    for gradient in ("bptt", "cut"):
        results = []
        for device in ("cpu", cuda):
            given = x.to(device).requires_grad_()
            spikes = LIF(4, gradient=gradient)(given)
            spikes.backward(grad.to(device))
            results.append((spikes.cpu(), given.grad.cpu()))
        assert (results[0][0] != results[1][0]).float().mean() < 1e-5
        torch.testing.assert_close(results[0][1], results[1][1], rtol=1e-3, atol=1e-4)


def test_lif_stays_on_spikingjellys_fused_kernel_in_bfloat16(cuda):
    from torch.profiler import ProfilerActivity, profile

    x = torch.randn(4 * 8, 64, device=cuda, dtype=torch.bfloat16)
    LIF(4)(x)
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
        LIF(4)(x)
    names = {event.key for event in seen.key_averages()}
    assert any("lif" in name.lower() for name in names), names


def test_random_numbers_are_the_cpus(cuda):
    keys = counter_rng.keys(0, 3, torch.arange(50))
    uniform = counter_rng.uniform(keys.to(cuda), 7)
    assert torch.equal(uniform.cpu(), counter_rng.uniform(keys, 7))
    normal = counter_rng.normal(keys.to(cuda), (100,))
    torch.testing.assert_close(normal.cpu(), counter_rng.normal(keys, (100,)))


def test_features_and_noise_are_the_cpus(cuda):
    torch.manual_seed(0)
    waves = 0.1 * torch.randn(3, 8000)
    keys = counter_rng.keys(0, 0, torch.arange(3))
    pictures = torch.randint(0, 256, (3, 3, 40, 50), dtype=torch.uint8)
    for function, given in (
        (lambda x: stft.extract(x, size=(32, 32)), waves),
        (lambda x: logmel.extract(x, sample_rate=8000, n_mels=32), waves),
        (lambda x: resample(x, 8000, 22050), waves),
        (lambda x: add_noise(x, 5.0, keys.to(x.device)), waves),
        (lambda x: image.extract(x, size=(32, 32)).float(), pictures),
    ):
        a, b = function(given), function(given.to(cuda)).cpu()
        tolerance = 1.01 if given.dtype == torch.uint8 else 2e-3
        torch.testing.assert_close(a, b, rtol=1e-3, atol=tolerance)


def test_the_network_gives_the_cpus_logits_at_first(cuda):
    torch.manual_seed(0)
    model = s_cmrl.Model(
        classes=5, audio_channels=1, visual_channels=3, width=32, stages=2, heads=4
    )
    audio, visual = torch.randn(8, 1, 16, 16), torch.randn(8, 3, 16, 16)
    expected = model.eval()(audio, visual).logits
    found = model.to(cuda)(audio.to(cuda), visual.to(cuda)).logits
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-2, atol=1e-2)


@pytest.mark.usefixtures("cuda")
def test_every_stage_runs_on_the_device(tmp_path, monkeypatch):
    from tests.e2e.test_resume import Quiet

    monkeypatch.setenv("AVSNN_HOME", str(tmp_path))
    recipe = recipes.load_recipe(
        recipes.find("quickstart"), ("runtime.device=cuda", "train.epochs=2")
    )
    run = train_stage.train(recipe, Quiet())
    assert result_stages.evaluate(recipe, run, Quiet())["accuracy"] > 0.3
    points = result_stages.noise_eval(recipe, run, recipe.noise, Quiet())["points"]
    assert len(points) == 8
    assert torch.cuda.max_memory_allocated() > 0
