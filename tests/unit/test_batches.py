"""Batches: what is in them, their order, and that streamed and resident ones are the same."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.cache.rows import Block, write
from pipelines.clips.clips import Clip
from pipelines.disk import seal
from pipelines.download import manifest
from pipelines.errors import DataError
from pipelines.plan.data_plan import CachePlan, DataPlan
from pipelines.recipe import recipe as recipes
from pipelines.recipe.recipe import Recipe
from pipelines.recipe.schema import DataInput
from pipelines.recipe.settings_from_signature import Section
from pipelines.training.batches import (
    Batch,
    Split,
    evenly,
    in_order,
    loader,
    open_split,
    training_order,
)

CPU = torch.device("cpu")


# 5 recordings and 9 images in the cache, 11 clips that share some of them
CLIPS = [Clip(f"c{i}", "train", i % 3, "", f"a{i % 5}", f"v{8 - i % 9}") for i in range(11)]
VALUES = {
    "audio": np.random.default_rng(1).normal(size=(5, 1, 3, 4)).astype(np.float16),
    "visual": np.random.default_rng(2).integers(0, 256, (9, 3, 2, 2), dtype=np.uint8),
}


def planned(folder: Path, *modalities: str) -> DataPlan:
    """Write the caches of a plan under a folder."""
    caches = {}
    for modality in modalities:
        data, letter = VALUES[modality], modality[0]
        sources = [f"{letter}{i}" for i in range(len(data))]
        hashes = np.arange(len(data), dtype=np.uint64)
        write(
            folder / modality / "train.h5",
            len(data),
            data.shape[1:],
            data.dtype,
            [Block(sources, data, hashes, hashes)],
            {},
        )
        path = folder / modality / "train.h5"
        statistics = {"mean": [0.0], "sd": [1.0]}
        seal.receipt(
            folder / modality,
            artefact=modality,
            stage="cache",
            files={path.name: path},
            made_from={"feature": "stft", "settings": {}, "statistics": statistics},
            more={"excluded": {}, "content_sha256": "0" * 64, "clips_sha256": "0" * 64},
        )
        caches[modality] = CachePlan(modality, folder / modality, Section(), {})
    data_input = DataInput(dataset="digits-av")
    return DataPlan(
        manifest.load_manifest("digits-av"),
        folder,
        False,
        folder / "clips.jsonl",
        data_input,
        caches,
    )


def split_of(folder: Path, *modalities: str) -> Split:
    other = Clip("x", "test", 0, "", "not there", "not there")
    return open_split(planned(folder, *modalities), [*CLIPS, other], "train")


def quickstart(*settings: str) -> Recipe:
    return recipes.load_recipe(recipes.find("quickstart"), settings)


def batches_of(split: Split, *settings: str) -> list[Batch]:
    order = training_order(len(split), 4, seed=3, epoch=2)
    return list(loader(split, quickstart(*settings), CPU)(order))


@pytest.mark.parametrize("wish", ["yes", "no"])
def test_a_batch_holds_the_clips_that_were_asked_for(tmp_path: Path, wish: str) -> None:
    split = split_of(tmp_path, "audio", "visual")
    seen = []
    for batch in batches_of(split, f"train.data_on_device={wish}"):
        assert batch.audio is not None
        assert batch.visual is not None
        for place, number in enumerate(batch.numbers.tolist()):
            assert batch.labels[place] == number % 3
            assert np.array_equal(batch.audio[place].numpy(), VALUES["audio"][number % 5])
            assert np.array_equal(batch.visual[place].numpy(), VALUES["visual"][8 - number % 9])
            assert batch.audio_rows is not None
            assert batch.audio_rows[place] == number % 5
            seen.append(number)
    assert sorted(seen) == list(range(11))


def test_resident_and_streamed_batches_are_the_same_and_draw_no_random_number(
    tmp_path: Path,
) -> None:
    split = split_of(tmp_path, "audio", "visual")
    before = torch.get_rng_state()
    found = [
        batches_of(split, f"train.data_on_device={wish}", f"runtime.num_workers={workers}")
        for wish, workers in (("yes", 0), ("no", 0), ("no", 1))
    ]
    for other in found[1:]:
        for one, same in zip(found[0], other, strict=True):
            for a, b in zip(one, same, strict=True):
                if a is None or b is None:
                    assert a is b is None  # this data set has no azimuths
                    continue
                assert a.dtype == b.dtype
                assert torch.equal(a, b)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("wish", ["yes", "no"])
@pytest.mark.parametrize(("has", "lacks"), [("audio", "visual"), ("visual", "audio")])
def test_a_modality_that_the_recipe_lacks_is_none(
    tmp_path: Path, has: str, lacks: str, wish: str
) -> None:
    batch = batches_of(split_of(tmp_path, has), f"train.data_on_device={wish}")[0]
    assert getattr(batch, lacks) is None
    assert len(getattr(batch, has)) == 4
    assert (batch.audio_rows is None) == (lacks == "audio")


def test_a_clip_that_the_cache_does_not_have_is_one_line(tmp_path: Path) -> None:
    plan = planned(tmp_path, "audio")
    with pytest.raises(DataError, match="not there") as caught:
        open_split(plan, [replace(CLIPS[0], audio="not there")], "train")
    assert str(tmp_path / "audio" / "train.h5") in caught.value.message


def test_the_order_is_a_shuffle_that_seed_and_epoch_alone_decide() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return np.concatenate(training_order(100, 16, seed, epoch)).tolist()

    first = order(1, 2)
    np.random.seed(0)
    torch.manual_seed(0)
    assert order(1, 2) == first == np.random.default_rng([1, 2]).permutation(100).tolist()
    assert sorted(first) == list(range(100))
    assert len({tuple(order(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9


@pytest.mark.parametrize(
    ("clips", "batch_size", "sizes"),
    [(9, 4, [4, 4]), (10, 4, [4, 4, 2]), (8, 4, [4, 4]), (1, 4, [1]), (3, 1, [1, 1]), (3, 8, [3])],
)
def test_a_last_batch_of_a_single_clip_is_dropped(
    clips: int, batch_size: int, sizes: list[int]
) -> None:
    assert [len(chosen) for chosen in training_order(clips, batch_size, 0, 0)] == sizes


def test_evaluation_sees_every_clip_once_in_order() -> None:
    order = in_order(9, 4)
    assert [chosen.tolist() for chosen in order] == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]


@pytest.mark.parametrize(("n", "most"), [(1, 1), (3, 8), (8, 8), (31, 8), (1000, 64), (7, 1)])
def test_some_of_many_are_chosen_evenly_with_both_ends(n: int, most: int) -> None:
    chosen = evenly(n, most)
    assert len(chosen) == min(n, most) and chosen[0] == 0
    assert chosen[-1] == n - 1 or most == 1
    gaps = np.diff(chosen)
    assert not len(gaps) or gaps.max() - gaps.min() <= 1
