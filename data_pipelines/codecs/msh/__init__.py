"""The learned codec: `MshCodec` of the registry, and the models that come with the package.

Layers: `container` (the bitstream), `coder` (transforms and range coder, with TensorFlow), `codec`.
"""

from dsr.data_pipelines.codecs.msh.codec import MshCodec, shipped, shipped_path

__all__ = ["MshCodec", "shipped", "shipped_path"]
