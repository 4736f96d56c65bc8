"""The command line: options in, requests out, results shown. Rich and Typer live here alone."""
