"""A laboratory of real mail servers and the proxy in front of them. Nothing here knows a test."""
