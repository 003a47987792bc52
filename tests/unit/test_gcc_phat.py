"""gcc_phat and the array's geometry against closed forms, a plain numpy loop, pyroomacoustics."""

import bisect
import itertools

import numpy as np
import pyroomacoustics
import pytest
import torch
from pyroomacoustics import doa, experimental
from scipy import fft

from pipelines.errors import DataError, UsageError
from pipelines.features import gcc_phat, logmel
from pipelines.signal import arrays
from pipelines.signal.fractional_delay import delayed

RATE_HZ = 16_000


def extract(waveforms, **settings):
    batch = torch.from_numpy(np.asarray(waveforms, np.float32))
    return gcc_phat.extract(batch, sample_rate=RATE_HZ, **settings)


def white(samples, seed=0):
    return np.random.default_rng(seed).standard_normal(samples)


def shifted(delays, samples=RATE_HZ, seed=0):
    """Microphones that hear one white noise `delays` whole samples late: (M, samples)."""
    noise = white(samples + 2 * 64, seed)
    return np.stack([noise[64 - d : 64 - d + samples] for d in delays])


def by_definition(waveforms, window=1024, hop=512, max_lag=25, length=1080):
    """The same in double precision, pair by pair and frame by frame."""
    padded = np.pad(waveforms.astype(float), [(0, 0), (window // 2, window)])
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    frames = 1 + waveforms.shape[1] // hop
    rows = []
    for i in range(len(waveforms)):
        for j in range(i + 1, len(waveforms)):
            columns = []
            for k in range(frames):
                a, b = (
                    np.fft.rfft(padded[m, k * hop : k * hop + window] * taper, length)
                    for m in (i, j)
                )
                cross = np.conj(a) * b
                lags = np.fft.irfft(cross / np.maximum(np.abs(cross), 1e-12), length)
                columns.append(np.concatenate([lags[-max_lag:], lags[: max_lag + 1]]))
            rows.append(np.stack(columns, 1))
    return np.stack(rows)


def test_every_whole_delay_in_range_peaks_at_its_own_lag():
    for delay in range(-25, 26):
        found = extract([shifted([0, delay])])[0, 0]
        assert (found.argmax(0) - 25 == delay).all(), delay


def test_a_positive_lag_means_that_the_second_microphone_hears_later():
    click = np.zeros((2, RATE_HZ))
    click[0, 8000], click[1, 8011] = 1, 1
    found = extract([click])[0, 0].mean(1)
    assert int(found.argmax()) - 25 == 11


@pytest.mark.parametrize("delay", [-7.75, -0.5, 0.1, 0.25, 3.4, 24.3])
def test_a_fractional_delay_gives_the_sinc_that_theory_gives(delay):
    pair = np.stack([white(RATE_HZ), np.zeros(RATE_HZ)])
    pair[1] = delayed(pair[0], np.array([delay]))[0]
    found = extract([pair])[0, 0, :, 2:-2].double().mean(1).numpy()
    np.testing.assert_allclose(found, np.sinc(np.arange(-25, 26) - delay), atol=0.05)
    assert abs(arrays.peak_lags(found) - delay) < 0.03


def test_it_is_the_definition_computed_in_double_precision():
    noisy = shifted([0, 3, -8, 5], 6000) + 0.3 * white((4, 6000), 1)
    np.testing.assert_allclose(extract([noisy])[0].numpy(), by_definition(noisy), atol=2e-4)


def test_pyroomacoustics_finds_the_same_delays():
    heard = shifted([0, 4, -9, 15], 4096) + 0.2 * white((4, 4096), 2)
    found = extract([heard])[0].mean(-1).argmax(-1) - 25
    theirs = [experimental.tdoa(heard[j], heard[i], phat=True) for i, j in arrays.pairs_of(4)]
    expected = [4, -9, 15, -13, 11, 24]
    assert found.tolist() == expected
    np.testing.assert_allclose(theirs, expected, atol=1e-6)


def test_silence_and_a_dead_microphone_give_zeros():
    assert extract(np.zeros((2, 4, 5000))).count_nonzero() == 0
    dead = shifted([0, 2, 5])
    dead[1] = 0
    found = extract([dead])[0]
    assert found[0].count_nonzero() == found[2].count_nonzero() == 0
    assert (found[1].argmax(0) == 30).all()


def test_the_gain_of_a_microphone_changes_nothing():
    heard = shifted([0, 2, 5])
    louder = heard * np.array([[1.0], [1e-3], [4.0]])
    np.testing.assert_allclose(extract([louder]).numpy(), extract([heard]).numpy(), atol=1e-4)


@pytest.mark.parametrize("microphones", [2, 3, 7])
def test_any_number_of_microphones_gives_all_pairs_in_order(microphones):
    delays = [m * m % 11 for m in range(microphones)]
    found = extract([shifted(delays, 8000)])
    assert found.shape == (1, microphones * (microphones - 1) // 2, 51, 16)
    assert found.dtype == torch.float32
    expected = [b - a for i, a in enumerate(delays) for b in delays[i + 1 :]]
    assert (found[0].mean(-1).argmax(-1) - 25).tolist() == expected


@pytest.mark.parametrize("samples", [1, 511, 16_000, 16_001, 63_999])
def test_it_has_as_many_frames_as_logmel_with_the_same_window_and_hop(samples):
    mel = logmel.extract(torch.zeros(1, samples), sample_rate=RATE_HZ, n_fft=1024, hop=512)
    assert extract(np.zeros((1, 2, samples))).shape == (1, 1, 51, mel.shape[-1])


def test_a_batch_in_pieces_is_the_batch(monkeypatch):
    heard = [shifted([0, k - 4, 2 * k], 4000, seed=k) for k in range(9)]
    whole = extract(heard)
    monkeypatch.setattr(gcc_phat, "CHUNK_BYTES", 1)
    torch.testing.assert_close(extract(heard), whole, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("shape", "settings", "message"),
    [((1, 1, 4000), {}, "one channel"), ((1, 2, 4000), {"max_lag": 1024}, "do not fit")],
    ids=["mono", "lags"],
)
def test_what_cannot_be_compared_is_a_usage_error(shape, settings, message):
    with pytest.raises(UsageError, match=message):
        extract(np.zeros(shape), **settings)


def test_fast_lengths_are_the_next_without_a_prime_factor_above_5():
    """So the caches' numbers are what they were; for every window up to 4 s at 384 kHz."""
    longest = 4 * 384_000 + 4096
    fast = sorted(
        2**i * 3**j * 5**k
        for i in range(22)
        for j in range(15)
        for k in range(10)
        if 2**i * 3**j * 5**k <= 2 * longest
    )
    # between two of them the answer is constant, if it is so at both ends
    for below, length in itertools.pairwise(fast[: bisect.bisect(fast, longest) + 1]):
        assert fft.next_fast_len(below + 1, real=True) == length
        assert fft.next_fast_len(length, real=True) == length


@pytest.mark.parametrize(("max_lag", "length"), [(25, 1080), (56, 1080), (57, 1125)])
def test_a_window_and_its_lags_are_transformed_at_the_next_fast_length(max_lag, length):
    noisy = shifted([0, 3], 3000) + 0.3 * white((2, 3000), 1)
    expected = by_definition(noisy, max_lag=max_lag, length=length)
    np.testing.assert_allclose(extract([noisy], max_lag=max_lag)[0].numpy(), expected, atol=2e-4)


def test_a_delayed_pulse_is_the_pulse_at_another_time():
    time = np.arange(600.0)

    def pulse(at):
        return np.exp(-((time - at) ** 2) / 50) * np.cos(1.1 * (time - at))

    delays = np.array([0.0, 12.0, -7.3, 31.77])
    found = delayed(pulse(300), delays, gains=np.array([1.0, 0.5, 2.0, 1.0]))
    for row, delay, gain in zip(found, delays, (1, 0.5, 2, 1), strict=True):
        np.testing.assert_allclose(row, gain * pulse(300 + delay), atol=1e-9)
    with pytest.raises(UsageError, match="at most 512"):
        delayed(pulse(300), np.array([513.0]))


def test_delays_of_a_square_array_are_those_of_the_sketch():
    """A wave along the x axis reaches the two microphones on the right first, by side / c."""
    side_m = 0.0457
    delays = arrays.far_field_delays(arrays.RESPEAKER_V2, 0.0)
    np.testing.assert_allclose(
        arrays.time_differences(delays) * 343.0, np.array([1, 1, 0, 0, -1, -1]) * side_m, atol=1e-9
    )
    # from straight above all hear at once
    overhead = arrays.far_field_delays(arrays.RESPEAKER_V2, 77.0, 90.0)
    np.testing.assert_allclose(overhead, 0, atol=1e-15)


def test_a_far_point_is_a_plane_wave_and_a_near_one_is_louder_in_front():
    microphones = arrays.circle(4, 0.1, 20.0)
    far, gains = arrays.spherical_delays(microphones, 1e5 * arrays.direction(123.0))
    np.testing.assert_allclose(far, arrays.far_field_delays(microphones, 123.0), atol=1e-9)
    np.testing.assert_allclose(gains, 1, atol=1e-5)
    line = np.array([[0.5, 0.0, 0.0], [-0.5, 0.0, 0.0]])
    times, gains = arrays.spherical_delays(line, np.array([1.0, 0.0, 0.0]))
    np.testing.assert_allclose(gains, [2, 2 / 3])
    np.testing.assert_allclose(times, [-0.5 / 343, 0.5 / 343])
    with pytest.raises(UsageError, match="at a microphone"):
        arrays.spherical_delays(line, line[0])


def test_least_squares_recovers_every_azimuth():
    azimuths = np.arange(0, 360, 7.5)
    microphones = arrays.circle(5, 0.05, 13.0)
    times = arrays.time_differences(arrays.far_field_delays(microphones, azimuths, 25.0))
    np.testing.assert_allclose(arrays.azimuth_of(times, microphones), azimuths, atol=1e-8)
    with pytest.raises(UsageError, match="one line"):
        arrays.azimuth_of(np.zeros(1), np.array([[0.0, 0, 0], [1.0, 0, 0]]))


def test_steered_power_finds_what_pyroomacoustics_finds():
    rng, grid = np.random.default_rng(5), np.arange(0, 360, 2.0)
    for azimuth in (14.0, 138.0, 250.0):
        delays = RATE_HZ * arrays.far_field_delays(arrays.RESPEAKER_V2, azimuth)
        heard = delayed(white(8000, 3), delays) + 0.1 * rng.standard_normal((4, 8000))
        ours = grid[arrays.srp_phat(heard, RATE_HZ, arrays.RESPEAKER_V2, grid).argmax()]
        spectra = pyroomacoustics.transform.stft.analysis(heard.T, 1024, 512).transpose(2, 1, 0)
        theirs = doa.SRP(
            arrays.RESPEAKER_V2[:, :2].T, RATE_HZ, 1024, c=343.0, azimuth=np.deg2rad(grid)
        )
        theirs.locate_sources(spectra, freq_range=[300, 6000])
        assert ours == azimuth
        assert abs(np.rad2deg(theirs.azimuth_recon[0]) - ours) < 2.1


def test_a_recording_that_does_not_fit_the_array_is_named():
    for shape in ((3, 4000), (4, 100)):
        with pytest.raises(DataError):
            arrays.srp_phat(np.ones(shape), RATE_HZ, arrays.RESPEAKER_V2, [0.0])
