"""Checkpoints bring everything back, and one that is damaged or hostile is one line."""

import contextlib
import os
import pickle
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pipelines.disk import seal, store
from pipelines.errors import DataError
from pipelines.training import checkpoint

EPOCHS = 3


def network(width: int = 4) -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width), nn.Linear(width, 2))


def trained(width: int = 4) -> tuple[nn.Sequential, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = network(width)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(8, 3)).square().sum().backward()
        optimizer.step()
    return model, optimizer


def saved(run: Path, epoch: int = 1, step: int = 2, width: int = 4) -> Path:
    model, optimizer = trained(width)
    best = checkpoint.copy_of(network(width))
    state = {
        "optimizer": optimizer.state_dict(),
        "rng": torch.get_rng_state(),
        "epoch": epoch,
        "history": [{"lr": 0.1, "firing_rates": {"a": 0.5}}],
        "cuda_rng": None,
    }
    run.mkdir(exist_ok=True)
    checkpoint.save(run, epoch, step, model, best, state)
    return run / f"checkpoint-{epoch:06d}-{step:06d}"


def corrected(folder: Path) -> None:
    """Rewrite the receipt so that it fits the files, as one who means harm would."""
    files = {name: folder / name for name in checkpoint.FILES}
    seal.receipt(
        folder,
        artefact=folder.name,
        stage="checkpoint",
        made_from={"run": folder.parent.name},
        files=files,
    )


def test_a_checkpoint_brings_back_weights_best_weights_and_state(tmp_path: Path) -> None:
    model, optimizer = trained()
    best = checkpoint.copy_of(network())
    state = {"optimizer": optimizer.state_dict(), "rng": torch.get_rng_state(), "step": 7}
    checkpoint.save(tmp_path, 1, 2, model, best, state)
    fresh = network()
    found_best, found = checkpoint.load_checkpoint(
        tmp_path / "checkpoint-000001-000002", fresh, EPOCHS
    )
    for mine, theirs in ((fresh.state_dict(), model.state_dict()), (found_best, best)):
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert found["step"] == 7
    assert torch.equal(found["rng"], state["rng"])
    again = torch.optim.Adam(fresh.parameters(), lr=0.01)
    again.load_state_dict(found["optimizer"])
    x = torch.randn(8, 3)
    for one, its in ((model, optimizer), (fresh, again)):
        its.zero_grad()
        one(x).square().sum().backward()
        its.step()
    assert torch.equal(model[0].weight, fresh[0].weight), "goes on in the same bits"


def test_a_copy_of_the_weights_does_not_move_with_the_model() -> None:
    model = network()
    copy = checkpoint.copy_of(model)
    with torch.no_grad():
        model[0].weight.add_(1)
    assert not torch.equal(copy["0.weight"], model[0].weight)


def test_weights_in_another_memory_layout_come_back(tmp_path: Path) -> None:
    weight = torch.randn(2, 3, 3, 3).contiguous(memory_format=torch.channels_last)
    checkpoint.save_weights(tmp_path / "x.safetensors", {"w": weight})
    hash_ = store.sha256(tmp_path / "x.safetensors")
    assert torch.equal(checkpoint.load_weights(tmp_path / "x.safetensors", hash_)["w"], weight)


