"""Pages and pictures: templates, tables, curves; they know nothing of runs or probes."""
