"""What everything speaks of: requests, rubrics, verdicts, signatures, metrics. Pure: no files, no torch."""
