"""Read an export: model.json describes the network, weights.safetensors holds its numbers.

Nothing in the two files is trusted: the weights must have the size and hash in model.json, the
settings pass the schema of the model, and the network takes no memory until every name and shape
has been compared. There is no pickle.
"""

import json
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from pipelines import registry
from pipelines.disk import store
from pipelines.errors import AvsnnError, DataError
from pipelines.recipe.messages import printable
from pipelines.recipe.schema_messages import plain_words
from pipelines.recipe.settings_from_signature import Section, keyword_arguments, settings_model
from pipelines.snn.dsln import DSLN
from pipelines.snn.dsln_folding import FrameLinear
from pipelines.snn.fold import BatchNorm, Folded, Layer

FORMAT, VERSION = "avsnn-export", 1
DESCRIPTION, WEIGHTS, NIR = "model.json", "weights.safetensors", "network.nir"
EXPORT_AGAIN = "export it again: avsnn export RUN"
MAX_DESCRIPTION_BYTES = 8 << 20
MAX_MESSAGE = 400  # characters; names in a file may be of any length
MAX_HEADER_BYTES = 16 << 20  # of a safetensors file, beside its numbers
MAX_SIZES = {"classes": 1_000_000, "audio_channels": 65536, "visual_channels": 65536}
# parameters are float32; counters and masks keep their type
TYPES = {torch.float32: "F32", torch.int64: "I64", torch.bool: "BOOL"}
# what a constructor raises for settings that contradict each other
REFUSALS = (ValueError, TypeError, RuntimeError, ArithmeticError, LookupError, AssertionError)

Name = Annotated[str, Field(max_length=300)]


class Fold(Section):
    """A folded norm, and the layer that holds its scale and shift."""

    norm: Name
    into: Name


class Network(Section):
    """A model of the registry with all its settings."""

    name: Annotated[str, Field(max_length=100, pattern="^[a-z0-9-]+$")]
    settings: dict[str, Any]


