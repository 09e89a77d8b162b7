"""Tests of the checks: small trees, each with one thing wrong."""
