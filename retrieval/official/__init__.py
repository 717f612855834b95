"""The released code's own ways: its configs, its runs, the challenge's prediction files."""
