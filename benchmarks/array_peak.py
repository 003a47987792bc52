"""Measure GCC-PHAT's own peaks, without a network: the baseline of the table of localisers."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines import device as machine
from pipelines.cache.receipts import clips_of
from pipelines.datasets import array_sim
from pipelines.evaluation.evaluate import doa_summary
from pipelines.features import gcc_phat
from pipelines.plan.plan import plan_data
from pipelines.recipe import recipe as recipes
from pipelines.signal.arrays import azimuth_of, circle, peak_lags, srp_phat
from pipelines.signal.noise import add_noise, noise_keys
from pipelines.snn.doa import errors
from pipelines.training.batches import open_split
from pipelines.training.inputs import Inputs

Array = NDArray[np.float64]
RADIUS_M = 0.03232  # array_sim's, unless the recipe says otherwise
MAX_LAG = 8  # 0.5 ms: sound takes 0.19 ms across the array


def measure_peaks(name: str) -> list[dict[str, Any]]:
    """Locate a recipe's test clips, clean and with the noise of its noise curve.

    There are two ways: least squares over the highest lag of each pair of the time-averaged
    transform, and the steered response power (SRP-PHAT) every degree. Returns a row for each way
    and ratio.
    """
    recipe = recipes.load_recipe(recipes.find(name))
    plan = plan_data(recipe)
    split = open_split(plan, clips_of(plan), "test")
    inputs = Inputs(recipe, plan, machine.choose("cpu"))
    waveforms = inputs.waveforms(split.caches["audio"])
    rows = [int(row) for row in split.rows["audio"]]
    truth = torch.tensor([clip.azimuth_deg for clip in split.clips])
    names = [clip.id for clip in split.clips]
    positions = circle(array_sim.MICROPHONES, RADIUS_M, array_sim.FIRST_DEG)
    measured = []
    for snr_db in (None, *recipe.noise.snr_db.levels()):
        clips = waveforms[rows]
        if snr_db is not None:
            # the keys of the noise curve: network and baseline get the same samples
            keys = noise_keys(recipe.noise.seed, names, "audio", snr_db)
            clips = add_noise(clips, snr_db, keys, recipe.noise.power)
        for way, locate in (("peaks", _from_peaks), ("srp", _from_power)):
            azimuths = torch.from_numpy(locate(clips, positions))
            measured.append({"way": way, "snr_db": snr_db, **doa_summary(errors(azimuths, truth))})
    return measured


def _from_peaks(waveforms: torch.Tensor, positions: Array) -> Array:
    gcc = gcc_phat.extract(waveforms, sample_rate=array_sim.RATE_HZ, max_lag=MAX_LAG)
    lags = peak_lags(gcc.mean(-1).double().numpy())
    return azimuth_of(lags / array_sim.RATE_HZ, positions)


def _from_power(waveforms: torch.Tensor, positions: Array) -> Array:
    azimuths = np.arange(360.0)
    power = [srp_phat(clip.numpy(), array_sim.RATE_HZ, positions, azimuths) for clip in waveforms]
    return azimuths[np.argmax(power, -1)]
