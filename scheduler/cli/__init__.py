"""The command line: one of three front doors. Data goes to standard output, words go to standard error."""
