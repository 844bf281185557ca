"""The built-in teaching set: drawn street scenes with exact labels."""
