"""Networks that turn compressed images into restored ones, and their training."""
