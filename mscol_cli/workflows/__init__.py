"""One file per command, each a plain function from a request to a result."""
