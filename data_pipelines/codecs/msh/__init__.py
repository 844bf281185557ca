"""The learned codec: `MshCodec` of the registry, and the model that comes with the package.

Layers: `container` (the bitstream), `coder` (transforms and range coder, with TensorFlow), `process` (where they run),
`codec`; `retired` knows the models of earlier releases.
"""

from dsr.data_pipelines.codecs.msh.codec import SHIPPED, MshCodec

__all__ = ["SHIPPED", "MshCodec"]
