"""What a fleet shall record for a budget, from what a work folder has measured. Nothing here imports TensorFlow."""
