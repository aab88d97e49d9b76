"""Muon for the blocks' matrices, AdamW for the rest, and the moving average of both."""

from __future__ import annotations

from collections import defaultdict

import torch
from network import Network
from torch import Tensor, nn

MUON_LR, ADAM_LR = 0.01, 0.002
MOMENTUM = 0.95
EMA_DECAY = 0.998


def orthogonalised(stack: Tensor) -> Tensor:
    """Matrices [n, rows, columns] with singular values moved close to 1 (five Newton-Schulz steps, bf16)."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = stack.bfloat16()
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class Muon:
    """Momentum, then an orthogonalised update; matrices of one shape go through it as one stack."""

    def __init__(self, matrices: list[nn.Parameter]) -> None:
        by_shape: dict[torch.Size, list[nn.Parameter]] = defaultdict(list)
        for matrix in matrices:
            by_shape[matrix.shape].append(matrix)
        self.groups = [
            (group, torch.zeros(len(group), *shape, device=group[0].device))
            for shape, group in by_shape.items()
        ]

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """One update of all matrices."""
        for group, momentum in self.groups:
            gradient = torch.stack([matrix.grad for matrix in group if matrix.grad is not None])
            momentum.lerp_(gradient, 1 - MOMENTUM)
            update = orthogonalised(gradient.lerp_(momentum, MOMENTUM)).float()
            scale = max(1.0, update.shape[1] / update.shape[2]) ** 0.5
            torch._foreach_add_(group, list(update.unbind()), alpha=-lr * scale)


class Optimizer:
    """Both optimisers and the moving average, stepped together."""

    def __init__(self, network: Network) -> None:
        matrices = [p for p in network.blocks.parameters() if p.ndim == 2]
        others = [p for p in network.parameters() if all(p is not m for m in matrices)]
        self.parameters = list(network.parameters())
        self.average = [p.detach().clone() for p in self.parameters]
        self.muon = Muon(matrices)
        fused = self.parameters[0].is_cuda
        self.adam = torch.optim.AdamW(others, lr=ADAM_LR, betas=(0.9, 0.95), weight_decay=0.0, fused=fused)

    @torch.no_grad()
    def step(self, rate: float, decay: float = EMA_DECAY) -> None:
        """One update at `rate` times the full learning rates; gradients are cleared."""
        self.muon.step(MUON_LR * rate)
        for group in self.adam.param_groups:
            group["lr"] = ADAM_LR * rate
        self.adam.step()
        for parameter in self.parameters:
            parameter.grad = None
        torch._foreach_lerp_(self.average, self.parameters, 1 - decay)

    @torch.no_grad()
    def copy_average_to(self, network: Network) -> None:
        """Writes the averaged parameters into a network of the same shape."""
        torch._foreach_copy_(list(network.parameters()), self.average)
