"""The command line: options and terminal output. Only this room uses Typer and rich."""
