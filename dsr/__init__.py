"""Dataset restoration: measure what image compression costs a segmentation network, and win it back.

The folders of the repository are this package's rooms: `dsr.app`, `dsr.experiments`, `dsr.data_pipelines`, `dsr.tfrecords`,
`dsr.models`.
"""
