"""`python -m lowtech_data`: the `lowtech` command."""

from lowtech_data.cli import main

main()
