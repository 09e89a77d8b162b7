"""The rules of this repository that neither the compiler nor clippy checks. `tests/policy.py` runs them."""
