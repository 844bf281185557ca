"""What a label map may say beside a class."""

IGNORE = 255
"""Train id of pixels that neither the loss nor the metric looks at."""
