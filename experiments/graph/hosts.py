"""Several hosts that work on one study: who they are, and what each of them does.

Every host runs the same command, sees the same work folder, and has TensorFlow's own description of the cluster:

    TF_CONFIG='{"cluster": {"worker": ["a:2222", "b:2222"]}, "task": {"type": "worker", "index": 0}}' dsr train --config
    RO

`index` is each host's own number. Worker 0 is the chief: it alone writes into the work folder, and makes the shards and
evaluations while the others wait. A training is done by all hosts together (`MultiWorkerMirroredStrategy`) if its batch
can be dealt out evenly to their devices, and by the chief alone if not. Whoever loses another host stops; the same
command, started again on every host, goes on at the last checkpoint. Without TF_CONFIG, or with one worker in it, there
is one host.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dsr.models.errors import UserError

if TYPE_CHECKING:
    import tensorflow as tf


EXAMPLE = '{"cluster": {"worker": ["a:2222", "b:2222"]}, "task": {"type": "worker", "index": 0}}'
"""How several hosts are told of each other."""


class HostError(UserError):
    """The hosts do not fit together, or one of them was lost."""


def is_multi_host() -> bool:
    """Whether this process is one of several hosts."""
    return place()[1] > 1


def is_chief() -> bool:
    """Whether this is the host that writes."""
    return place()[0] == 0


def share(batch: int | None) -> bool:
    """Whether the hosts train together on batches of this size; None is for what is no training."""
    return is_multi_host() and batch is not None and batch % join().num_replicas_in_sync == 0


@functools.lru_cache(maxsize=1)  # a process can join its cluster once
def join() -> tf.distribute.MultiWorkerMirroredStrategy:
    """The strategy over all hosts; waits until all of them are there. TensorFlow must not have been used before."""
    import tensorflow as tf

    return tf.distribute.MultiWorkerMirroredStrategy()


def barrier() -> None:
    """Wait until all hosts are here."""
    sum_over_hosts([1])


def same(value: int, otherwise: str) -> None:
    """HostError "the hosts <otherwise>" unless the value, below 2^24, is the same on all of them."""
    _, count = place()
    if sum_over_hosts([value, value * value]) != [count * value, count * value * value]:
        raise HostError(f"the hosts {otherwise}; start the same command on each, with the same work folder")


def place() -> tuple[int, int]:
    """This host's number, from 0, and how many there are."""
    text = os.environ.get("TF_CONFIG", "").strip()
    try:
        config: Any = (json.loads(text) if text else None) or {}
        cluster = config.get("cluster") or {}
        if sum(len(addresses) for addresses in cluster.values()) <= 1:
            return 0, 1
        task = config["task"]
        index, count = int(task["index"]), len(cluster.get("worker", []))
        if set(cluster) != {"worker"} or task["type"] != "worker" or not 0 <= index < count:
            raise ValueError(f"it names hosts of the types {', '.join(cluster)} and itself {task['type']} {index}")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise HostError(
            f"TF_CONFIG describes no cluster that can be worked on ({_told(error)}): give all hosts the type worker, "
            f"in the same order, and each its own place as index ({EXAMPLE}), or unset it for one host"
        ) from None
    return index, count


def _told(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def sum_over_hosts(values: Sequence[int]) -> list[int]:
    """The sums of the values over all hosts, as float64 has them; waits for all hosts."""
    import tensorflow as tf

    strategy = join()  # before TensorFlow makes anything
    mine = tf.identity(tf.constant(values, tf.float64))  # a constant alone has no device
    return [int(value) for value in strategy.reduce(tf.distribute.ReduceOp.SUM, mine, axis=None).numpy()]
