"""Features against librosa and Pillow, closed forms, and the batch."""

import math
from types import ModuleType

import librosa
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from pipelines.errors import UsageError
from pipelines.features import image, logmel, stft
from pipelines.recipe.settings_from_signature import settings_model

RATE_HZ = 22050


def clips(batch: int = 3, seconds: float = 4.0) -> Tensor:
    """Noise with a tone that glides, full scale ±1."""
    generator = torch.Generator().manual_seed(0)
    samples = round(seconds * RATE_HZ)
    time_s = torch.arange(samples) / RATE_HZ
    glide = 0.5 * torch.sin(2 * math.pi * (300 + 900 * time_s) * time_s)
    return glide + 0.1 * torch.randn(batch, samples, generator=generator).clamp(-4, 4)


def librosa_stft(clip: Tensor, n_fft: int, hop: int) -> np.ndarray:
    return librosa.stft(
        clip.double().numpy(),
        n_fft=n_fft,
        hop_length=hop,
        window="hann",
        center=True,
        pad_mode="constant",
        dtype=np.complex128,
    )


@pytest.mark.parametrize(("n_fft", "hop"), [(512, 353), (1024, 256), (400, 160)])
def test_stft_is_librosas(n_fft: int, hop: int) -> None:
    """Within 1e-4 where |S| is at least 1e-3 of the peak; below, |S| within 1e-6 of the peak.

    float32 leaves an error in |S| of a few 1e-8 of the peak, which the logarithm of a small |S|
    blows up.
    """
    waveform = clips()
    ours = stft.extract(waveform, n_fft=n_fft, hop=hop, size=None)
    for clip, levels in zip(waveform, ours[:, 0].double().numpy(), strict=True):
        magnitude = np.abs(librosa_stft(clip, n_fft, hop))
        assert levels.shape == magnitude.shape
        loud = magnitude >= 1e-3 * magnitude.max()
        assert loud.mean() > 0.9
        assert np.abs(levels - np.log(magnitude + 1e-7))[loud].max() < 1e-4
        assert np.abs(np.exp(levels) - magnitude)[~loud].max() < 1e-6 * magnitude.max()


def test_four_seconds_at_512_353_are_250_frames_of_257_frequencies() -> None:
    assert stft.extract(clips(1), size=None).shape == (1, 1, 257, 250)


def test_a_tone_stands_in_the_row_of_its_frequency_counted_from_the_bottom() -> None:
    tone = torch.sin(2 * math.pi * 20 * torch.arange(22050) / 512)[None]
    levels = stft.extract(tone, size=None)[0, 0, :, 30]
    assert int(levels.argmax()) == 20
    # a periodic Hann window gathers half its length, and a real tone half its amplitude, there
    assert float(levels[20]) == pytest.approx(math.log(512 / 4), abs=1e-4)


def test_silence_is_the_logarithm_of_the_floor() -> None:
    levels = stft.extract(torch.zeros(2, 88200))
    assert levels.shape == (2, 1, 128, 128)
    torch.testing.assert_close(levels, torch.full_like(levels, -16.118), rtol=0, atol=1e-3)


def test_stft_cuts_off_at_full_scale_unless_told_otherwise() -> None:
    loud = 3 * clips(1)
    assert torch.equal(stft.extract(loud), stft.extract(loud.clamp(-1, 1)))
    assert not torch.equal(stft.extract(loud, clamp=False), stft.extract(loud))


def test_stft_resized_is_the_antialiased_average_of_its_neighbours() -> None:
    full = stft.extract(clips(1), size=None)[0, 0].numpy()
    small = stft.extract(clips(1), size=(128, 128))[0, 0].numpy()
    # Pillow resizes float images with the same triangle, widened by the ratio of the sizes
    expected = Image.fromarray(full).resize((128, 128), Image.Resampling.BILINEAR)
    np.testing.assert_allclose(small, np.asarray(expected), rtol=0, atol=1e-4)


@pytest.mark.parametrize("scale", ["slaney", "htk"])
@pytest.mark.parametrize("norm", ["slaney", "none"])
def test_logmel_is_librosas_within_a_thousandth_of_a_decibel(
    scale: logmel.MelScale, norm: logmel.FilterNorm
) -> None:
    waveform = clips(2)
    ours = logmel.extract(
        waveform,
        sample_rate=RATE_HZ,
        n_fft=2048,
        hop=512,
        n_mels=96,
        mel_scale=scale,
        norm=norm,
    )
    for clip, levels in zip(waveform, ours[:, 0].numpy(), strict=True):
        power = librosa.feature.melspectrogram(
            y=clip.double().numpy(),
            sr=RATE_HZ,
            n_fft=2048,
            hop_length=512,
            n_mels=96,
            htk=scale == "htk",
            norm=None if norm == "none" else norm,
        )
        np.testing.assert_allclose(levels, librosa.power_to_db(power), rtol=1e-4, atol=1e-3)


def test_logmel_with_all_of_librosas_defaults_is_librosas() -> None:
    clip = clips(1)
    ours = logmel.extract(clip, sample_rate=RATE_HZ, n_fft=2048, hop=512, n_mels=128)
    theirs = librosa.power_to_db(librosa.feature.melspectrogram(y=clip[0].double().numpy()))
    np.testing.assert_allclose(ours[0, 0].numpy(), theirs, rtol=1e-4, atol=1e-3)


