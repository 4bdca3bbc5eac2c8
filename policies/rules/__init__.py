"""The rules, one a file. A rule is a pure function from a case to the times at which it permits."""