class Weights(Section):
    """The file of the weights: its size in bytes and its sha256."""

    model_config = ConfigDict(extra="ignore")

    file: Literal["weights.safetensors"]
    bytes: Annotated[int, Field(ge=8)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Description(Section):
    """The part of model.json that loading needs; the rest informs its readers."""

    model_config = ConfigDict(extra="ignore")

    format: Literal["avsnn-export"]
    format_version: Literal[1]
    model: Network
    folded: Annotated[list[Fold], Field(max_length=100_000)]
    weights: Weights


def load_network(folder: Path | str) -> nn.Module:
    """Return an exported network on the CPU, in float32 and in evaluation mode.

    Raises DataError for a file that is missing, damaged, or not of the network that it names.
    """
    folder = Path(folder)
    described = description(folder)
    try:
        network = _restored(described, folder / DESCRIPTION)
        weights = _tensors(folder / WEIGHTS, described.weights, network.state_dict())
    except AvsnnError as error:
        raise DataError(printable(error.message)[:MAX_MESSAGE], EXPORT_AGAIN) from error
    network.load_state_dict(weights, assign=True)
    return network.requires_grad_(True).eval()


def description(folder: Path) -> Description:
    """Read and check model.json. Raises DataError with its first fault."""
    path = folder / DESCRIPTION
    if path.exists() and not path.is_file():
        raise DataError(f"{path} is not a file", EXPORT_AGAIN)
    # limited before it is parsed: a file may be of any size
    content = store.read_json(path, MAX_DESCRIPTION_BYTES)
    try:
        return Description.model_validate_json(json.dumps(content))
    except ValidationError as error:
        raise DataError(f"{path}: {_first_fault(error)}", EXPORT_AGAIN) from None
    except (ValueError, RecursionError):  # text that is no UTF-8; lists nested too deep
        raise DataError(f"{path} is damaged", EXPORT_AGAIN) from None


def rebuilt(name: str, settings: dict[str, Any]) -> nn.Module:
    """Build a model of the registry from plain settings, on torch's current default device.

    settings: all keyword-only parameters, classes and channels among them. Raises DataError if the
    schema of the model or its constructor refuses them.
    """
    build = registry.load_module("model", name).build
    # before the constructor computes with them: the file may name any number
    for key, most in MAX_SIZES.items():
        size = settings.get(key)
        if isinstance(size, int) and not 1 <= size <= most:
            raise DataError(f"model.settings.{key} is {size}, not 1 to {most}")
    try:
        section = settings_model(build).model_validate_json(json.dumps(settings))
        model: nn.Module = build(**keyword_arguments(build, section))
    except ValidationError as error:
        raise DataError(f"model.settings: {_first_fault(error)}") from None
    except REFUSALS as error:
        reason = str(error).splitlines() or [type(error).__name__]
        raise DataError(f"model.settings: {reason[0]}") from error
    return model


def fold_shape(network: nn.Module, norm_name: str, layer_name: str) -> None:
    """Replace a norm and its layer by what folding leaves, without numbers.

    Raises DataError if the two do not fold into each other.
    """
    modules = dict(network.named_modules())
    norm, layer = modules.get(norm_name), modules.get(layer_name)
    if not isinstance(norm, BatchNorm | DSLN) or not isinstance(layer, Layer):
        raise DataError(f"no norm {norm_name!r} folds into a layer {layer_name!r}")
    size = layer.weight.shape[0]
    if layer.bias is None:
        layer.bias = nn.Parameter(torch.empty(size, device=layer.weight.device))
    # DSLN normalises each frame by its own variance: the layer gets weights for each
    if isinstance(norm, DSLN) and norm.running_variance.dim():
        shape = (len(norm.running_variance), *layer.weight.shape)
        empty = partial(torch.empty, device=layer.weight.device)
        network.set_submodule(layer_name, FrameLinear(empty(shape), empty(shape[:2])))
    network.set_submodule(norm_name, Folded())


def _restored(described: Description, path: Path) -> nn.Module:
    """Build the folded network without memory for its numbers."""
    try:
        with torch.device("meta"):
            network = rebuilt(described.model.name, described.model.settings)
        for fold in described.folded:
            fold_shape(network, fold.norm, fold.into)
    except AvsnnError as error:
        raise DataError(f"{path}: {error.message}") from error
    return network


def _tensors(path: Path, listed: Weights, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Read the weights. Raises DataError unless size, hash, names and shapes are as expected.

    listed: the weights in model.json. state: of the network, on "meta".
    """
    most = sum(x.numel() * x.itemsize for x in state.values()) + MAX_HEADER_BYTES
    try:
        if not path.is_file():
            raise DataError(f"{path} is missing")
        size = path.stat().st_size
        # the size first, so that a huge file is not hashed
        if size != listed.bytes or size > most:
            raise DataError(f"{path} has {size} bytes, not the {listed.bytes} of its network")
        if store.sha256(path) != listed.sha256:
            raise DataError(f"{path} is damaged: its sha256 is not the one in {DESCRIPTION}")
        with safe_open(path, "pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            _compare(path, slices, state)
            # cloned: the tensors of an open file are a memory map of it
            return {name: file.get_tensor(name).clone() for name in state}
    except (OSError, SafetensorError) as error:
        raise DataError(f"cannot read {path}: {str(error).splitlines()[0]}") from error


def _compare(path: Path, slices: dict[str, Any], state: dict[str, Tensor]) -> None:
    """Raise DataError unless the names, shapes and types are those of the network."""
    for name in sorted(state.keys() ^ slices.keys()):
        raise DataError(f"{path} {'lacks' if name in state else 'has an extra'} tensor {name!r}")
    for name, like in state.items():
        in_file, expected = (
            f"{kind} {shape}"
            for kind, shape in (
                (slices[name].get_dtype(), list(slices[name].get_shape())),
                (TYPES.get(like.dtype), list(like.shape)),
            )
        )
        if in_file != expected:
            raise DataError(f"{path}: {name} is {in_file}, not {expected}")


def _first_fault(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    rule, value = plain_words(first)
    if first["type"] == "extra_forbidden":
        rule, value = "unknown setting", ""
    elif first["type"] == "json_invalid":
        return "damaged"
    place = ".".join(str(part) for part in first["loc"])[:100]
    return printable(f"{place}: {rule}{f' ({value})' if value else ''}")
