"""Training: one loop, resumable at every step; it selects on validation and never reads test."""

import contextlib
import json
import math
import time
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from pipelines import device as machine
from pipelines.ann.output import Targets
from pipelines.cache.receipts import clips_of
from pipelines.disk import store
from pipelines.errors import DivergedError, MachineError
from pipelines.plan.data_plan import DataPlan
from pipelines.recipe.recipe import Recipe
from pipelines.results import run_files, run_order, schemas
from pipelines.training import checkpoint
from pipelines.training.batches import Batch, loader, open_split, training_order
from pipelines.training.infer import call, predict
from pipelines.training.inputs import Inputs
from pipelines.training.interrupt import Interrupted, Stop, stop_on_signals
from pipelines.training.network import autocast_of, build_model
from pipelines.training.optimise import learning_rate, make_optimizer
from pipelines.training.readers import ReaderDied, Readers
from pipelines.training.start import begin_from, frozen_parts


class Watcher(Protocol):
    """Receives the progress of training."""

    def step(self, epoch: int, step: int, steps: int, loss: Tensor) -> None:
        """One step is done; loss is a scalar on the device, and reading it waits for it."""

    def epoch(self, record: dict[str, Any]) -> None:
        """One epoch is done and saved."""


def train(
    recipe: Recipe, plan: DataPlan, run: Path, device: torch.device, watch: Watcher
) -> dict[str, Any]:
    """Train or continue; returns the selected epoch's record. Call with the run's lock held.

    A run is a function of the recipe: stopped anywhere and started again it ends, on one CPU, in
    the same bits. Raises DataError for a damaged checkpoint, MachineError if memory runs out.
    """
    settings = recipe.train
    clips = clips_of(plan)
    splits = {name: open_split(plan, clips, name) for name in ("train", "validation")}
    stop = Stop()
    readers = Readers(recipe.runtime.num_workers or 0, stop.__bool__)
    batches = {name: loader(split, recipe, device, readers) for name, split in splits.items()}
    inputs, autocast = Inputs(recipe, plan, device), autocast_of(recipe, device)
    model = build_model(recipe, plan, device)
    newest = checkpoint.newest(run)
    begun = begin_from(model, recipe, plan) if newest is None else []
    frozen = frozen_parts(model, settings.freeze)
    optimizer = make_optimizer(model, settings)

    best, history, start, skip = checkpoint.copy_of(model), list[Any](), 0, 0
    total = torch.zeros((), dtype=torch.float64, device=device)  # read rarely: a GPU runs ahead
    if newest is not None:
        best, state = checkpoint.load_checkpoint(newest, model, settings.epochs)
        checkpoint.restore(newest, state, optimizer, device)
        history, start, skip = (state[k] for k in ("history", "epoch", "step"))
        begun = state["start_from"]
        total += state["loss_sum"]
    # a kill between checkpoint and history leaves metrics.jsonl an epoch behind: write it again
    _write_history(run / "metrics.jsonl", history)
    board = SummaryWriter(str(run / "tensorboard"), purge_step=start)

    def save(epoch: int, step: int) -> None:
        cuda_rng = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
        state = {
            "optimizer": optimizer.state_dict(),
            "rng": torch.get_rng_state(),
            "cuda_rng": cuda_rng,
            "history": history,
            "epoch": epoch,
            "step": step,
            "loss_sum": _finite(total, epoch, step),
            "start_from": begun,
        }
        checkpoint.save(run, epoch, step, model, best, state)

    def step(batch: Batch, epoch: int) -> Tensor:
        targets = Targets(batch.labels, batch.azimuth_deg)
        prepared = inputs.for_training(batch, epoch)
        with autocast():
            output = call(model, *prepared)
            loss = model.loss(  # type: ignore[operator]
                output, targets, settings.label_smoothing
            )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if (modulate := getattr(model, "after_backward", None)) is not None:
            modulate(output, targets)
        if settings.clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
        optimizer.step()
        detached: Tensor = loss.detach()
        total.add_(detached * len(batch.labels))
        return detached

    try:
        with stop_on_signals(stop), contextlib.closing(readers):
            for epoch in range(start, settings.epochs):
                began = time.monotonic()
                order = training_order(
                    len(splits["train"]), settings.batch_size, recipe.seed, epoch
                )
                model.train()
                for part in frozen:
                    part.eval()  # its running means too stay as they are
                done = skip
                try:
                    for batch in batches["train"](order[skip:]):
                        for group in optimizer.param_groups:
                            group["lr"] = learning_rate(settings, epoch + done / len(order))
                        loss = step(batch, epoch)
                        done += 1
                        watch.step(epoch, done, len(order), loss)
                        if stop:
                            raise Interrupted
                    on_validation = predict(
                        model,
                        splits["validation"],
                        batches["validation"],
                        inputs.for_evaluation,
                        recipe,
                        autocast,
                        objective=True,
                    )
                except (Interrupted, ReaderDied):  # between two steps: the state is whole
                    save(epoch, done)
                    if stop:
                        stop.leave()
                    raise
                last = len(order) - 1  # a run stopped after it goes on with no step left to do
                record = {
                    "epoch": epoch + 1,
                    "lr": learning_rate(settings, epoch + last / len(order)),
                    "train_loss": _finite(total, epoch, last) / sum(map(len, order)),
                    "validation_loss": on_validation.objective,
                    "validation_accuracy": on_validation.accuracy,
                    "firing_rates": on_validation.rates,
                    "seconds": time.monotonic() - began,
                }
                history, skip, total = [*history, record], 0, torch.zeros_like(total)
                if _selected(history, settings.select) is record:
                    best = checkpoint.copy_of(model)
                # the checkpoint first: the history can be written again from it
                save(epoch + 1, 0)
                _write_history(run / "metrics.jsonl", history)
                _to_board(board, record)
                watch.epoch(record)
                if stop:
                    stop.leave()
    except (RuntimeError, MemoryError, OSError) as error:
        if not machine.is_out_of_memory(error):
            raise
        raise MachineError(
            f"out of memory on {device} with batch_size {settings.batch_size}",
            "lower train.batch_size, or set train.data_on_device to no",
        ) from error
    finally:
        board.close()
    selected = _selected(history, settings.select)
    checkpoint.save_weights(run / "best.safetensors", best)
    run_files.publish(
        run / "trained.json",
        schemas.Trained,
        {
            "selected": selected,
            "rule": settings.select,
            "epochs": settings.epochs,
            "sha256": store.sha256(run / "best.safetensors"),
            "start_from": begun,
            "order": run_order.following(),
            "metrics_sha256": store.sha256(run / "metrics.jsonl"),
            "parameters": sum(p.numel() for p in model.parameters()),
            "versions": store.versions(),
            "machine": machine.description(device),
        },
    )
    return selected


def _selected(history: list[dict[str, Any]], rule: str) -> dict[str, Any]:
    """Return the record of the epoch that the rule selects; of equal ones the first."""
    if rule == "last":
        return history[-1]
    if rule == "lowest-loss":
        return min(history, key=lambda r: r["validation_loss"])
    return max(history, key=lambda r: r["validation_accuracy"])


def _finite(total: Tensor, epoch: int, step: int) -> float:
    value = float(total)
    if not math.isfinite(value):
        raise DivergedError(
            f"the loss is no longer finite in epoch {epoch + 1}, by step {step + 1}",
            "lower train.optimizer.lr, set train.clip_norm, or use precision: fp32",
        )
    return value


def _write_history(path: Path, history: list[dict[str, Any]]) -> None:
    store.publish_text(path, "".join(json.dumps(record) + "\n" for record in history))


def _to_board(board: SummaryWriter, record: dict[str, Any]) -> None:
    for name in ("lr", "train_loss", "validation_loss", "validation_accuracy"):
        board.add_scalar(name, record[name], record["epoch"])
    for name, rate in record["firing_rates"].items():
        board.add_scalar(f"firing_rate/{name}", rate, record["epoch"])
