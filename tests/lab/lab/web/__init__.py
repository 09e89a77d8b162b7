"""What the tests of HTTP stand on: backends of both sides, and the proxy's configuration for them. Nothing here knows a test."""
