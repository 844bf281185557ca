"""The learned codec's network: a mean-scale hyperprior, its exact integer part, its training and its files."""
