"""Everything that runs a network: devices, crops, the training loop, embedding."""
