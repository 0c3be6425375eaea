"""Side-by-side measurements: ours, the least possible work on the same server, and the ratio, from one run."""
