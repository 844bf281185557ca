"""The generator in PyTorch for `dsr.experiments.benchmarks.restorer`.

That runs this file with the Python of an environment that has it. Reads lines `restore WIDTH HEIGHT` and
`train PATCHES SIDE` from standard input and answers each with JSON: wall and CPU seconds, and the process's largest
memory so far in MB. Imports nothing of this project. The layers are those of pix2pixHD's generator with the paper's
widths, in PyTorch's own memory layout, which is the faster one here in float32.
"""

import json
import resource
import sys
import time

import torch
from torch import nn


def conv(inputs, outputs, side):
    """A convolution over mirrored borders, and its normalisation."""
    return [nn.ReflectionPad2d(side // 2), nn.Conv2d(inputs, outputs, side, bias=False), norm(outputs)]


def norm(channels):
    """An instance normalisation with a scale and an offset a channel."""
    return nn.InstanceNorm2d(channels, affine=True)


class Residual(nn.Module):
    """x + [3x3, norm, ReLU, 3x3, norm](x)."""

    def __init__(self, channels):
        super().__init__()
        self.layers = nn.Sequential(*conv(channels, channels, 3), nn.ReLU(True), *conv(channels, channels, 3))

    def forward(self, x):
        return x + self.layers(x)


def generator(width, downsamplings, blocks, upsampling):
    """The generator of `dsr.models.restorers.generator`, in PyTorch."""
    widths = [width * 2**i for i in range(downsamplings + 1)]
    layers = [*conv(3, width, 7), nn.ReLU(True)]
    for fine, coarse in zip(widths, widths[1:]):
        layers += [nn.Conv2d(fine, coarse, 3, 2, 1, bias=False), norm(coarse), nn.ReLU(True)]
    layers += [Residual(widths[-1]) for _ in range(blocks)]
    for coarse, fine in zip(widths[::-1], widths[-2::-1]):
        if upsampling == "resize":
            layers += [nn.Upsample(scale_factor=2), *conv(coarse, fine, 3), nn.ReLU(True)]
        else:
            layers += [nn.ConvTranspose2d(coarse, fine, 3, 2, 1, 1, bias=False), norm(fine), nn.ReLU(True)]
    return nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh())


def main(upsampling, width, downsamplings, blocks, threads):
    """Answer requests until the standard input ends."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network = generator(width, downsamplings, blocks, upsampling)
    optimizer = torch.optim.Adam(network.parameters(), 2e-4, (0.1, 0.9))
    parameters = sum(weights.numel() for weights in network.parameters())
    print(json.dumps({"name": f"PyTorch {torch.__version__}", "parameters": parameters}), flush=True)
    for line in sys.stdin:
        action, *numbers = line.split()
        first, second = map(int, numbers)
        shape = (1, 3, second, first) if action == "restore" else (first, 3, second, second)
        compressed, original = torch.rand(2, *shape) * 2 - 1
        start, cpu = time.perf_counter(), time.process_time()
        if action == "restore":
            with torch.inference_mode():
                compressed + network(compressed)
        else:
            optimizer.zero_grad()
            (compressed + network(compressed) - original).abs().mean().backward()
            optimizer.step()
        seconds = {"wall": time.perf_counter() - start, "cpu": time.process_time() - cpu}
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        print(json.dumps({**seconds, "memory": memory}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
