"""Training and scoring of a segmentation network: loss, confusion matrix, learning rates, and the Keras model of it."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

IGNORE = 255


def cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Sum of -log softmax(logits)[label] over the labelled pixels, and their number; both float32 scalars.

    `labels` are train ids (B, H, W), any integer type, 255 where there is none; `logits` float32 (B, H, W, classes).
    The sum and the number are apart because the mean is over all replicas' pixels together.
    """
    labels = tf.cast(labels, tf.int32)
    labelled = labels != IGNORE
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.where(labelled, labels, 0), logits=logits)
    weights = tf.cast(labelled, tf.float32)
    return tf.reduce_sum(losses * weights), tf.reduce_sum(weights)


def iou_per_class(matrix: NDArray[np.int64]) -> NDArray[np.float64]:
    """Intersection over union of each class of a confusion matrix (rows truth, columns prediction).

    It is nan where a class is neither labelled nor predicted.
    """
    intersection = np.diag(matrix).astype(np.float64)
    union = matrix.sum(axis=0) + matrix.sum(axis=1) - np.diag(matrix)
    return np.divide(intersection, union, out=np.full(len(matrix), np.nan), where=union > 0)


class ConfusionMatrix(tf.keras.metrics.Metric):
    """One confusion matrix over everything seen, ignoring label 255; as a scalar, the mean IoU.

    Counts are int64 and summed over replicas, so the result does not depend on batches or devices. The mean is over the
    classes that are labelled or predicted somewhere; nan if there is no labelled pixel at all.
    """

    def __init__(self, num_classes: int, name: str = "miou") -> None:
        super().__init__(name=name, dtype=tf.int64)
        self.num_classes = num_classes
        self.total = self.add_weight("total", shape=(num_classes, num_classes), initializer="zeros", dtype=tf.int64)

    def update_state(self, labels: tf.Tensor, predictions: tf.Tensor, sample_weight: None = None) -> None:
        """`labels` and `predictions`: train ids of equal shape, any integer type."""
        labels, predictions = tf.reshape(labels, [-1]), tf.reshape(predictions, [-1])
        labelled = labels != IGNORE
        cells = tf.cast(labels, tf.int32) * self.num_classes + tf.cast(predictions, tf.int32)
        counts = tf.math.bincount(tf.boolean_mask(cells, labelled), minlength=self.num_classes**2)
        self.total.assign_add(tf.reshape(tf.cast(counts, tf.int64), self.total.shape))

    def result(self) -> tf.Tensor:
        """Mean IoU, float64."""
        total = tf.cast(self.total, tf.float64)
        intersection = tf.linalg.diag_part(total)
        union = tf.reduce_sum(total, 0) + tf.reduce_sum(total, 1) - intersection
        present = union > 0
        return tf.reduce_mean(tf.boolean_mask(intersection, present) / tf.boolean_mask(union, present))

    def reset_state(self) -> None:
        self.total.assign(tf.zeros_like(self.total))

    @property
    def matrix(self) -> NDArray[np.int64]:
        """The counts, (classes, classes): rows truth, columns prediction."""
        return self.total.numpy()

    def iou_per_class(self) -> NDArray[np.float64]:
        """See the function of this name."""
        return iou_per_class(self.matrix)

    def pixel_accuracy(self) -> float:
        """The share of labelled pixels predicted right; nan if there are none."""
        matrix = self.matrix
        return float(np.trace(matrix) / matrix.sum()) if matrix.any() else float("nan")


def build_optimizer(name: str, learning_rate: float, steps: int) -> tf.keras.optimizers.Optimizer:
    """'sgd' (momentum 0.9, as DeepLab is trained) or 'adam', with the poly schedule.

    It is learning_rate (1 - step / steps)^0.9.
    """
    schedule = tf.keras.optimizers.schedules.PolynomialDecay(learning_rate, steps, end_learning_rate=0.0, power=0.9)
    if name == "sgd":
        return tf.keras.optimizers.SGD(schedule, momentum=0.9)
    return tf.keras.optimizers.Adam(schedule)


class Segmenter(tf.keras.Model):
    """A segmentation network with its training and test step, on batches {"image", "label"}.

    `image` is uint8 RGB (B, H, W, 3), or float already in [-1, 1]; `label` integer train ids (B, H, W), 255 = ignore.
    Under a tf.distribute strategy the loss is the mean over the labelled pixels of all replicas, so N replicas take the
    step one would take with the whole batch (batch normalisation apart, whose statistics are per replica). Training
    minimises

        mean cross-entropy + weight_decay / 2 * sum |kernel|^2

    over the convolution kernels, depthwise ones excepted (as published); "loss" reports the cross-entropy alone.
    """

    def __init__(self, network: tf.keras.Model, num_classes: int, weight_decay: float = 4e-5) -> None:
        super().__init__(name="segmenter")
        self.network = network
        self.weight_decay = weight_decay
        self.loss_mean = tf.keras.metrics.Mean(name="loss")
        self.confusion = ConfusionMatrix(num_classes)

    @property
    def metrics(self) -> list[tf.keras.metrics.Metric]:
        return [self.loss_mean, self.confusion]

    def call(self, image: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Logits, float32 (B, H, W, classes)."""
        if image.dtype == tf.uint8:
            image = tf.cast(image, tf.float32) / 127.5 - 1.0
        return self.network(image, training=training)

    def train_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        replicas = tf.distribute.get_replica_context()
        with tf.GradientTape() as tape:
            logits = self(batch["image"], training=True)
            total, pixels = cross_entropy(batch["label"], logits)
            all_pixels = replicas.all_reduce(tf.distribute.ReduceOp.SUM, pixels)
            penalty = self.weight_decay * tf.add_n([tf.nn.l2_loss(kernel) for kernel in self._kernels()])
            # The optimizer adds the replicas' gradients up.
            loss = tf.math.divide_no_nan(total, all_pixels) + penalty / replicas.num_replicas_in_sync
        self.optimizer.minimize(loss, self.trainable_variables, tape)
        return self._scores(batch["label"], logits, total, pixels)

    def test_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        logits = self(batch["image"], training=False)
        return self._scores(batch["label"], logits, *cross_entropy(batch["label"], logits))

    def predict_step(self, batch: dict[str, tf.Tensor]) -> tf.Tensor:
        return self.label_map(batch["image"])

    @tf.function(reduce_retracing=True)
    def label_map(self, image: tf.Tensor) -> tf.Tensor:
        """The likeliest class of each pixel, uint8 (B, H, W), the whole image at once and at its own scale."""
        return tf.cast(tf.argmax(self(image, training=False), axis=-1), tf.uint8)

    def build_optimizers(self) -> None:
        """Create the optimizer's variables, so that a checkpoint restores them before the first step."""
        self.optimizer.build(self.trainable_variables)

    def learning_rates(self) -> dict[str, float]:
        """The rate of the last step."""
        return {"learning_rate": float(self.optimizer.learning_rate.numpy())}

    def _scores(self, label: tf.Tensor, logits: tf.Tensor, total: tf.Tensor, pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        self.loss_mean.update_state(tf.math.divide_no_nan(total, pixels), sample_weight=pixels)
        self.confusion.update_state(label, tf.argmax(logits, axis=-1, output_type=tf.int32))
        return {metric.name: metric.result() for metric in self.metrics}

    def _kernels(self) -> list[tf.Variable]:
        return [variable for variable in self.trainable_variables if variable.name.endswith("/kernel:0")]
