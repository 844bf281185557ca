"""Adam whose learning rate falls in steps, as restorers and the learned codec are trained."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf


def build_adam(
    learning_rate: float, decay_steps: Sequence[int], decay_to: float, **options: float
) -> tf.keras.optimizers.Optimizer:
    """Adam at `learning_rate`, which falls to the share `decay_to` of what it was after each number of steps, if any.

    `options` are those of Keras's Adam, such as `beta_1`.
    """
    if not decay_steps:  # of which Keras has no schedule
        return tf.keras.optimizers.Adam(learning_rate, **options)
    rate = tf.keras.optimizers.schedules.PiecewiseConstantDecay(
        # The schedule holds a value up to and including the boundary; the steps count from zero.
        [step - 1 for step in decay_steps],
        [learning_rate * decay_to**falls for falls in range(len(decay_steps) + 1)],
    )
    return tf.keras.optimizers.Adam(rate, **options)
