"""Where pixels come from and what happens to them: datasets, codecs, tf.data input pipelines, augmentation."""
