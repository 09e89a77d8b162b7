"""A scripted stand-in for Stalwart, which cannot be installed from a package registry."""
