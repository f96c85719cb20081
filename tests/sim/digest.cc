// Prints what some schedules came to: two processes must print the same, whatever their hash seeds are.
#include <cstdio>

#include "tests/sim/schedule.h"

int main() {
  const uint64_t seeds = fastcontainer::sim::FromEnvironment("FASTCONTAINER_SIM_SEEDS", 40);
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    fastcontainer::sim::Schedule schedule;
    schedule.seed = seed;
    const fastcontainer::sim::ScheduleResult result = RunSchedule(schedule);
    std::printf("%llu %016llx %llu\n", static_cast<unsigned long long>(seed),
                static_cast<unsigned long long>(result.digest),
                static_cast<unsigned long long>(result.events));
  }
}
