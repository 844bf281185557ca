"""Making the files that ship: codec models and fitted perceptual indexes."""
