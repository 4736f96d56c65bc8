"""One file per command, each a plain function from a request to a result.

What a command needs besides lies under its name: `probe_*`, `run_*` (of `pretrain` and `runs`),
`separation_*`, `store_*`.
"""
