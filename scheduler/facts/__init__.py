"""Facts: the reads that cross rooms. Writes nothing."""
