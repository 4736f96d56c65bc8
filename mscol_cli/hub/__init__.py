"""Model repositories of the Hugging Face Hub."""
