"""Keras networks, their layers, losses and metrics: the ground floor, which imports nothing of the project above it."""
