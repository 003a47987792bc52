"""Checkpoints: damage is refused, or the same weights and state come back."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import strategies as st

from pipelines.disk import store
from pipelines.training import checkpoint
from tests.fuzz.campaign import Campaign
from tests.fuzz.mutations import changed, damaged
from tests.fuzz.test_manifests import forge
from tests.unit.test_checkpoint import corrected, network, trained

EPOCHS = 10  # more than the state tells of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model, optimizer = trained()
    run = tmp_path / "run"
    run.mkdir()
    state = {
        "optimizer": optimizer.state_dict(),
        "rng": torch.get_rng_state(),
        "cuda_rng": None,
        "history": [{"epoch": 0, "train_loss": 0.5, "firing_rates": {"a": 0.5}}],
        "epoch": 1,
        "step": 2,
        "loss_sum": 0.5,
        "start_from": [],
    }
    checkpoint.save(run, 1, 2, model, checkpoint.copy_of(network()), state)
    return run / "checkpoint-000001-000002"


def loaded(folder: Path) -> tuple[Any, ...]:
    model = network()
    best, state = checkpoint.load_checkpoint(folder, model, EPOCHS)
    return model, best, state


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else bool(one == other)


def any_of(folder: Path, names: tuple[str, ...]) -> st.SearchStrategy[tuple[str, bytes]]:
    contents = {name: (folder / name).read_bytes() for name in names}
    return st.one_of(*(st.tuples(st.just(n), damaged(c)) for n, c in contents.items()))


def test_checkpoints(campaign: Campaign, folder: Path) -> None:
    names = (*checkpoint.FILES, "receipt.json")
    whole = {name: (folder / name).read_bytes() for name in names}
    first, best, state = loaded(folder)

    def attempt(bad: tuple[str, bytes]) -> None:
        for name, content in whole.items():
            (folder / name).write_bytes(content)
        (folder / bad[0]).write_bytes(bad[1])
        loaded_state, its_best, its_state = loaded(folder)
        assert same(dict(loaded_state.state_dict()), dict(first.state_dict()))
        assert same(its_best, best) and same(its_state, state)

    campaign(any_of(folder, names), attempt)


def test_checkpoints_whose_hashes_fit(campaign: Campaign, folder: Path) -> None:
    whole = {name: (folder / name).read_bytes() for name in checkpoint.FILES}

    def attempt(bad: tuple[str, bytes]) -> None:
        for name, content in whole.items():
            (folder / name).write_bytes(content)
        (folder / bad[0]).write_bytes(bad[1])
        corrected(folder)
        model, _, state = loaded(folder)
        optimizer = torch.optim.Adam(model.parameters())
        checkpoint.restore(folder, state, optimizer, torch.device("cpu"))

    campaign(any_of(folder, checkpoint.FILES), attempt)


def test_receipts_of_checkpoints_sealed_anew(campaign: Campaign, folder: Path) -> None:
    path = folder / "receipt.json"
    content = store.read_json(path)

    def attempt(bad: object) -> None:
        forge(path, bad)
        loaded(folder)

    campaign(changed(content), attempt)


def test_states_of_other_types(campaign: Campaign, folder: Path) -> None:
    _, _, state = loaded(folder)

    def attempt(bad: object) -> None:
        torch.save(bad, folder / "state.pt")
        corrected(folder)
        model, _, loaded_state = loaded(folder)
        optimizer = torch.optim.Adam(model.parameters())
        checkpoint.restore(folder, loaded_state, optimizer, torch.device("cpu"))

    campaign(changed(state), attempt)


def test_weights_of_a_run(campaign: Campaign, folder: Path) -> None:
    path = folder / "best.safetensors"
    content = path.read_bytes()

    def attempt(bad: bytes) -> None:
        path.write_bytes(bad)
        weights = checkpoint.load_weights(path, store.sha256(path))
        checkpoint.put_weights(network(), weights, path)

    campaign(damaged(content), attempt)
