"""Read an export: model.json says what the network is, weights.safetensors holds its numbers.

Nothing in the two files is trusted: the weights are the bytes that model.json names, the settings
go through the model's own schema, and the network is built without memory until every name and
shape has been compared. There is no pickle.
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
HINT = "export it again: avsnn export RUN"
MAX_DESCRIPTION_BYTES = 8 << 20
MAX_MESSAGE = 400  # characters; names in a file may be of any length
MAX_HEADER_BYTES = 16 << 20  # what a safetensors file may hold beside its numbers
MAX_SIZES = {"classes": 1_000_000, "audio_channels": 65536, "visual_channels": 65536}
# numbers are float32; what counts or marks is as it is in the network
TYPES = {torch.float32: "F32", torch.int64: "I64", torch.bool: "BOOL"}
# what a constructor raises for settings that do not go together
REFUSALS = (ValueError, TypeError, RuntimeError, ArithmeticError, LookupError, AssertionError)

Name = Annotated[str, Field(max_length=300)]


class Fold(Section):
    """A norm that is gone, and the layer that does its work."""

    norm: Name
    into: Name


class Network(Section):
    """A model of the registry, and all its settings."""

    name: Annotated[str, Field(max_length=100, pattern="^[a-z0-9-]+$")]
    settings: dict[str, Any]


class Weights(Section):
    """Which file holds the numbers: its size in bytes and its sha256."""

    model_config = ConfigDict(extra="ignore")

    file: Literal["weights.safetensors"]
    bytes: Annotated[int, Field(ge=8)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Description(Section):
    """What loading needs of model.json; the rest is for readers."""

    model_config = ConfigDict(extra="ignore")

    format: Literal["avsnn-export"]
    format_version: Literal[1]
    model: Network
    folded: Annotated[list[Fold], Field(max_length=100_000)]
    weights: Weights


def load(folder: Path | str) -> nn.Module:
    """Return an exported network on the CPU, in float32 and in evaluation mode.

    Raises DataError where a file is missing, damaged, or not of the network that it names.
    """
    folder = Path(folder)
    found = description(folder)
    try:
        network = _restored(found, folder / DESCRIPTION)
        weights = _tensors(folder / WEIGHTS, found.weights, network.state_dict())
    except AvsnnError as error:
        raise DataError(printable(error.message)[:MAX_MESSAGE], HINT) from error
    network.load_state_dict(weights, assign=True)
    return network.requires_grad_(True).eval()


def description(folder: Path) -> Description:
    """Read and check model.json. Raises DataError saying the first thing that is wrong with it."""
    path = folder / DESCRIPTION
    if path.exists() and not path.is_file():
        raise DataError(f"{path} is not a file", HINT)
    content = store.read_json(path, MAX_DESCRIPTION_BYTES)
    try:
        return Description.model_validate_json(json.dumps(content))
    except ValidationError as error:
        raise DataError(f"{path}: {_first_fault(error)}", HINT) from None
    except (ValueError, RecursionError):
        raise DataError(f"{path} is damaged", HINT) from None


def rebuilt(name: str, settings: dict[str, Any]) -> nn.Module:
    """Build a model of the registry from plain settings, on torch's current default device.

    settings: all keyword-only parameters, classes and channels among them. Raises DataError for
    what the model's schema or its constructor refuses.
    """
    build = registry.load("model", name).build
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
        said = str(error).splitlines() or [type(error).__name__]
        raise DataError(f"model.settings: {said[0]}") from error
    return model


def fold_shape(network: nn.Module, norm_name: str, layer_name: str) -> None:
    """Give a network the layers that folding leaves, without numbers. Raises DataError."""
    modules = dict(network.named_modules())
    norm, layer = modules.get(norm_name), modules.get(layer_name)
    if not isinstance(norm, BatchNorm | DSLN) or not isinstance(layer, Layer):
        raise DataError(f"no norm {norm_name!r} folds into a layer {layer_name!r}")
    size = layer.weight.shape[0]
    if layer.bias is None:
        layer.bias = nn.Parameter(torch.empty(size, device=layer.weight.device))
    if isinstance(norm, DSLN) and norm.running_variance.dim():
        shape = (len(norm.running_variance), *layer.weight.shape)
        empty = partial(torch.empty, device=layer.weight.device)
        network.set_submodule(layer_name, FrameLinear(empty(shape), empty(shape[:2])))
    network.set_submodule(norm_name, Folded())


def _restored(found: Description, path: Path) -> nn.Module:
    """Build the folded network without memory for its numbers."""
    try:
        with torch.device("meta"):
            network = rebuilt(found.model.name, found.model.settings)
        for fold in found.folded:
            fold_shape(network, fold.norm, fold.into)
    except AvsnnError as error:
        raise DataError(f"{path}: {error.message}") from error
    return network


def _tensors(path: Path, said: Weights, wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """Read the weights if they are the bytes, and have the names and shapes, that are wanted.

    wanted: a network's state, on "meta".
    """
    most = sum(x.numel() * x.itemsize for x in wanted.values()) + MAX_HEADER_BYTES
    try:
        if not path.is_file():
            raise DataError(f"{path} is missing")
        size = path.stat().st_size
        if size != said.bytes or size > most:
            raise DataError(f"{path} has {size} bytes, not the {said.bytes} of its network")
        if store.sha256(path) != said.sha256:
            raise DataError(f"{path} is damaged: its sha256 is not the one in {DESCRIPTION}")
        with safe_open(path, "pt") as file:
            _compare(path, {name: file.get_slice(name) for name in file.keys()}, wanted)  # noqa: SIM118
            return {name: file.get_tensor(name).clone() for name in wanted}
    except (OSError, SafetensorError) as error:
        raise DataError(f"cannot read {path}: {str(error).splitlines()[0]}") from error


def _compare(path: Path, found: dict[str, Any], wanted: dict[str, Tensor]) -> None:
    """Raise DataError unless the names, shapes and types are those of the network."""
    for name in sorted(wanted.keys() ^ found.keys()):
        raise DataError(f"{path} {'lacks' if name in wanted else 'has an extra'} tensor {name!r}")
    for name, like in wanted.items():
        is_, should = (
            f"{kind} {shape}"
            for kind, shape in (
                (found[name].get_dtype(), list(found[name].get_shape())),
                (TYPES.get(like.dtype), list(like.shape)),
            )
        )
        if is_ != should:
            raise DataError(f"{path}: {name} is {is_}, not {should}")


def _first_fault(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    wanted, given = plain_words(first)
    if first["type"] == "extra_forbidden":
        wanted, given = "unknown setting", ""
    elif first["type"] == "json_invalid":
        return "damaged"
    place = ".".join(str(part) for part in first["loc"])[:100]
    return printable(f"{place}: {wanted}{f' ({given})' if given else ''}")
