"""A network that says where a sound is from is held to where it was, on the circle."""

import numpy as np
import pytest
import torch

from pipelines.ann.output import Output
from pipelines.clips.clips import Clip
from pipelines.evaluation.evaluate import directions
from pipelines.recipe import recipe as recipes
from pipelines.training.batches import Batch, Split
from pipelines.training.infer import predict


class Compass(torch.nn.Module):
    """Says the azimuth that stands in its input, and class 0."""

    def forward(self, audio):
        scores = torch.nn.functional.one_hot(audio.long().flatten(), 360).float()
        return Output(torch.tensor([[1.0, 0.0]]).repeat(len(audio), 1), azimuth=scores)


def found(said, true):
    clips = [Clip(str(i), "test", 0, "", "", "", azimuth_deg=a) for i, a in enumerate(true)]
    known = None if None in true else np.array(true, np.float32)
    split = Split(clips, np.zeros(len(said), np.int64), known, {}, {})
    audio = torch.tensor(said, dtype=torch.float32)[:, None]

    def batches(order):
        for numbers in order:
            labels = torch.zeros(len(numbers), dtype=torch.int64)
            yield Batch(audio[numbers], None, labels, torch.from_numpy(numbers), None)

    recipe = recipes.load_recipe(recipes.find("quickstart"))
    result = predict(
        Compass(),
        split,
        batches,
        lambda batch: (batch.audio, None),
        recipe,
        lambda: torch.autocast("cpu", enabled=False),
    )
    return directions(result, clips)


def test_errors_are_the_shorter_way_round():
    """359 for 1 is 2° off, 90 for 86 is 4°, 180 for 0 is 180°."""
    said = found([359, 90, 180, 7], [1.0, 86.0, 0.0, 7.0])
    assert said["doa"]["mae_deg"] == pytest.approx((2 + 4 + 180 + 0) / 4)
    assert said["doa"]["below_2_5_deg"] == 0.5 and said["doa"]["up_to_5_deg"] == 0.75
    assert said["azimuths_deg"] == {"0": 359.0, "1": 90.0, "2": 180.0, "3": 7.0}
    assert said["true_azimuths_deg"] == {"0": 1.0, "1": 86.0, "2": 0.0, "3": 7.0}


def test_where_nobody_knows_the_azimuth_there_is_no_error():
    assert set(found([10, 20], [10.0, None])) == {"azimuths_deg"}
