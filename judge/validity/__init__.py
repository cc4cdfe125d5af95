"""Whether a judge can be trusted: agreement with people, ablation of criteria, probes."""
