"""Training and scoring of a segmentation network: loss, confusion matrix, learning rates, and the Keras model of it."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dsr.models.pixels import to_unit
from dsr.models.segmenter.labels import IGNORE


def cross_entropy(
    labels: tf.Tensor, logits: tf.Tensor, class_weights: tf.Tensor | None = None, smoothing: float = 0.0
) -> tuple[tf.Tensor, tf.Tensor]:
    """Sum of -log softmax(logits)[label] over the labelled pixels, and their number; both float32 scalars.

    With class weights w and smoothing s, of N classes, the sum over the labelled pixels is of

        (1 - s) w[label] (-log p[label]) + s / N sum_c w[c] (-log p[c])

    and the number that of w[label]. Sum and number are apart because the mean is over all replicas' pixels together.

    Args:
      labels: train ids (B, H, W), any integer type, 255 where there is none.
      logits: float32 (B, H, W, classes).
      class_weights: float32 (classes,), not negative; None for 1 each. A common factor leaves the mean as it is.
      smoothing: the share of a label that is spread over all classes, from 0 to 1.
    """
    labels = tf.cast(labels, tf.int32)
    labelled = labels != IGNORE
    labels = tf.where(labelled, labels, 0)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    weights = inside = tf.cast(labelled, tf.float32)
    if class_weights is not None:
        weights = inside * tf.gather(class_weights, labels)
    total = tf.reduce_sum(losses * weights)
    if smoothing:
        surprises = -tf.nn.log_softmax(logits)
        if class_weights is not None:
            surprises *= class_weights
        spread = tf.reduce_sum(tf.reduce_mean(surprises, axis=-1) * inside)
        total = (1 - smoothing) * total + smoothing * spread
    return total, tf.reduce_sum(weights)


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


class WarmUp(tf.keras.optimizers.schedules.LearningRateSchedule):
    """Rises evenly to `learning_rate`, which the last of `steps` steps has; then follows `after` from its step 0 on."""

    def __init__(
        self, learning_rate: float, steps: int, after: tf.keras.optimizers.schedules.LearningRateSchedule
    ) -> None:
        self.learning_rate, self.steps, self.after = learning_rate, steps, after

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        step = tf.cast(step, tf.float32)
        return tf.where(
            step < self.steps,
            self.learning_rate * (step + 1) / self.steps,
            self.after(tf.maximum(step - self.steps, 0)),
        )


def build_optimizer(name: str, learning_rate: float, steps: int, warmup: float = 0.0) -> tf.keras.optimizers.Optimizer:
    """'sgd' (momentum 0.9, as DeepLab is trained) or 'adam', with the poly schedule.

    It is learning_rate (1 - step / steps)^0.9. The share `warmup` of the steps, from 0 to 1, leads up to it; `step`
    then counts from there, and `steps` are those that are left.
    """
    rising = round(warmup * steps)
    schedule = tf.keras.optimizers.schedules.PolynomialDecay(
        learning_rate, max(steps - rising, 1), end_learning_rate=0.0, power=0.9
    )
    if rising:
        schedule = WarmUp(learning_rate, rising, schedule)
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
    Class weights and smoothing (see `cross_entropy`) are of training only: a test's "loss" is the cross-entropy itself.
    """

    def __init__(
        self,
        network: tf.keras.Model,
        num_classes: int,
        weight_decay: float = 4e-5,
        class_weights: NDArray[np.float32] | None = None,
        smoothing: float = 0.0,
    ) -> None:
        super().__init__(name="segmenter")
        self.network = network
        self.weight_decay = weight_decay
        self.class_weights = None if class_weights is None else tf.constant(class_weights, tf.float32)
        self.smoothing = smoothing
        self.backbone_optimizer: tf.keras.optimizers.Optimizer | None = None
        self.loss_mean = tf.keras.metrics.Mean(name="loss")
        self.confusion = ConfusionMatrix(num_classes)

    def compile(
        self,
        optimizer: tf.keras.optimizers.Optimizer,
        backbone_optimizer: tf.keras.optimizers.Optimizer | None = None,
    ) -> None:
        """`backbone_optimizer` trains the network's layer "backbone"; None if `optimizer` trains that too."""
        super().compile(optimizer=optimizer)
        self.backbone_optimizer = backbone_optimizer

    @property
    def metrics(self) -> list[tf.keras.metrics.Metric]:
        return [self.loss_mean, self.confusion]

    def call(self, image: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Logits, float32 (B, H, W, classes)."""
        if image.dtype == tf.uint8:
            image = to_unit(image)
        return self.network(image, training=training)

    def learn(self, batch: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor | float]:
        """Logits of the labelled images in training, and what comes to the loss beside what their labels say.

        The optimizers add the replicas' shares of that up, too.
        """
        return self(batch["image"], training=True), 0.0

    def train_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        replicas = tf.distribute.get_replica_context()
        with tf.GradientTape() as tape:
            logits, more = self.learn(batch)
            total, pixels = cross_entropy(batch["label"], logits, self.class_weights, self.smoothing)
            all_pixels = replicas.all_reduce(tf.distribute.ReduceOp.SUM, pixels)
            penalty = self.weight_decay * tf.add_n([tf.nn.l2_loss(kernel) for kernel in self._kernels()])
            # The optimizers add the replicas' gradients up.
            loss = tf.math.divide_no_nan(total, all_pixels) + penalty / replicas.num_replicas_in_sync + more
        parts = self._parts()
        gradients = tape.gradient(loss, [variables for _, variables in parts])
        for (optimizer, variables), of_part in zip(parts, gradients):
            optimizer.apply_gradients(zip(of_part, variables))
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

    @tf.function(reduce_retracing=True)
    def logits(self, image: tf.Tensor) -> tf.Tensor:
        """What `call` gives in inference, float32 (B, H, W, classes)."""
        return self(image, training=False)

    @tf.function(reduce_retracing=True)
    def feature_means(self, image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Means over each image, uint8 (B, H, W, 3), of the backbone's `low` and `high`, float32 (B, C) each."""
        low, high = self.network.get_layer("backbone")(to_unit(image), training=False)
        return tuple(tf.reduce_mean(tf.cast(tap, tf.float32), axis=(1, 2)) for tap in (low, high))

    def build_optimizers(self) -> None:
        """Create the optimizers' variables, so that a checkpoint restores them before the first step."""
        for optimizer, variables in self._parts():
            optimizer.build(variables)

    def learning_rates(self) -> dict[str, float]:
        """The rate of the last step; the backbone's, which is proportional to it, is not told apart."""
        return {"learning_rate": float(self.optimizer.learning_rate.numpy())}

    def _parts(self) -> list[tuple[tf.keras.optimizers.Optimizer, list[tf.Variable]]]:
        """The optimizers, each with what it trains."""
        if self.backbone_optimizer is None:
            return [(self.optimizer, self.trainable_variables)]
        backbone = self.network.get_layer("backbone").trainable_variables
        inside = {variable.ref() for variable in backbone}
        heads = [variable for variable in self.trainable_variables if variable.ref() not in inside]
        return [(self.optimizer, heads), (self.backbone_optimizer, backbone)]

    def _scores(self, label: tf.Tensor, logits: tf.Tensor, total: tf.Tensor, pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        self.loss_mean.update_state(tf.math.divide_no_nan(total, pixels), sample_weight=pixels)
        self.confusion.update_state(label, tf.argmax(logits, axis=-1, output_type=tf.int32))
        return {metric.name: metric.result() for metric in self.metrics}

    def _kernels(self) -> list[tf.Variable]:
        return [variable for variable in self.trainable_variables if variable.name.endswith("/kernel:0")]
