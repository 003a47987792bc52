"""Rivals in one table differ in the network alone: data, inputs and training are one.

A table is the recipes of one folder with one suffix: `…_paper`, `…_authors`, `…_augmented`, or
none. What else differs is listed here, each with its reason, which the recipe's own heading gives
too.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from pipelines.recipe import recipe as recipes

SUFFIXES = ("paper", "authors", "room", "stand_in_images", "augmented")
# systems of another table than their neighbours', by folder or anywhere
SMLP = ("l2_act_spike_net_paper", "smlp_audio_paper", "smlp_paper")
OTHER_TABLE = {**dict.fromkeys(SMLP, "SMLP"), "array_sim/spikformer_audio": "what was heard"}
# trained as their own paper or its code has it
OWN_TRAINING = {
    **dict.fromkeys(
        ("resnet18_joint_paper", "ogm_ge_paper", "mslr_paper", "pmr_paper", "agm_paper"),
        "OGM-GE's public code",
    ),
    **dict.fromkeys(SMLP, "SMLP"),
    "sloclas_baseline_paper": "its authors' code",
}
# inputs as their own code has them, with what the rivals have in their place
OWN_INPUTS = {"sloclas_baseline_paper": {"scale": "none", "normalise": "training"}}


def system(name: str) -> str:
    return name.rpartition("/")[2]


def table_of(name: str) -> tuple[str, str, str]:
    """Return the table that a recipe stands in: folder, suffix, and which if another."""
    suffix = next((s for s in SUFFIXES if name.endswith(f"_{s}")), "")
    other = OTHER_TABLE.get(name) or OTHER_TABLE.get(system(name), "")
    return name.rpartition("/")[0], suffix, other


NAMES = sorted((name for name in recipes.bundled_names() if "/" in name), key=table_of)
TABLES = {key: list(names) for key, names in itertools.groupby(NAMES, key=table_of)}


def parts(name: str) -> Iterator[tuple[str, Any]]:
    """List what a recipe should share with its rivals: a section's name, and its settings."""
    found = recipes.load_recipe(recipes.find(name), with_model=False).resolved()
    yield "seed", found["seed"]
    yield "data", found["data"]
    for modality in {"audio", "visual"} & found.keys():
        yield modality, found[modality] | OWN_INPUTS.get(system(name), {})
    if system(name) not in OWN_TRAINING:
        yield "train", found["train"]
    # a network of one modality can have noise there alone
    if {"audio", "visual"} <= found.keys():
        yield "noisy inputs", found["noise"]["modality"]
    yield "noise", {k: v for k, v in found["noise"].items() if k != "modality"}


@pytest.mark.parametrize("table", [t for t in TABLES if len(TABLES[t]) > 1], ids=" ".join)
def test_rivals_share_data_inputs_and_training_but_for_what_their_paper_says(
    table: tuple[str, str, str],
) -> None:
    first: dict[str, tuple[str, Any]] = {}
    for name in TABLES[table]:
        for part, settings in parts(name):
            of, expected = first.setdefault(part, (name, settings))
            assert settings == expected, f"{part} of {name} is not that of {of}"


@pytest.mark.parametrize("name", [name for name in NAMES if system(name) in OWN_TRAINING])
def test_a_training_of_its_own_is_said_in_the_recipes_heading(name: str) -> None:
    lines = recipes.find(name).read_text(encoding="utf-8").splitlines()
    heading = itertools.takewhile(lambda line: line.startswith("#"), lines)
    assert OWN_TRAINING[system(name)] in " ".join(line.lstrip("# ") for line in heading)
