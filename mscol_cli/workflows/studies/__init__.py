"""Studies: chains of commands, each of which knows by its own output whether it is finished."""