@pytest.mark.parametrize("name", checkpoint.FILES)
def test_a_flipped_bit_of_any_file_is_found(tmp_path: Path, name: str) -> None:
    folder = saved(tmp_path / "run")
    content = (folder / name).read_bytes()
    for place in (0, len(content) // 2, len(content) - 1):
        damaged = bytearray(content)
        damaged[place] ^= 1
        (folder / name).write_bytes(damaged)
        with pytest.raises(DataError, match="is damaged") as caught:
            checkpoint.load_checkpoint(folder, network(), EPOCHS)
        assert str(folder / name) in caught.value.message
        assert "--fresh" in caught.value.hint
    (folder / name).unlink()
    with pytest.raises(DataError, match=name):
        checkpoint.load_checkpoint(folder, network(), EPOCHS)


def test_a_damaged_receipt_is_one_line(tmp_path: Path) -> None:
    folder = saved(tmp_path / "run")
    content = (folder / "receipt.json").read_bytes()
    for place in range(0, len(content), 5):
        damaged = bytearray(content)
        damaged[place] ^= 1
        (folder / "receipt.json").write_bytes(damaged)
        try:
            # a bit of "versions" changes nothing that is read
            checkpoint.load_checkpoint(folder, network(), EPOCHS)
        except DataError as error:
            assert str(folder) in error.message
    for text in ("[]", "{}", '{"files": []}', '{"files": {"state.pt": 3}}'):
        (folder / "receipt.json").write_text(text)
        with pytest.raises(DataError, match="receipt"):
            checkpoint.load_checkpoint(folder, network(), EPOCHS)


class Hostile:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


@pytest.mark.parametrize("form", ["torch", "pickle"])
def test_a_pickle_that_runs_a_command_is_refused_and_does_not_run(
    tmp_path: Path, form: str
) -> None:
    folder, victim = saved(tmp_path / "run"), tmp_path / "victim"
    hostile = {"optimizer": Hostile(f"touch {victim}")}
    if form == "torch":
        torch.save(hostile, folder / "state.pt")
    else:
        (folder / "state.pt").write_bytes(pickle.dumps(hostile))
    corrected(folder)
    with pytest.raises(DataError, match=r"cannot read .*state\.pt"):
        checkpoint.load_checkpoint(folder, network(), EPOCHS)
    assert not victim.exists()
    with contextlib.suppress(RuntimeError):  # a bare pickle runs, and is then no checkpoint
        torch.load(folder / "state.pt", weights_only=False)
    assert victim.exists(), "the trap itself works"


def bomb(folder: Path, pickled: bytes, compression: int = zipfile.ZIP_STORED) -> None:
    """Exchange the pickle in a state for another."""
    path = folder / "state.pt"
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w", compression) as new:
        for name, content in members.items():
            new.writestr(name, pickled if name.endswith("data.pkl") else content)
    corrected(folder)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("width", [4, 1_000_000])  # beside large weights the file is not too large
def test_a_pickle_bomb_of_60_mb_is_refused_before_it_is_unpacked(
    tmp_path: Path, compression: int, width: int
) -> None:
    folder, model = saved(tmp_path / "run", width=width), network(width)
    bomb(folder, b"\x80\x02" + b"]" * 60_000_000 + b".", compression)
    began = time.monotonic()
    with pytest.raises(DataError, match=r"state\.pt has [0-9]+ bytes") as caught:
        checkpoint.load_checkpoint(folder, model, EPOCHS)
    assert time.monotonic() - began < 10 and "--fresh" in caught.value.hint


def test_what_unpacks_to_more_than_its_own_size_is_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path / "run")
    bomb(folder, b"\x80\x02" + b"]" * 1000 + b".", zipfile.ZIP_DEFLATED)
    with pytest.raises(DataError, match="unpacks to more than its own size"):
        checkpoint.load_checkpoint(folder, network(), EPOCHS)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80",
        b"PK\x03\x04",
        b"x" * 1000,
        b"\x80\x02]q\x00.",
        # 68 bytes that end inside a float, and a tensor rebuilt from nothing
        b"\x80\x02X\x39\x00\x00\x00" + b"x" * 57 + b"G\x00\x00\x00",
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.",
    ],
)
@pytest.mark.parametrize("name", checkpoint.FILES)
def test_a_file_that_is_nothing_of_ours_is_one_line(
    tmp_path: Path, name: str, content: bytes
) -> None:
    folder = saved(tmp_path / "run")
    (folder / name).write_bytes(content)
    corrected(folder)
    with pytest.raises(DataError, match=name):
        checkpoint.load_checkpoint(folder, network(), EPOCHS)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path / "run")
    with pytest.raises(DataError, match="does not fit the recipe's network"):
        checkpoint.load_checkpoint(folder, network(width=5), EPOCHS)
    with pytest.raises(DataError, match="does not fit the recipe's network"):
        checkpoint.load_checkpoint(folder, network()[:2], EPOCHS)


def test_the_newest_checkpoint_stays_alone_and_what_is_not_ours_stays(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert checkpoint.newest(run) is None
    foreign = ["checkpoint-mine", "checkpoint-999999-000000.bak", "checkpoint-9999999-000000", "x"]
    for name in foreign:
        (run / name).mkdir(parents=True)
    (run / "checkpoint-999999-000000").touch()
    assert checkpoint.newest(run) is None
    saved(run, 9, 30)
    saved(run, 10, 0)
    assert checkpoint.newest(run) == run / "checkpoint-000010-000000"
    kept = {path.name for path in run.iterdir()} - {"checkpoint-999999-000000"}
    assert kept == {*foreign, "checkpoint-000010-000000"}


def test_a_checkpoint_of_a_killed_run_that_was_half_written_is_never_the_newest(
    tmp_path: Path,
) -> None:
    folder = saved(tmp_path / "run")
    half = folder.with_name(".checkpoint-000002-000000.77.part")
    half.mkdir()
    assert checkpoint.newest(tmp_path / "run") == folder


def test_every_file_of_a_checkpoint_has_the_mode_that_the_umask_gives(tmp_path: Path) -> None:
    for umask, wanted in ((0o022, 0o644), (0o027, 0o640), (0o002, 0o664)):
        run = tmp_path / f"{umask:o}"
        before = os.umask(umask)
        try:
            folder = saved(run)
            checkpoint.save_weights(run / "best.safetensors", {"x": torch.ones(2, 3).T})
        finally:
            os.umask(before)
        files = [*folder.iterdir(), run / "best.safetensors"]
        assert [path.stat().st_mode & 0o777 for path in files] == [wanted] * 5


def test_an_optimiser_with_a_step_that_no_float_holds_is_named(tmp_path):
    _, optimizer = trained()
    state = {"optimizer": optimizer.state_dict(), "rng": torch.get_rng_state(), "cuda_rng": None}
    state["optimizer"]["state"][0]["step"] = 10**400
    with pytest.raises(DataError, match="not a checkpoint of this recipe"):
        checkpoint.restore(tmp_path, state, optimizer, torch.device("cpu"))
