"""The control plane of a small cloud: hosts, specs and placements by REST, jobs that survive its end, events, metrics."""
