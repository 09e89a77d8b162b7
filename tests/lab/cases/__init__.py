"""The black-box tests: a file for each subject, sockets on one side, server logs on the other."""
