"""DeepLabv3+ with MobileNetV2 in PyTorch for `dsr.experiments.benchmarks.segmenter`.

That runs this file with the Python of an environment that has it. Reads lines `train HEIGHT WIDTH` and `label HEIGHT
WIDTH` from standard input and answers each with JSON: wall and CPU seconds, and the process's largest memory so far in
MB. Imports nothing of this project. The layers are those of `dsr.models.segmenter` at output stride 16, all but the
place of the samples in bilinear upsampling, which costs nothing.
"""

import json
import resource
import sys
import time

import torch
from torch import nn
from torch.nn import functional

STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Of MobileNetV2: expansion, channels, blocks, stride of the first."""

LOW = 2
"""The block whose expanded features the decoder takes, at stride 4."""


def convolution(inputs, outputs, side=1, stride=1, rate=1, groups=1, ceiling=None):
    """A convolution without bias, its normalisation, and ReLU up to `ceiling`; none at all if that is 0."""
    layers = [
        nn.Conv2d(inputs, outputs, side, stride, side // 2 * rate, rate, groups, bias=False),
        nn.BatchNorm2d(outputs, 1e-3 if ceiling is not None else 1e-5, momentum=0.03),
    ]
    if ceiling != 0:
        layers.append(nn.ReLU6(True) if ceiling else nn.ReLU(True))
    return nn.Sequential(*layers)


def separable(inputs, outputs, rate):
    """A depthwise 3x3 convolution and a pointwise one, each normalised."""
    return nn.Sequential(convolution(inputs, inputs, 3, 1, rate, inputs), convolution(inputs, outputs))


class Block(nn.Module):
    """An inverted residual block."""

    def __init__(self, inputs, outputs, expansion, stride, rate):
        super().__init__()
        inside = expansion * inputs
        self.expand = convolution(inputs, inside, ceiling=6) if expansion > 1 else nn.Identity()
        self.spread = convolution(inside, inside, 3, stride, rate, inside, ceiling=6)
        self.project = convolution(inside, outputs, ceiling=0)
        self.residual = inputs == outputs and stride == 1

    def forward(self, x):
        inner = self.spread(self.expand(x))
        found = self.project(inner)
        return (x + found if self.residual else found), inner


class DeepLab(nn.Module):
    """Images (B, 3, H, W) to logits (B, classes, H, W)."""

    def __init__(self, classes, aspp, decoder, low_level):
        super().__init__()
        self.stem = convolution(3, 32, 3, 2, ceiling=6)
        blocks, inputs, total, rate = [], 32, 2, 1
        for expansion, outputs, count, first in STAGES:
            for number in range(count):
                stride = first if number == 0 else 1
                dropped = total * stride > 16
                blocks.append(Block(inputs, outputs, expansion, 1 if dropped else stride, rate))
                total, rate = (total, rate * stride) if dropped else (total * stride, rate)
                inputs = outputs
        self.blocks = nn.ModuleList(blocks)
        self.pooled, self.local = convolution(320, aspp), convolution(320, aspp)
        self.spread = nn.ModuleList(separable(320, aspp, rate) for rate in (6, 12, 18))
        self.projection = nn.Sequential(convolution(5 * aspp, aspp), nn.Dropout(0.1))
        self.edges = convolution(144, low_level)
        self.decoder = nn.Sequential(separable(aspp + low_level, decoder, 1), separable(decoder, decoder, 1))
        self.classes = nn.Conv2d(decoder, classes, 1)

    def forward(self, image):
        x, low = self.stem(image), None
        for number, block in enumerate(self.blocks):
            x, inner = block(x)
            low = inner if number == LOW else low
        pooled = self.pooled(x.mean((2, 3), keepdim=True)).expand(-1, -1, *x.shape[2:])
        x = self.projection(torch.cat([pooled, self.local(x), *(branch(x) for branch in self.spread)], 1))
        edges = self.edges(low)
        x = torch.cat([functional.interpolate(x, size=edges.shape[2:], mode="bilinear"), edges], 1)
        return functional.interpolate(self.classes(self.decoder(x)), size=image.shape[2:], mode="bilinear")


def main(classes, aspp, decoder, low_level, batch, threads):
    """Answer requests until the standard input ends."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network = DeepLab(classes, aspp, decoder, low_level).to(memory_format=torch.channels_last)
    decayed = [layer.weight for layer in network.modules() if isinstance(layer, nn.Conv2d) and layer.groups == 1]
    others = [weights for weights in network.parameters() if all(weights is not one for one in decayed)]
    # What the decay adds to the gradients of Adam is that of a penalty.
    optimizer = torch.optim.Adam([{"params": decayed, "weight_decay": 4e-4}, {"params": others}], 1e-3)
    weights = torch.rand(classes) + 0.5
    parameters = sum(one.numel() for one in network.parameters())
    print(json.dumps({"name": f"PyTorch {torch.__version__}", "parameters": parameters}), flush=True)
    for line in sys.stdin:
        action, *numbers = line.split()
        height, width = map(int, numbers)
        count = batch if action == "train" else 1
        image = (torch.rand(count, 3, height, width) * 2 - 1).to(memory_format=torch.channels_last)
        label = torch.randint(0, classes, (count, height, width))
        network.train(action == "train")
        start, cpu = time.perf_counter(), time.process_time()
        if action == "train":
            optimizer.zero_grad()
            functional.cross_entropy(network(image), label, weights, ignore_index=255, label_smoothing=0.05).backward()
            optimizer.step()
        else:
            with torch.inference_mode():
                network(image).argmax(1)
        seconds = {"wall": time.perf_counter() - start, "cpu": time.process_time() - cpu}
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        print(json.dumps({**seconds, "memory": memory}), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
