"""DeepLabv3+, the paper's downstream task (V-A).

Chen et al., "Encoder-Decoder with Atrous Separable Convolution for Semantic Image Segmentation" (2018).

    image (B, H, W, 3) in [-1, 1]
      |
    backbone ------------------------------ low (B, H/4, W/4, C_low)
      |                                       |
    high (B, H/16, W/16, C_high)            1x1 conv, 48
      |                                       |
      +-- 1x1 conv ---------------.           |
      +-- 3x3 atrous, rate  6 ----+           |
      +-- 3x3 atrous, rate 12 ----+ concat    |
      +-- 3x3 atrous, rate 18 ----+           |
      '-- image pooling, 1x1 -----'           |
                 |                            |
           1x1 conv, 256, dropout             |
                 |                            |
              x4 bilinear ------ concat ------'
                                   |          (B, H/4, W/4, 256 + 48)
                             2 x 3x3 conv, 256
                                   |
                             1x1 conv, classes
                                   |
                              x4 bilinear
                                   |
                  logits (B, H, W, classes), float32

Sizes round up; every convolution but the last is followed by batch normalisation and ReLU. The 3x3 convolutions are
depthwise separable, as in the model published for Xception-65. At output stride 8 the rates double. Upsampling keeps
feature (i, j) of stride s on pixel (s i, s j), where the backbones put it, so crops and whole images of any size align
alike.
"""

from __future__ import annotations

import tensorflow as tf

from dsr.models.segmenter.backbones import build_backbone
from dsr.models.segmenter.config import DeepLabConfig, split_name


class LatticeUpsampling(tf.keras.layers.Layer):
    """Bilinear upsampling by a whole factor, cropped to a reference's size: sample (i, j) goes to (factor i, factor j).

    (`align_corners` puts it there only for sizes factor k + 1, `half_pixel_centers` never.)
    """

    def __init__(self, factor: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        features, reference = inputs  # (B, h, w, C), (B, H, W, any) with H <= factor h
        size = self.factor * tf.shape(features)[1:3]
        dense = tf.raw_ops.ResizeBilinear(images=features, size=size, align_corners=False, half_pixel_centers=False)
        height, width = tf.unstack(tf.shape(reference)[1:3])
        return tf.cast(dense[:, :height, :width], self.compute_dtype)


class CountedDropout(tf.keras.layers.Dropout):
    """Dropout whose mask follows from a count of the training calls, which is a weight.

    A training that goes on from a checkpoint draws what an uninterrupted one would. (Keras's draws from a state that no
    checkpoint holds.)
    """

    def build(self, input_shape: tf.TensorShape) -> None:
        self.calls = self.add_weight(
            "calls", shape=(), dtype=tf.int64, initializer="zeros", trainable=False,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )  # fmt: skip
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training or not self.rate:
            return inputs
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        seed = tf.stack([self.calls, tf.cast(replica, tf.int64)])
        self.calls.assign_add(1)
        return tf.nn.experimental.stateless_dropout(inputs, self.rate, seed, rng_alg="philox")


def build_deeplab(config: DeepLabConfig, num_classes: int) -> tf.keras.Model:
    """The network of `config`: float RGB (B, H, W, 3) in [-1, 1] of any size to float32 logits (B, H, W, num_classes).

    Follows Keras's global dtype policy; weights and logits stay float32. Raises WeightsError and BackboneError as
    `build_backbone` does.
    """
    config.check_weights()
    backbone = build_backbone(
        config.backbone,
        output_stride=config.output_stride,
        width=config.width,
        weights=config.weights,
        batch_norm_momentum=config.batch_norm_momentum,
    )
    if config.freeze_batch_norm:
        freeze_batch_norm(backbone)

    def normalised(x: tf.Tensor, name: str) -> tf.Tensor:
        x = tf.keras.layers.BatchNormalization(momentum=config.batch_norm_momentum, epsilon=1e-5, name=f"{name}_BN")(x)
        return tf.keras.layers.ReLU(name=f"{name}_relu")(x)

    def convolution(x: tf.Tensor, filters: int, name: str) -> tf.Tensor:
        return normalised(tf.keras.layers.Conv2D(filters, 1, use_bias=False, name=name)(x), name)

    def separable(x: tf.Tensor, filters: int, rate: int, name: str) -> tf.Tensor:
        depthwise = tf.keras.layers.DepthwiseConv2D(
            3, padding="same", dilation_rate=rate, use_bias=False, name=f"{name}_depthwise"
        )
        return convolution(normalised(depthwise(x), f"{name}_depthwise"), filters, f"{name}_pointwise")

    image = tf.keras.Input((None, None, 3), name="image")
    low, high = backbone(image)

    pooled = tf.keras.layers.GlobalAveragePooling2D(keepdims=True, name="image_pool")(high)
    pooled = convolution(pooled, config.aspp_width, "aspp_image")
    local = convolution(high, config.aspp_width, "aspp_1x1")
    spread = [separable(high, config.aspp_width, rate, f"aspp_rate{rate}") for rate in config.rates]
    x = tf.keras.layers.Concatenate(name="aspp")([tf.zeros_like(local) + pooled, local, *spread])
    x = convolution(x, config.aspp_width, "aspp_projection")
    x = CountedDropout(config.dropout, name="aspp_dropout")(x)

    edges = convolution(low, config.low_level_width, "low_projection")
    x = LatticeUpsampling(config.output_stride // 4, name="upsampling")((x, edges))
    x = tf.keras.layers.Concatenate(name="decoder")([x, edges])
    x = separable(x, config.decoder_width, 1, "decoder_conv1")
    x = separable(x, config.decoder_width, 1, "decoder_conv2")
    x = tf.keras.layers.Conv2D(num_classes, 1, dtype="float32", name="classes")(x)
    logits = LatticeUpsampling(4, dtype="float32", name="logits")((x, image))
    return tf.keras.Model(image, logits, name=f"deeplabv3plus_{split_name(config.backbone)[0]}")


def freeze_batch_norm(model: tf.keras.Model) -> None:
    """Keep every batch normalisation of `model`, nested ones too, at its statistics: not trained, inference mode."""
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            layer.trainable = False
