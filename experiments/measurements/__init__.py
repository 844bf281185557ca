"""What a study measures beside accuracy."""
