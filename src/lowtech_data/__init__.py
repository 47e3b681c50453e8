"""lowtech-data: the open national database of low-tech initiatives in France."""
