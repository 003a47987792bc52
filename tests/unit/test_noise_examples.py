"""The picture of what a network gets at each noise level shows just that."""

import numpy as np
import pytest

from pipelines.evaluation import noise_sweep
from pipelines.evaluation.noise_examples import draw_examples
from tests.unit.test_noise_sweep import levels, sweep, trained  # noqa: F401  (a fixture)


def test_it_draws_the_inputs_as_they_are():
    random = np.random.default_rng(0)
    heard = [random.normal(size=(2, 6, 5)).astype(np.float32) for _ in range(3)]
    seen = [random.uniform(-40, 300, (3, 4, 4)).astype(np.float32) for _ in range(3)]
    figure = draw_examples([0.0, 30.0, None], {"audio": heard, "visual": seen}, events=False)
    axes = np.array(figure.axes).reshape(2, 3)
    assert [one.get_title() for one in axes[0]] == ["0 dB", "30 dB", "clean"]
    assert [line[0].get_ylabel() for line in axes] == ["audio", "visual"]
    for one, x in zip(axes[0], heard, strict=True):
        np.testing.assert_array_equal(one.images[0].get_array(), x[0])
        assert one.images[0].get_clim() == (heard[-1][0].min(), heard[-1][0].max())
    for one, x in zip(axes[1], seen, strict=True):
        expected = np.moveaxis(np.clip(x, 0, 255), 0, -1) / 255
        np.testing.assert_allclose(one.images[0].get_array(), expected, atol=0.5 / 255)


def test_counts_of_events_and_steps_of_a_sound_are_put_together():
    steps = np.arange(2 * 1 * 3 * 3, dtype=np.float32).reshape(2, 1, 3, 3)
    figure = draw_examples([None], {"audio": [steps], "visual": [steps]}, events=True)
    heard, seen = (axes.images[0].get_array() for axes in figure.axes)
    np.testing.assert_array_equal(heard, steps[:, 0].mean(0))
    assert seen.shape == (3, 3, 3) and seen[2, 2].max() < seen[0, 0].min()  # on white, more: darker


@pytest.mark.parametrize("modality", ["both", "visual"])
def test_the_noise_in_the_picture_has_the_ratio_that_is_written_over_it(
    trained,  # noqa: F811
    monkeypatch,
    modality,
):
    """Measured on the shown picture itself: power of the clean one over that of the difference."""
    drawn = []

    def spy(*arguments, **named):
        drawn.append(arguments)
        return draw_examples(*arguments, **named)

    monkeypatch.setattr(noise_sweep, "draw_examples", spy)
    sweep(trained, snr_db=levels(0, 20, 10), modality=modality)
    ((ratios, rows),) = drawn
    assert ratios == [0.0, 10.0, 20.0, None] and set(rows) == {"audio", "visual"}
    *noisy, clean = (x.astype(float) for x in rows["visual"])
    for ratio, x in zip(ratios, noisy, strict=False):
        found = 10 * np.log10((clean**2).mean() / ((x - clean) ** 2).mean())
        assert abs(found - ratio) < 1  # of 256 pixels
    heard = [np.abs(x.astype(float) - rows["audio"][-1]).mean() for x in rows["audio"][:-1]]
    assert heard == [0, 0, 0] if modality == "visual" else heard[0] > heard[1] > heard[2] > 0
    _, run = trained
    file = run / f"noise-{modality}_0to20by10dB-examples.png"
    assert file.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
