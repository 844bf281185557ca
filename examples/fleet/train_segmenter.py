"""Train a small segmenter with PyTorch on a folder of images and label maps, and label other images with it.

    python train_segmenter.py IMAGES LABELS TEST PREDICTIONS [--steps N] [--seed N]

Files in IMAGES and LABELS have the same names, also in folders below; 255 in a label map is not learnt. It knows
nothing of dsr, and stands for any trainer of yours.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

BATCH = 8


class Segmenter(nn.Module):
    """A U-Net of two levels: scores (B, classes, H, W) of images (B, 3, H, W) whose sides four divides."""

    def __init__(self, classes: int, width: int = 16) -> None:
        super().__init__()

        def block(inside: int, outside: int) -> nn.Sequential:
            convolution = nn.Conv2d(inside, outside, 3, padding=1, bias=False)
            return nn.Sequential(convolution, nn.BatchNorm2d(outside), nn.ReLU())

        self.fine, self.middle = block(3, width), block(width, 2 * width)
        self.coarse = nn.Sequential(block(2 * width, 4 * width), block(4 * width, 4 * width))
        self.up, self.last = block(6 * width, 2 * width), block(3 * width, width)
        self.scores = nn.Conv2d(width, classes, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Scores of each class for each pixel."""
        fine = self.fine(images)
        middle = self.middle(functional.max_pool2d(fine, 2))
        x = self.coarse(functional.max_pool2d(middle, 2))
        x = self.up(torch.cat([functional.interpolate(x, scale_factor=2), middle], 1))
        x = self.last(torch.cat([functional.interpolate(x, scale_factor=2), fine], 1))
        return self.scores(x)


def main() -> None:
    """Train and predict."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for folder in ("images", "labels", "test", "predictions"):
        parser.add_argument(folder, type=Path)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    rng = np.random.default_rng(arguments.seed)
    names = sorted(path.relative_to(arguments.images).as_posix() for path in arguments.images.rglob("*.png"))
    images = torch.stack([normalised(arguments.images / name) for name in names])
    labels = torch.stack([torch.from_numpy(read(arguments.labels / name, "L").astype(np.int64)) for name in names])
    model = Segmenter(int(labels[labels != 255].max()) + 1)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=arguments.steps)
    for step in range(arguments.steps):
        batch = torch.from_numpy(rng.choice(len(names), min(BATCH, len(names)), replace=False))
        mirrored = [3] if rng.random() < 0.5 else []
        scores = model(images[batch].flip(mirrored))
        loss = functional.cross_entropy(scores, labels[batch].flip([axis - 1 for axis in mirrored]), ignore_index=255)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if (step + 1) % 100 == 0 or step + 1 == arguments.steps:
            print(
                f"{arguments.predictions.name}: step {step + 1} of {arguments.steps}, loss {loss.item():.3f}",
                flush=True,
            )
    model.eval()
    arguments.predictions.mkdir(parents=True, exist_ok=True)
    for path in sorted(arguments.test.rglob("*.png")):
        with torch.no_grad():
            predicted = model(normalised(path)[None])[0].argmax(0)
        Image.fromarray(predicted.numpy().astype(np.uint8)).save(arguments.predictions / path.name)


def read(path: Path, mode: str) -> np.ndarray:
    """The pixels of an image file."""
    with Image.open(path) as image:
        return np.asarray(image.convert(mode))


def normalised(path: Path) -> torch.Tensor:
    """An image as (3, H, W), about from -1 to 1."""
    return torch.from_numpy(read(path, "RGB").astype(np.float32) / 127.5 - 1).permute(2, 0, 1)


if __name__ == "__main__":
    main()
