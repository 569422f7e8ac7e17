"""The command line: one verb each, for people and for programs. It needs the extra `cli`."""
