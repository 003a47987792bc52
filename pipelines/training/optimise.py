"""Optimiser and learning-rate schedule of a recipe."""

import math

import torch
from torch import nn

from pipelines.recipe.schema import Train


def make_optimizer(model: nn.Module, train: Train) -> torch.optim.Optimizer:
    """Make the optimizer; weight decay spares biases and norms (every 1-D parameter)."""
    settings = train.optimizer
    matrices = [p for p in model.parameters() if p.requires_grad and p.dim() > 1]
    vectors = [p for p in model.parameters() if p.requires_grad and p.dim() <= 1]
    groups = [
        {"params": matrices, "weight_decay": settings.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    if settings.name == "sgd":
        return torch.optim.SGD(groups, lr=settings.lr, momentum=settings.betas[0], fused=True)
    kind = torch.optim.AdamW if settings.name == "adamw" else torch.optim.Adam
    # fused: one pass over each parameter, on CPU and CUDA
    return kind(groups, lr=settings.lr, betas=settings.betas, fused=True)


def learning_rate(train: Train, epoch: float) -> float:
    """Return the learning rate at a point in training, in epochs (may be fractional).

    Linear from warmup_lr over warmup_epochs; then constant, cosine to final_lr, or times gamma at
    each milestone.
    """
    schedule, lr = train.schedule, train.optimizer.lr
    if epoch < schedule.warmup_epochs:
        return schedule.warmup_lr + (lr - schedule.warmup_lr) * epoch / schedule.warmup_epochs
    if schedule.name == "step":
        return lr * schedule.gamma ** sum(epoch >= milestone for milestone in schedule.milestones)
    if schedule.name == "cosine":
        span = max(train.epochs - schedule.warmup_epochs, 1e-9)
        progress = min((epoch - schedule.warmup_epochs) / span, 1.0)
        return schedule.final_lr + (lr - schedule.final_lr) * (1 + math.cos(math.pi * progress)) / 2
    return lr
