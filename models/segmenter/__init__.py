"""DeepLabv3+: backbones, network, training and scoring."""
