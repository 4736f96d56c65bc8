"""Uploading of models to the Hugging Face Hub."""
