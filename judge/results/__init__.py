"""Verdicts in, numbers out: statistics, results files, comparison."""
