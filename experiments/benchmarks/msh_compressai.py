"""CompressAI's `mbt2018-mean` for `dsr.experiments.benchmarks.msh`.

It is run with the Python of an environment that has CompressAI.

Reads lines `encode WIDTH HEIGHT`, `decode WIDTH HEIGHT`, `train PATCHES SIDE` from standard input and answers each with
JSON: wall and CPU seconds, and the process's largest memory so far in MB. Imports nothing of this project.
"""

import importlib.abc
import importlib.machinery
import json
import resource
import sys
import time
import types

ABSENT = ("torchvision", "torch_geometric", "pandas")


class Stand(types.ModuleType):
    """What CompressAI imports on its way to the models, which use none of it: decorators that do nothing."""

    def __init__(self, name):
        super().__init__(name)
        self.__path__ = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {"__init__": lambda self, *_, **__: None, "__call__": lambda self, it=None, *_, **__: it})


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a `Stand` for each package of `ABSENT`."""

    def find_spec(self, name, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if name.split(".")[0] in ABSENT else None

    def create_module(self, spec):
        return Stand(spec.name)

    def exec_module(self, module):
        pass


def main(filters: int, latents: int, threads: int) -> None:
    """Answer requests until the standard input ends."""
    sys.meta_path.insert(0, StandIns())
    import torch
    from compressai.losses import RateDistortionLoss
    from compressai.models import MeanScaleHyperprior

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = MeanScaleHyperprior(filters, latents)
    model.update()
    optimizer = torch.optim.Adam([p for name, p in model.named_parameters() if not name.endswith("quantiles")], 1e-4)
    loss = RateDistortionLoss(0.0067)
    print(json.dumps({"name": f"CompressAI, PyTorch {torch.__version__}"}), flush=True)

    def train(pixels):
        optimizer.zero_grad()
        loss(model(pixels), pixels)["loss"].backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    strings = {}
    for line in sys.stdin:
        action, *numbers = line.split()
        first, second = map(int, numbers)
        model.train(action == "train")
        pixels = torch.rand(*((first, 3, second, second) if action == "train" else (1, 3, second, first)))
        start, cpu = time.perf_counter(), time.process_time()
        if action == "train":
            train(pixels)
        else:
            with torch.no_grad():
                if action == "encode":
                    strings[first, second] = model.compress(pixels)
                else:
                    model.decompress(**strings[first, second])
        seconds = {"wall": time.perf_counter() - start, "cpu": time.process_time() - cpu}
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        print(json.dumps({**seconds, "memory": memory}), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
