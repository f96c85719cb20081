// Random schedules. FASTCONTAINER_SIM_FIRST and FASTCONTAINER_SIM_SEEDS: which, and how many;
// FASTCONTAINER_SIM_SEED: only this one, FASTCONTAINER_SIM_DROP: without these of its faults.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "tests/sim/schedule.h"

namespace fastcontainer::sim {
namespace {

constexpr uint64_t kDefaultSeeds = 200;
constexpr int kMostReports = 3;

std::set<int> DroppedFaults() {
  std::set<int> dropped;
  const char* const text = std::getenv("FASTCONTAINER_SIM_DROP");
  for (const absl::string_view part : absl::StrSplit(text != nullptr ? text : "", ',', absl::SkipEmpty())) {
    int number = 0;
    if (absl::SimpleAtoi(part, &number)) dropped.insert(number);
  }
  return dropped;
}

TEST(Random, InvariantsHoldUnderEveryFault) {
  const uint64_t only = FromEnvironment("FASTCONTAINER_SIM_SEED", 0);
  if (only != 0) {
    Schedule schedule;
    schedule.seed = only;
    schedule.dropped = DroppedFaults();
    schedule.notes = true;
    EXPECT_EQ(RunSchedule(schedule).report, "");
    return;
  }
  const uint64_t first = FromEnvironment("FASTCONTAINER_SIM_FIRST", 1);
  const uint64_t seeds = FromEnvironment("FASTCONTAINER_SIM_SEEDS", kDefaultSeeds);
  uint64_t relocations = 0, ok = 0, events = 0;
  int bad = 0;
  for (uint64_t n = 0; n < seeds && bad < kMostReports; ++n) {
    Schedule schedule;
    schedule.seed = first + n;
    const ScheduleResult result = RunSchedule(schedule);
    relocations += result.relocations;
    ok += result.ok;
    events += result.events;
    if (result.report.empty()) continue;
    ++bad;
    ADD_FAILURE() << "seed " << schedule.seed << ": " << result.violations.front()
                  << "\nwith what it needs: " << Shrink(&schedule).report;
  }
  std::cout << seeds << " schedules, " << events << " events, " << ok << " requests answered, " << relocations
            << " relocations\n";
  EXPECT_GT(ok, 0u);
}

}  // namespace
}  // namespace fastcontainer::sim
