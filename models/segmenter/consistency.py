"""Training a segmenter to say the same of an image and of what compression left of it.

After Zheng et al., "Improving the robustness of deep neural networks via stability training" (2016): beside the
labelled images the network sees unlabelled pairs, and the divergence of its two predictions is added to the loss.
Training images are compressed here and test images are not, so it is the prediction on the original that has to follow:
the one on the compressed image, which labels teach, is its target and gets no gradient.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dsr.models.segmenter.labels import IGNORE
from dsr.models.segmenter.training import Segmenter


def divergence(target: tf.Tensor, logits: tf.Tensor, inside: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Sum over the pixels inside of KL(softmax(target) || softmax(logits)) in nats, and their number; float32 scalars.

    Args:
      target, logits: float32 (B, H, W, classes); the target gets no gradient.
      inside: (B, H, W), any integer type; 255 where there is no image, which does not count.
    """
    log_p, log_q = tf.stop_gradient(tf.nn.log_softmax(target)), tf.nn.log_softmax(logits)
    counted = tf.cast(tf.cast(inside, tf.int32) != IGNORE, tf.float32)
    return tf.reduce_sum(tf.reduce_sum(tf.exp(log_p) * (log_p - log_q), axis=-1) * counted), tf.reduce_sum(counted)


class ConsistentSegmenter(Segmenter):
    """A `Segmenter` whose batches also hold pairs: {"compressed", "original", "inside"}, of the size of "image".

    "compressed" and "original" are uint8 RGB (B, H, W, 3), the same crops in both; "inside" (B, H, W) is 255 beside the
    images. To the loss comes

        weight * min(1, step / rising) * mean KL(p(compressed) || p(original))

    from step 0 on; "consistency" reports the mean divergence alone. Labelled crops and both of the pairs go through the
    network as one batch, so that all are normalised alike, as they will be in inference.
    """

    def __init__(
        self,
        network: tf.keras.Model,
        num_classes: int,
        weight_decay: float = 4e-5,
        class_weights: NDArray[np.float32] | None = None,
        smoothing: float = 0.0,
        *,
        weight: float,
        rising: int,
    ) -> None:
        """`rising`: in so many steps the weight comes to its full height; 0 if it begins with it."""
        super().__init__(network, num_classes, weight_decay, class_weights, smoothing)
        self.weight, self.rising = weight, rising
        self.consistency_mean = tf.keras.metrics.Mean(name="consistency")

    @property
    def metrics(self) -> list[tf.keras.metrics.Metric]:
        return [*super().metrics, self.consistency_mean]

    def weight_at(self, step: tf.Tensor) -> tf.Tensor:
        """Of the divergence in the step after so many; a float32 scalar."""
        risen = tf.minimum(tf.cast(step, tf.float32) / max(self.rising, 1), 1.0) if self.rising else tf.constant(1.0)
        return self.weight * risen

    def learn(self, batch: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        every = tf.concat([batch["image"], batch["compressed"], batch["original"]], axis=0)
        logits, target, own = tf.split(self(every, training=True), 3)
        total, pixels = divergence(target, own, batch["inside"])
        self.consistency_mean.update_state(tf.math.divide_no_nan(total, pixels), sample_weight=pixels)
        all_pixels = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, pixels)
        return logits, self.weight_at(self.optimizer.iterations) * tf.math.divide_no_nan(total, all_pixels)