def test_the_frequency_range_of_the_bands_is_librosas() -> None:
    ours = logmel.mel_filters(16000, 1024, 40, 50.0, 7000.0, "slaney", "slaney").T
    theirs = librosa.filters.mel(sr=16000, n_fft=1024, n_mels=40, fmin=50, fmax=7000)
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=0, atol=2e-5 * theirs.max())


def test_what_is_far_below_the_peak_is_raised_clip_by_clip() -> None:
    pair = torch.cat([clips(1), 1e-3 * clips(1)])
    pair[:, RATE_HZ:] = 0
    levels = logmel.extract(pair, sample_rate=RATE_HZ, top_db=60.0)
    peak = levels.amax(dim=(1, 2, 3))
    torch.testing.assert_close(levels.amin(dim=(1, 2, 3)), peak - 60, rtol=0, atol=1e-4)
    assert float(peak[0] - peak[1]) == pytest.approx(60, abs=0.01)
    assert float(logmel.extract(pair, sample_rate=RATE_HZ, top_db=None).min()) == pytest.approx(
        -100
    )


def test_natural_logarithm_and_decibels_are_one_scale() -> None:
    waveform = clips(1)
    db = logmel.extract(waveform, sample_rate=RATE_HZ, top_db=None)
    natural = logmel.extract(waveform, sample_rate=RATE_HZ, log="ln")
    torch.testing.assert_close(db, natural * 10 / math.log(10), rtol=0, atol=1e-4)


def test_empty_mel_bands_are_refused_with_a_hint() -> None:
    with pytest.warns(UserWarning, match="Empty filters"):
        theirs = librosa.filters.mel(sr=RATE_HZ, n_fft=512, n_mels=160, norm=None)
    count = int((theirs.max(axis=1) == 0).sum())
    with pytest.raises(UsageError, match=f"^{count} of 160 mel bands are empty") as caught:
        logmel.extract(clips(1), sample_rate=RATE_HZ, n_fft=512, n_mels=160)
    assert "fewer n_mels or a larger n_fft" in caught.value.hint
    with pytest.raises(UsageError, match="no mel bands from 0 to 12000 Hz"):
        logmel.extract(clips(1), sample_rate=RATE_HZ, f_max=12000.0)
    with pytest.raises(UsageError, match="no mel bands"):
        logmel.extract(clips(1), sample_rate=RATE_HZ, f_min=5000.0, f_max=5000.0)


def photo(height: int, width: int, channels: int = 3) -> Tensor:
    """A smooth picture with noise on it, uint8 (1, channels, height, width)."""
    generator = torch.Generator().manual_seed(2)
    coarse = torch.rand(1, channels, 5, 7, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic")
    noise = 0.2 * torch.rand(1, channels, height, width, generator=generator)
    return (255 * (smooth + noise).clamp(0, 1)).to(torch.uint8)


@pytest.mark.parametrize(("height", "width"), [(360, 480), (100, 60), (128, 128)])
@pytest.mark.parametrize("margin", [0, 8])
def test_images_are_pillows_within_one_level(height: int, width: int, margin: int) -> None:
    original = photo(height, width)
    ours = image.extract(original, size=(128, 96), margin=margin)[0].permute(1, 2, 0).numpy()
    picture = Image.fromarray(original[0].permute(1, 2, 0).numpy())
    shape = (96 + 2 * margin, 128 + 2 * margin)
    theirs = np.asarray(picture.resize(shape, Image.Resampling.BILINEAR))
    assert ours.shape == theirs.shape
    assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= 1


def test_grey_is_pillows_luma_to_the_level() -> None:
    original = photo(64, 64)
    picture = Image.fromarray(original[0].permute(1, 2, 0).numpy()).convert("L")
    ours = image.extract(original, size=(64, 64), channels=1)
    assert ours.shape == (1, 1, 64, 64)
    np.testing.assert_array_equal(ours[0, 0].numpy(), np.asarray(picture))


def test_grey_becomes_colour_by_repeating_it() -> None:
    original = photo(40, 40, channels=1)
    ours = image.extract(original, size=(40, 40))
    assert torch.equal(ours, original.expand(-1, 3, -1, -1))
    assert ours.dtype == torch.uint8


def test_images_of_two_channels_are_refused() -> None:
    with pytest.raises(UsageError, match="images with 2 channels"):
        image.extract(photo(8, 8, channels=2))


@pytest.mark.parametrize("feature", [stft, logmel])
def test_a_clip_gives_the_same_alone_and_in_a_batch(feature: ModuleType) -> None:
    waveform = clips(5, seconds=1.0)
    settings = {"sample_rate": RATE_HZ} if feature is logmel else {}
    together = feature.extract(waveform, **settings)
    alone = torch.cat([feature.extract(clip[None], **settings) for clip in waveform])
    torch.testing.assert_close(alone, together, rtol=0, atol=1e-4)


def test_an_image_gives_the_same_alone_and_in_a_batch() -> None:
    images = torch.cat([photo(50, 60), photo(50, 60).flip(-1), 255 - photo(50, 60)])
    alone = torch.cat([image.extract(one[None]) for one in images])
    assert torch.equal(alone, image.extract(images))


@pytest.mark.parametrize("feature", [stft, logmel, image])
def test_every_setting_of_a_feature_is_typed_bounded_and_described(feature: ModuleType) -> None:
    fields = settings_model(feature.extract).model_fields
    assert fields
    assert all(field.description for field in fields.values())
    assert feature.MODALITY in ("audio", "visual")
    assert feature.VERSION >= 1
    assert feature.UNIT
