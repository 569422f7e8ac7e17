"""Stores of jobs: the contract and the drivers."""
