"""Typed configurations, overrides of them, and presets."""
