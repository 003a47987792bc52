"""Checkpoints: a folder each, published whole, checked against its receipt before it is loaded.

`checkpoint-<epoch>-<step>/` holds the weights and the best weights so far as safetensors, and the
rest (optimiser, random state, history) as a file that `torch.load(weights_only=True)` reads.
"""

import io
import pickle
import re
import shutil
import struct
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from pipelines.disk import room, seal, store
from pipelines.errors import DataError
from pipelines.training import state_file

NAME = re.compile(r"checkpoint-[0-9]{6}-[0-9]{6}")
TRAIN_AGAIN = "train again with --fresh"
# what torch.load(weights_only=True) raises for bytes that are not what torch.save wrote
NOT_A_STATE = (
    OSError,
    RuntimeError,
    pickle.UnpicklingError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    struct.error,
)
FILES = ("weights.safetensors", "best.safetensors", "state.pt")
KEYS = {"history", "epoch", "step", "loss_sum", "start_from"}


def write_weights(
    path: Path, weights: dict[str, Tensor], metadata: dict[str, str] | None = None
) -> None:
    """Write a safetensors file, which takes only contiguous tensors."""
    # the library's own save_file makes files that nobody but the owner may read, whatever the umask
    room.write(path, to_bytes({n: t.contiguous() for n, t in weights.items()}, metadata))


def save_weights(path: Path, weights: dict[str, Tensor]) -> None:
    """Publish weights as safetensors."""
    with store.publish(path) as part:
        write_weights(part, weights)


def load_weights(path: Path, expected_sha256: str) -> dict[str, Tensor]:
    """Read weights. Raises DataError if missing, damaged, or not the bytes that were written."""
    try:
        # the hash first: safetensors reads flipped bits as other weights
        digest = store.sha256(path)
        if digest != expected_sha256:
            raise DataError(
                f"{path} is damaged: sha256 {digest}, not {expected_sha256}",
                "train again with --fresh, or restore the file",
            )
        weights: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise DataError(f"cannot read {path}: {error}", TRAIN_AGAIN) from error
    return weights


def put_weights(model: nn.Module, weights: dict[str, Tensor], where: Path) -> None:
    """Load weights into a model. Raises DataError if they are another network's."""
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise DataError(f"{where} does not fit the recipe's network: {first}") from error


def copy_of(model: nn.Module) -> dict[str, Tensor]:
    """Copy a model's weights and buffers."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def save(
    run: Path,
    epoch: int,
    step: int,
    model: nn.Module,
    best: dict[str, Tensor],
    state: dict[str, Any],
) -> None:
    """Publish a checkpoint taken after `step` steps of `epoch`, then remove the older ones."""
    folder = run / f"checkpoint-{epoch:06d}-{step:06d}"
    with store.publish(folder) as part:
        part.mkdir()
        write_weights(part / FILES[0], model.state_dict())
        write_weights(part / FILES[1], best)
        # to memory first: on a full disk torch's own writing ends in an error of its own making
        written = io.BytesIO()
        torch.save(state, written)
        room.write(part / FILES[2], written.getbuffer())
        files = {name: part / name for name in FILES}
        seal.receipt(
            part,
            artefact=folder.name,
            stage="checkpoint",
            made_from={"run": run.name},
            files=files,
        )
    # only now: a kill before this leaves two checkpoints, never none
    for older in sorted(run.glob("checkpoint-*")):
        if NAME.fullmatch(older.name) and older.is_dir() and older.name != folder.name:
            shutil.rmtree(older)


def restore(
    where: Path, state: dict[str, Any], optimizer: torch.optim.Optimizer, device: torch.device
) -> None:
    """Put the optimiser and the random state back. Raises DataError if the state is another's."""
    try:
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["rng"])
        if device.type == "cuda" and state["cuda_rng"] is not None:
            torch.cuda.set_rng_state(state["cuda_rng"], device)
        if lacking := KEYS - state.keys():
            raise KeyError(*sorted(lacking))
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError, RuntimeError) as error:
        raise DataError(
            f"{where} is not a checkpoint of this recipe: {error}", TRAIN_AGAIN
        ) from error


def newest(run: Path) -> Path | None:
    """Return the newest checkpoint of a run, None if it has none."""
    folders = sorted(
        path for path in run.glob("checkpoint-*") if NAME.fullmatch(path.name) and path.is_dir()
    )
    return (
        folders[-1] if folders else None
    )  # numbers are padded: the order of names is that of steps


def load_checkpoint(
    folder: Path, model: nn.Module, epochs: int
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Load a checkpoint into a model; returns the best weights and the state.

    epochs: the most epochs that the state's history can hold. Raises DataError if a file is not,
    byte for byte, what was written.
    """
    receipt = seal.read_sealed(folder / "receipt.json", TRAIN_AGAIN)
    try:
        if receipt["artefact"] != folder.name or receipt["made_from"]["run"] != folder.parent.name:
            raise DataError(f"{folder}/receipt.json is another checkpoint's", TRAIN_AGAIN)
        hashes = [receipt["files"][name]["sha256"] for name in FILES]
    except (KeyError, TypeError) as error:
        raise DataError(f"{folder}/receipt.json is damaged: {error}", TRAIN_AGAIN) from error
    weights, best = (
        load_weights(folder / name, expected)
        for name, expected in zip(FILES[:2], hashes, strict=False)
    )
    path = folder / FILES[2]
    try:
        if store.sha256(path) != hashes[2]:
            raise DataError(f"{path} is damaged", TRAIN_AGAIN)
        # before torch.load, which would allocate whatever the file asks for
        state_file.check(path, model, epochs, TRAIN_AGAIN)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except NOT_A_STATE as error:
        raise DataError(f"cannot read {path}: {error}", TRAIN_AGAIN) from error
    put_weights(model, weights, folder)
    return best, state
