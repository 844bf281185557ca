"""BPG: HEVC intra pictures in a small container, compatible with libbpg.

`BpgCodec` is the codec of the registry; `write_bpg` and `read_bpg` also handle gray pictures and alpha.

Layers: `bits` (codes), `parameter_sets` (SPS and friends), `container` (the file), `colour` (planes to RGB and back),
`hevc` (x265 and FFmpeg), `picture` (all of them together), `libbpg` (the reference programs instead), `codec`.
"""

from dsr.data_pipelines.codecs.bpg.codec import BpgCodec
from dsr.data_pipelines.codecs.bpg.container import Header
from dsr.data_pipelines.codecs.bpg.picture import Picture, read_bpg, write_bpg

__all__ = ["BpgCodec", "Header", "Picture", "read_bpg", "write_bpg"]
