"""TensorFlow in worker processes, whose results must not depend on how many there are."""

from __future__ import annotations


def single_threaded() -> None:
    """One thread for arithmetic, GPU memory as needed, and only algorithms that give the same result every time.

    Sums over an image are split among threads and so depend on their number. These are settings of the whole process
    that TensorFlow takes only before it starts: call it in a process of its own. Raises RuntimeError where TensorFlow
    already runs with more threads.
    """
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
    tf.config.experimental.enable_op_determinism()
