"""What runs a network for any command: models, devices, embedding, distributed, optimizer."""
