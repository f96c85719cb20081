// A random schedule of everything that can go wrong, made from one number.
#ifndef FASTCONTAINER_TESTS_SIM_SCHEDULE_H_
#define FASTCONTAINER_TESTS_SIM_SCHEDULE_H_

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/cloud.h"

namespace fastcontainer::sim {

struct Schedule {
  uint64_t seed = 1;
  // Faults, by number, that do not happen: every other one comes at the same time and is the same.
  std::set<int> dropped;
  bool notes = false;
  std::function<void(CloudOptions&)> change;  // of what the seed says; for mutants
};

struct ScheduleResult {
  std::vector<std::string> violations;
  std::string report;  // "" without a violation
  int faults = 0;
  uint64_t digest = 0, events = 0, relocations = 0, ok = 0;
};

ScheduleResult RunSchedule(const Schedule& schedule);

// The faults that a violation of this schedule does not need, dropped one after the other; with the report of
// what is left. The result is a violation of the same invariant.
ScheduleResult Shrink(Schedule* schedule);

uint64_t FromEnvironment(const char* name, uint64_t otherwise);

}  // namespace fastcontainer::sim

#endif  // FASTCONTAINER_TESTS_SIM_SCHEDULE_H_
