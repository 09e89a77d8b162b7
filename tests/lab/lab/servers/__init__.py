"""The real servers of the conformance matrix: each has the same accounts, and can be asked what is in a mailbox."""
