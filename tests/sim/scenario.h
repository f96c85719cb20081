// What scenarios have in common: a cloud, its load, and what is expected of it.
#ifndef FASTCONTAINER_TESTS_SIM_SCENARIO_H_
#define FASTCONTAINER_TESTS_SIM_SCENARIO_H_

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_join.h"
#include "tests/sim/cloud.h"

namespace fastcontainer::sim {

inline const Cloud::Load kRepeatable{200, 1.0, kMillisecond / 2, 5 * kMillisecond};

inline std::string Notes(Cloud& cloud) { return absl::StrJoin(cloud.world().notes(), "\n"); }

inline void ExpectNoneFailed(Cloud& cloud) { EXPECT_EQ(cloud.Failed(), 0u) << Notes(cloud); }

inline void ExpectHolds(Cloud& cloud) {
  cloud.HealAndCheck();
  EXPECT_EQ(Report(cloud, 1, "this test"), "");
}

inline uint64_t EpochOf(Cloud& cloud, int container) {
  return cloud.invariants().Current(Cloud::Container(container))->epoch;
}

inline InstanceId InstanceOn(Machine& machine, int container) {
  for (const auto& [id, instance] : machine.instances())
    if (instance.request.container == Cloud::Container(container)) return id;
  return "";
}

// The container of most hosts' worth: tests of isolation need three hosts in use.
inline CloudOptions Wide() {
  CloudOptions options;
  options.machines = 6;
  options.containers = 24;
  return options;
}

}  // namespace fastcontainer::sim

#endif  // FASTCONTAINER_TESTS_SIM_SCENARIO_H_
