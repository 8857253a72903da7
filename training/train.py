"""Training of one candidate: plain, or against small adversarial perturbations; checkpointed after every epoch."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.models._tiny_inception import TinyInception

from .data import MEAN, STD, Photos


@dataclass(frozen=True)
class Recipe:
    """How a candidate is trained.

    Args:
        name: of its files.
        sizes: side in px of the photos in each epoch; small ones first, as they cost less.
        epsilon: L2 radius of the perturbation, for sRGB in [0, 1] at 64 px; 0 for plain training.
        attack_steps: gradient steps of the attack.
        learning_rate: at the peak of its one cycle.
        warm_up: share of the steps until that peak.
        soft: weight of the teacher's labels; the rest is the true class.
        start: the candidate whose weights it starts from.
    """

    name: str
    sizes: tuple[int, ...]
    epsilon: float = 0.0
    attack_steps: int = 1
    learning_rate: float = 0.15
    warm_up: float = 0.2
    soft: float = 0.6
    batch: int = 128
    weight_decay: float = 2e-4
    start: str | None = None
    seed: int = 0


def standardize(images: Tensor) -> Tensor:
    return (images - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


def train(recipe: Recipe, train_photos: Photos, val_photos: Photos, teacher: np.ndarray, out: Path) -> Path:
    """The file of the trained weights; an interrupted training goes on after its last whole epoch."""
    finished, checkpoint = out / f"{recipe.name}.pt", out / f"{recipe.name}.checkpoint.pt"
    if finished.exists():
        return finished
    torch.manual_seed(recipe.seed)
    network = TinyInception(teacher.shape[1], norm=True)
    if recipe.start is not None:
        network.load_state_dict(torch.load(out / f"{recipe.start}.pt", weights_only=True))
    network.to(memory_format=torch.channels_last)
    decayed = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in network.parameters() if parameter.ndim == 1]
    optimizer = torch.optim.SGD(
        [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others}],
        lr=0.1,
        momentum=0.9,
        nesterov=True,
    )
    log: list[dict[str, float]] = []
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        log = state["log"]
    # One graph for each size; compiling takes minutes, and saves a quarter of every step.
    compiled = torch.compile(network, dynamic=False)
    per_epoch = len(train_photos.images) // recipe.batch
    total = per_epoch * len(recipe.sizes)
    for epoch in range(len(log), len(recipe.sizes)):
        began, losses, right = time.time(), [], 0
        network.train()
        generator = torch.Generator().manual_seed(1000 * recipe.seed + epoch)
        batches = _batches(train_photos, teacher, recipe, recipe.sizes[epoch], generator)
        for step, (images, classes, soft) in enumerate(batches, start=epoch * per_epoch):
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * _cycle(step / total, recipe.warm_up)
            if recipe.epsilon:
                radius = recipe.epsilon * images.shape[2] / 64
                images = attack(compiled, images, classes, radius, recipe.attack_steps, generator)
            with torch.autocast("cpu", torch.bfloat16):
                logits = compiled(standardize(images).contiguous(memory_format=torch.channels_last))
            loss = _loss(logits.float(), classes, soft, recipe.soft)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
            right += int((logits.argmax(1) == classes).sum())
        line = {
            "epoch": epoch + 1,
            "size": recipe.sizes[epoch],
            "loss": round(float(np.mean(losses)), 4),
            "train_accuracy": round(right / (per_epoch * recipe.batch), 4),
            "val_accuracy": round(accuracy(network, val_photos), 4),
            "seconds": round(time.time() - began, 1),
        }
        log.append(line)
        print(f"{recipe.name}: {line}", flush=True)
        _save({"network": network.state_dict(), "optimizer": optimizer.state_dict(), "log": log}, checkpoint)
    _measure_norms(network, train_photos)
    result = {
        "recipe": asdict(recipe),
        "epochs": log,
        "val_accuracy": accuracy(network, val_photos),
        "robust_accuracy": {str(radius): robust_accuracy(network, val_photos, radius) for radius in (0.25, 0.5, 1.0)},
    }
    (out / f"{recipe.name}.json").write_text(json.dumps(result, indent=1))
    _save(network.state_dict(), finished)
    print(f"{recipe.name}: {result['val_accuracy']:.1%}, robust {result['robust_accuracy']}", flush=True)
    return finished


def attack(
    network: nn.Module, images: Tensor, classes: Tensor, radius: float, steps: int, generator: torch.Generator
) -> Tensor:
    """The images moved by at most `radius` (L2) to where the loss is higher: projected gradient ascent.

    Source: Madry et al., arXiv 1706.06083; robust networks and pictures: Engstrom et al., arXiv 1906.00945.
    """
    change = torch.randn(images.shape, generator=generator)
    change = change * (radius * torch.rand(len(images), 1, 1, 1, generator=generator) / _norm(change))
    rate = radius if steps == 1 else 2.5 * radius / steps
    for _ in range(steps):
        seen = (images + change).clamp(0, 1).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(standardize(seen).contiguous(memory_format=torch.channels_last))
        (gradient,) = torch.autograd.grad(F.cross_entropy(logits.float(), classes, reduction="sum"), seen)
        change = change + rate * gradient / _norm(gradient)
        change = change * (radius / _norm(change)).clamp(max=1)
    return (images + change).clamp(0, 1).detach()


@torch.no_grad()
def accuracy(network: nn.Module, photos: Photos) -> float:
    network.eval()
    right = 0
    for images, classes in _in_order(photos):
        right += int((network(standardize(images)).argmax(1) == classes).sum())
    return right / len(photos.images)


def robust_accuracy(network: nn.Module, photos: Photos, radius: float, count: int = 1000) -> float:
    """Top-1 on `count` photos, each moved against the network by 10 steps within an L2 ball."""
    network.eval()
    chosen = np.random.default_rng(0).permutation(len(photos.images))[:count]
    part = Photos(photos.images[np.sort(chosen)], photos.classes[np.sort(chosen)])
    generator, right = torch.Generator().manual_seed(0), 0
    for images, classes in _in_order(part):
        moved = attack(network, images, classes, radius, 10, generator)
        with torch.no_grad():
            right += int((network(standardize(moved)).argmax(1) == classes).sum())
    return right / count


def _loss(logits: Tensor, classes: Tensor, soft: Tensor, weight: float) -> Tensor:
    hard = F.cross_entropy(logits, classes)
    return (1 - weight) * hard + weight * F.cross_entropy(logits, soft)


def _cycle(progress: float, warm_up: float) -> float:
    if progress < warm_up:
        return 0.04 + 0.96 * progress / warm_up
    return max(1e-3, 0.5 * (1 + np.cos(np.pi * (progress - warm_up) / (1 - warm_up))))


def _batches(
    photos: Photos, teacher: np.ndarray, recipe: Recipe, size: int, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Shuffled photos, mirrored half of the time, moved by up to an eighth of their side, scaled a little."""
    order = torch.randperm(len(photos.images), generator=generator).numpy()
    for start in range(0, len(order) - recipe.batch + 1, recipe.batch):
        chosen = np.sort(order[start : start + recipe.batch])
        images = torch.from_numpy(photos.images[chosen]).permute(0, 3, 1, 2).float() / 255
        count = len(images)
        draw = torch.rand(4, count, generator=generator)
        scale = 0.8 + 0.3 * draw[0]  # of the window that is seen
        theta = torch.zeros(count, 2, 3)
        theta[:, 0, 0] = scale * torch.where(draw[1] < 0.5, -1.0, 1.0)
        theta[:, 1, 1] = scale
        theta[:, 0, 2] = (draw[2] - 0.5) * 0.5
        theta[:, 1, 2] = (draw[3] - 0.5) * 0.5
        grid = F.affine_grid(theta, (count, 3, size, size), align_corners=False)
        images = F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
        soft = torch.softmax(torch.from_numpy(teacher[chosen]), 1)
        yield images, torch.from_numpy(photos.classes[chosen]), soft


def _in_order(photos: Photos, batch: int = 250) -> Iterator[tuple[Tensor, Tensor]]:
    for start in range(0, len(photos.images), batch):
        images = torch.from_numpy(photos.images[start : start + batch].copy()).permute(0, 3, 1, 2).float() / 255
        yield images, torch.from_numpy(photos.classes[start : start + batch])


@torch.no_grad()
def _measure_norms(network: nn.Module, photos: Photos, batches: int = 40) -> None:
    """Mean and variance of every batch norm over clean photos of 64 px, in place of a running average."""
    norms = [part for part in network.modules() if isinstance(part, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    network.train()
    chosen = np.random.default_rng(1).permutation(len(photos.images))[: 250 * batches]
    for images, _ in _in_order(Photos(photos.images[np.sort(chosen)], photos.classes[np.sort(chosen)])):
        network(standardize(images))
    network.eval()


def _norm(change: Tensor) -> Tensor:
    return change.flatten(1).norm(dim=1).clamp(min=1e-12).view(-1, 1, 1, 1)


def _save(content: object, path: Path) -> None:
    partial = path.with_suffix(".partial")
    torch.save(content, partial)
    partial.replace(path)
