"""How things leave this machine: one file a channel. A channel is given everything it needs and touches no row."""
