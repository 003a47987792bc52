"""Grad-CAM++: where in the picture a network finds its class (Chattopadhay et al., WACV 2018).

The S-CMRL paper (Fig. 9) does not say of which layer. Here it is the last one of the visual branch
that still has places, so what fusion has added is in it: in S-CMRL the tokens behind CCSSA and MLP.
"""

import contextlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pipelines.errors import UsageError

BRANCH = "visual"
NO_BRANCH = ("the network has no visual branch with maps", "give a run that sees images")


class Layer(NamedTuple):
    """A layer with places: maps (T*B, C, *size), or tokens (T, B, N, D) if `tokens`, N = h w."""

    name: str
    size: tuple[int, int]
    time_steps: int
    tokens: bool


class _Call(NamedTuple):
    name: str
    is_convolution: bool
    shape: tuple[int, ...]


def grad_cam_pp(maps: Tensor, gradients: Tensor) -> Tensor:
    """Weigh the maps A by their gradients g of a class's score S: (B, C, H, W) to (B, H, W).

    alpha = g² / (2 g² + g³ Σ_ab A_ab) (Eq. 19), w = Σ_ij alpha relu(g), L = relu(Σ_k w_k A_k).
    The score is exp(S), as in the paper; its factor exp(S) > 0, one for each sample, is left out.
    Eq. 19 is for maps >= 0, such as spikes make, and has a pole at a negative sum: of a map that
    sums to less than 0 the sum counts as 0.
    """
    maps, gradients = (x.to(torch.promote_types(x.dtype, torch.float32)) for x in (maps, gradients))
    slopes = gradients.relu()
    # divided by g², whose cube is not representable where the gradient is small
    alpha = 1 / (2 + slopes * maps.sum((2, 3), keepdim=True).relu())
    weights = (alpha * slopes).sum((2, 3), keepdim=True)
    return (weights * maps).sum(1).relu()


def over_time(maps: Tensor, gradients: Tensor, time_steps: int) -> tuple[Tensor, Tensor]:
    """Compute the mean of the maps and the sum of the gradients over time.

    maps, gradients: (T*B, ...), time slowest. Returns both as (B, ...).

    The mean over T is a neuron's rate. What is added to it is added at each step, so its gradient
    is the sum; the picture of an input that does not change does not depend on T.
    """
    rates, slopes = (torch.unflatten(x, 0, (time_steps, -1)) for x in (maps, gradients))
    return rates.mean(0), slopes.sum(0)


def last_visual_layer(model: nn.Module, inputs: Mapping[str, Tensor]) -> Layer:
    """Return the last layer of the visual branch that has places, by running the network once.

    Of the branch is what is named visual…, or everything where vision is the only input. Tokens
    lie as the pixels of the branch's last convolution do. A model names in `UNDECIDING` the parts
    that have no say in its logits. Raises UsageError where there is none.
    """
    if BRANCH not in inputs:
        raise UsageError(*NO_BRANCH)
    calls: list[_Call] = []
    alone = set(inputs) == {BRANCH}
    undeciding = getattr(model, "UNDECIDING", ())

    def noted(name: str) -> Callable[[nn.Module, object, object], None]:
        def note(module: nn.Module, _args: object, out: object) -> None:
            if isinstance(out, Tensor):
                calls.append(_Call(name, isinstance(module, nn.Conv2d), tuple(out.shape)))

        return note

    with contextlib.ExitStack() as stack:
        for name, module in model.named_modules():
            if name.split(".")[0] in undeciding:
                continue
            if name and (alone or any(part.startswith(BRANCH) for part in name.split("."))):
                stack.callback(module.register_forward_hook(noted(name)).remove)
        model.eval()
        with torch.no_grad():
            model(**inputs)
    if (layer := _last(calls, batch_size(inputs[BRANCH]))) is None:
        raise UsageError(*NO_BRANCH)
    return layer


def visual_maps(
    model: nn.Module, inputs: Mapping[str, Tensor], classes: Tensor, layer: Layer | None = None
) -> Tensor:
    """Return the Grad-CAM++ maps of these classes: (B, h, w) in 0 to 1, each with a largest of 1.

    inputs: what forward takes, by name. classes: (B,) int64. layer: else `last_visual_layer`. A
    clip whose class the layer does not speak for has a map of zeros. The network is left in
    evaluation mode, its weights without gradients. Raises UsageError without a visual branch.
    """
    layer = layer or last_visual_layer(model, inputs)
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _args: object, out: Tensor) -> Tensor:
        kept.append(out.detach().requires_grad_())
        return kept[0]

    model.eval()
    handle = model.get_submodule(layer.name).register_forward_hook(keep)
    try:
        with torch.enable_grad():
            logits: Tensor = model(**inputs).logits
    finally:
        handle.remove()
    score = logits.float().gather(1, classes[:, None]).sum()
    (gradients,) = torch.autograd.grad(score, kept, materialize_grads=True)
    maps, slopes = (_as_planes(x, layer) for x in (kept[0].detach(), gradients))
    heat = grad_cam_pp(*over_time(maps, slopes, layer.time_steps))
    largest = heat.amax((1, 2), keepdim=True)
    return heat / torch.where(largest > 0, largest, 1)


def batch_size(x: Tensor) -> int:
    """Return B of (B, C, H, W) or (T, B, C, H, W)."""
    return x.shape[1] if x.dim() == 5 else x.shape[0]


def _last(calls: list[_Call], batch: int) -> Layer | None:
    size, last = (0, 0), None
    for name, is_convolution, shape in calls:
        if len(shape) != 4:
            continue
        if is_convolution:
            size = (shape[2], shape[3])
        if shape[1] == batch and shape[2] == size[0] * size[1]:
            last = Layer(name, size, shape[0], tokens=True)
        elif size != (0, 0) and shape[0] % batch == 0 and shape[2] * shape[3] > 1:
            last = Layer(name, (shape[2], shape[3]), shape[0] // batch, tokens=False)
    return last


def _as_planes(x: Tensor, layer: Layer) -> Tensor:
    """Reshape (T, B, N, D) or (T*B, C, h, w) to (T*B, C, h, w)."""
    if not layer.tokens:
        return x
    return torch.unflatten(x.flatten(0, 1).transpose(1, 2), 2, layer.size)
