#ifndef FASTCONTAINER_BENCHMARKS_PROBE_SCENARIOS_H_
#define FASTCONTAINER_BENCHMARKS_PROBE_SCENARIOS_H_

#include "benchmarks/probe_drive.h"

// Each runs in the lab (probe_lab.h), which has been opened.

// How long after a deadline of 10 ms a silent host is judged.
void Overshoot(const Arguments& arguments, Report* report);
// False alarms while other processes compute, and after a loop that was away.
void Hogs(const Arguments& arguments, Report* report);
// 10,000 hosts, by fping and by fc_prober_batch().
void Mass(const Arguments& arguments, Report* report);
// False alarms where delays have a heavy tail: one packet, hedged, adaptive.
void Delays(const Arguments& arguments, Report* report);
// 1,000 callers who ask for the same host at once.
void Callers(const Arguments& arguments, Report* report);
// Verdicts beside the traffic of others.
void Floods(const Arguments& arguments, Report* report);

// A host of the user's own, without the lab.
void Target(const Arguments& arguments, Report* report);

#endif  // FASTCONTAINER_BENCHMARKS_PROBE_SCENARIOS_H_
