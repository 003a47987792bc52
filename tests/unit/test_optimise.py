"""Learning-rate schedules and optimisers against torch's own and closed forms."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from pipelines.recipe.schema import Optimizer, Schedule, Train
from pipelines.training.optimise import learning_rate, make_optimizer


def settings(
    epochs: int = 20,
    lr: float = 0.1,
    weight_decay: float = 0.0,
    name: str = "adam",
    **schedule: Any,
) -> Train:
    return Train(
        epochs=epochs,
        batch_size=8,
        schedule=Schedule(**schedule),
        optimizer=Optimizer(name=name, lr=lr, weight_decay=weight_decay),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("name", ["constant", "cosine", "step"])
def test_warm_up_is_a_straight_line_to_the_learning_rate(name: str) -> None:
    train = settings(name=("adam"), lr=0.1)
    train = train.model_copy(
        update={"schedule": Schedule(name=name, warmup_epochs=4.0, warmup_lr=0.02)}  # type: ignore[arg-type]
    )
    found = [learning_rate(train, epoch) for epoch in (0, 1, 2, 3.5, 4)]
    assert found == pytest.approx([0.02, 0.04, 0.06, 0.09, 0.1])


def test_cosine_begins_at_lr_is_halfway_in_the_middle_and_ends_at_final_lr() -> None:
    train = settings(epochs=20).model_copy(
        update={"schedule": Schedule(name="cosine", warmup_epochs=4.0, final_lr=0.01)}
    )
    found = [learning_rate(train, epoch) for epoch in (4, 8, 12, 20)]
    quarter = 0.01 + 0.09 * (1 + math.sqrt(0.5)) / 2
    assert found == pytest.approx([0.1, quarter, 0.055, 0.01])


def test_cosine_is_torchs_own() -> None:
    train = settings(epochs=10).model_copy(
        update={"schedule": Schedule(name="cosine", final_lr=0.003)}
    )
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10, eta_min=0.003)
    for epoch in range(11):
        assert learning_rate(train, epoch) == pytest.approx(theirs.get_last_lr()[0], rel=1e-9)
        optimizer.step()
        theirs.step()


def test_steps_are_torchs_own_and_constant_is_constant() -> None:
    train = settings(epochs=10).model_copy(
        update={"schedule": Schedule(name="step", milestones=(3, 7), gamma=0.2)}
    )
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    theirs = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 7], gamma=0.2)
    for epoch in range(10):
        assert learning_rate(train, epoch) == pytest.approx(theirs.get_last_lr()[0], rel=1e-9)
        assert learning_rate(train, epoch + 0.9) == learning_rate(train, epoch)
        assert learning_rate(settings(), epoch) == 0.1
        optimizer.step()
        theirs.step()


def test_a_run_that_is_all_warm_up_ends_at_the_learning_rate() -> None:
    train = settings(epochs=4).model_copy(
        update={"schedule": Schedule(name="cosine", warmup_epochs=4.0)}
    )
    assert learning_rate(train, 3.999) == pytest.approx(0.1, rel=1e-3)
    assert learning_rate(train, 4) == pytest.approx(0.1)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_weight_decay_moves_matrices_and_spares_biases_and_norms(name: str) -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 2))
    for parameter in model.parameters():
        nn.init.ones_(parameter)
        parameter.grad = torch.zeros_like(parameter)
    make_optimizer(model, settings(name=name, lr=0.01, weight_decay=0.1)).step()
    for parameter in model.parameters():
        moved = not torch.equal(parameter, torch.ones_like(parameter))
        assert moved == (parameter.dim() > 1)
    if name == "adamw":  # decoupled: w (1 - lr decay), whatever the gradient
        expected = torch.full_like(model[3].weight, 1 - 0.01 * 0.1)
        torch.testing.assert_close(model[3].weight.detach(), expected)


def test_the_optimizer_steps_as_torchs_plain_one_does() -> None:
    torch.manual_seed(0)
    model, x = nn.Linear(4, 3), torch.randn(8, 4)
    twin = nn.Linear(4, 3)
    twin.load_state_dict(model.state_dict())
    ours = make_optimizer(model, settings(lr=0.05))
    plain = torch.optim.Adam(twin.parameters(), lr=0.05, fused=False, foreach=False)
    for _ in range(5):
        for network, optimizer in ((model, ours), (twin, plain)):
            optimizer.zero_grad()
            network(x).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(model.weight, twin.weight)


def test_a_frozen_parameter_is_left_to_itself() -> None:
    model = nn.Linear(2, 2)
    model.weight.requires_grad_(False)
    optimizer = make_optimizer(model, settings())
    assert [p is model.bias for group in optimizer.param_groups for p in group["params"]] == [True]
