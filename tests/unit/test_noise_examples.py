"""The picture of what a network gets at each noise level shows just that."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from pipelines import registry
from pipelines.evaluation import noise_sweep
from pipelines.evaluation.noise_examples import PIXELS, Reading, draw_examples
from tests.unit.test_noise_sweep import levels, sweep, trained  # noqa: F401  (a fixture)

READINGS = {
    "audio": Reading("waveform", "ln of amplitude"),
    "visual": Reading("image", "level, 0 to 255"),
}


def bars(figure):
    return [axes for axes in figure.axes if axes.get_label() == "<colorbar>"]


def panels(figure):
    return np.array([axes for axes in figure.axes if axes.get_label() != "<colorbar>"])


def test_it_draws_the_inputs_as_they_are():
    random = np.random.default_rng(0)
    heard = [random.normal(size=(2, 6, 5)).astype(np.float32) for _ in range(3)]
    seen = [random.uniform(-40, 300, (3, 4, 4)).astype(np.float32) for _ in range(3)]
    figure = draw_examples([0.0, 30.0, None], {"audio": heard, "visual": seen}, READINGS)
    axes = panels(figure).reshape(2, 3)
    assert [one.get_title() for one in axes[0]] == ["0 dB", "30 dB", "clean"]
    labels = [(line[0].get_ylabel(), line[0].get_xlabel()) for line in axes]
    assert labels == [
        ("audio\nfrequency (bin)", "time (frame)"),
        ("visual\ny (pixel)", "x (pixel)"),
    ]
    assert axes[0, 0].get_xticks().tolist() == [0, 4] and axes[0, 0].get_yticks().tolist() == [0, 5]
    for one, x in zip(axes[0], heard, strict=True):
        np.testing.assert_array_equal(one.images[0].get_array(), x[0])
    for one, x in zip(axes[1], seen, strict=True):
        expected = np.moveaxis(np.clip(x, 0, 255), 0, -1) / 255
        np.testing.assert_allclose(one.images[0].get_array(), expected, atol=0.5 / 255)


def test_all_levels_of_a_modality_have_one_colour_scale_which_a_bar_shows_with_its_unit():
    random = np.random.default_rng(0)
    # noise makes a sound louder: a scale of the clean one alone would cut it
    heard = [np.float32(gain) * random.normal(size=(1, 6, 5)).astype("f4") for gain in (9, 3, 1)]
    seen = [random.uniform(0, 255, (1, 4, 4)).astype(np.float32) for _ in range(3)]
    figure = draw_examples([0.0, 30.0, None], {"audio": heard, "visual": seen}, READINGS)
    audio, visual = panels(figure).reshape(2, 3)
    all_heard = np.concatenate(heard)
    assert {axes.images[0].get_clim() for axes in audio} == {(all_heard.min(), all_heard.max())}
    assert {axes.images[0].get_clim() for axes in visual} == {(0, 255)}
    for axes, x in zip(visual, seen, strict=True):
        np.testing.assert_allclose(axes.images[0].get_array(), x[0], atol=0.5)
    heard_bar, seen_bar = bars(figure)
    assert heard_bar.get_ylabel() == "ln of amplitude"
    assert heard_bar.get_ylim() == pytest.approx((all_heard.min(), all_heard.max()))
    assert seen_bar.get_ylabel() == "level, 0 to 255" and seen_bar.get_ylim() == (0, 255)


def test_noise_events_do_not_change_the_ink_of_the_clips_own_events():
    """Two events are full ink where no level has more; half ink where a level has four."""
    clean, noisy = np.zeros((2, 2, 4, 4), np.float32)  # two polarities
    clean[0, 0, 0] = noisy[0, 0, 0] = 2
    noisy[:, 1:] = 4
    blue = np.array(to_rgb("#0072B2"))
    readings = {"visual": Reading("events", "events, 0 to 255")}
    for shown_levels, counts, ink in (
        ([None], [clean], blue),
        ([9.0, None], [noisy, clean], (1 + blue) / 2),
    ):
        figure = draw_examples(shown_levels, {"visual": counts}, readings)
        pixel = panels(figure)[-1].images[0].get_array()[0, 0]
        np.testing.assert_allclose(pixel, ink, atol=1e-6)
        brighter, darker = bars(figure)
        figure.draw_without_rendering()
        assert darker.bbox.x1 < brighter.bbox.x0
        assert darker.get_yticks().size == 0  # beside the brighter one, whose numbers are its own
        assert brighter.get_ylabel() == "events, darker and\nbrighter"
        assert brighter.get_ylim() == (0, 4 if len(counts) == 2 else 2)


@pytest.mark.parametrize(
    ("reads", "unit", "named", "shown"),
    [
        ("microphones", "correlation, -1 to 1", "lag (sample)", "correlation, -1 to 1"),
        ("microphones", "correlation, then dB", "lag (sample)", "correlation"),
        ("spikes", "spikes", "channel", "spikes"),
    ],
)
def test_axes_and_bar_are_those_of_the_feature(reads, unit, named, shown):
    x = np.zeros((1, 3, 3), np.float32)
    figure = draw_examples([None], {"audio": [x]}, {"audio": Reading(reads, unit)})
    assert panels(figure)[0].get_ylabel() == f"audio\n{named}"
    assert bars(figure)[0].get_ylabel() == shown


def test_every_feature_has_axes_and_a_unit():
    for feature in registry.names("feature"):
        module = registry.load_module("feature", feature)
        is_visual = Reading(module.READS, module.UNIT).axes == PIXELS
        assert is_visual == (module.MODALITY == "visual") and module.UNIT


def test_counts_of_events_and_steps_of_a_sound_are_put_together():
    steps = np.arange(2 * 1 * 3 * 3, dtype=np.float32).reshape(2, 1, 3, 3)
    readings = {"audio": READINGS["audio"], "visual": Reading("events", "events")}
    figure = draw_examples([None], {"audio": [steps], "visual": [steps]}, readings)
    heard, seen = (axes.images[0].get_array() for axes in panels(figure))
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
    ((ratios, rows, readings),) = drawn
    assert readings == {"audio": Reading("waveform", "ln of amplitude"),
                        "visual": Reading("image", "level, 0 to 255")}  # fmt: skip
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
