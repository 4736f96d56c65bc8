"""Running networks for all commands: models, devices, embedding, optimizer."""
