#include "tests/sim/schedule.h"

#include <cstdlib>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/sim/faults.h"

namespace fastcontainer::sim {
namespace {

constexpr const char* kBinary = "build/release/bin/sim_random";
// A schedule in so many is long: what is rare in a second has time to come together.
constexpr uint64_t kOneLong = 16;

Random Dice(uint64_t seed, uint64_t number) {
  Random mixed(seed * 0x9e3779b97f4a7c15 + number);
  return Random(mixed.Next());
}

CloudOptions Draw(uint64_t seed) {
  Random random = Dice(seed, 0);
  CloudOptions options;
  options.seed = seed;
  options.machines = 2 + static_cast<int>(random.Below(4));
  options.proxies = 1 + static_cast<int>(random.Below(3));
  options.containers = 1 + static_cast<int>(random.Below(4));
  options.spec = random.Chance(0.5)
                     ? R"({"v":1,"command":["serve"],"concurrency":8,"keep_alive":{"idle_s":1,"life_s":3}})"
                     : R"({"v":1,"command":["serve"],"concurrency":32})";
  options.peers = random.Chance(0.5);
  options.router.prepare = random.Chance(0.75);
  options.singles = static_cast<int>(random.Below(static_cast<size_t>(options.containers) + 1));
  options.storage_fence = random.Chance(0.5);
  options.heartbeat = 2 * kSecond;
  if (random.Chance(0.25)) options.router.admit_by = AdmitBy::kHeartbeat;
  if (random.Chance(0.3)) options.ports = 64;
  if (random.Chance(0.5)) options.drift = 0.02;
  if (random.Chance(0.5)) {
    options.router.relocations_per_second = 2;
    options.router.relocation_burst = 3;
  }
  return options;
}

// "I3: ..." or the whole text.
std::string Kind(const std::string& violation) {
  const size_t colon = violation.find(": ");
  return violation.size() > 2 && violation[0] == 'I' && colon == 2 ? violation.substr(0, 2) : violation;
}

bool Has(const ScheduleResult& result, const std::string& kind) {
  for (const std::string& violation : result.violations)
    if (Kind(violation) == kind) return true;
  return false;
}

std::string Command(const Schedule& schedule) {
  const std::string drop =
      schedule.dropped.empty()
          ? ""
          : absl::StrCat("FASTCONTAINER_SIM_DROP=", absl::StrJoin(schedule.dropped, ","), " ");
  return absl::StrCat("FASTCONTAINER_SIM_SEED=", schedule.seed, " ", drop, kBinary);
}

}  // namespace

ScheduleResult RunSchedule(const Schedule& schedule) {
  CloudOptions options = Draw(schedule.seed);
  options.notes = schedule.notes;
  if (schedule.change) schedule.change(options);
  Cloud cloud(options);
  World& world = cloud.world();
  Random shape = Dice(schedule.seed, 1);
  const bool long_one = shape.Below(kOneLong) == 0;
  const Nanos end = world.now() + (long_one ? 12 * kSecond : shape.Between(kSecond, 3 * kSecond));
  Cloud::Load load;
  load.rate = static_cast<double>(shape.Between(20, long_one ? 300 : 120));
  load.most_service = shape.Chance(0.3) ? 2 * kSecond : 5 * kMillisecond;
  const Nanos gap = shape.Between(50 * kMillisecond, 600 * kMillisecond);
  cloud.StartLoad(end, load);
  ScheduleResult result;
  while (world.now() < end) {
    const int number = result.faults++;
    Random dice = Dice(schedule.seed, 2 + static_cast<uint64_t>(number));
    cloud.Run(dice.Between(10 * kMillisecond, gap));
    if (schedule.dropped.count(number) == 0) BreakSomething(cloud, dice);
  }
  cloud.HealAndCheck(100 * kSecond, long_one);
  result.violations = cloud.invariants().violations();
  result.report = Report(cloud, schedule.seed, Command(schedule));
  result.digest = world.digest() ^ world.Draw();
  result.events = world.events();
  result.relocations = cloud.invariants().relocations();
  result.ok = cloud.Ok();
  return result;
}

ScheduleResult Shrink(Schedule* schedule) {
  schedule->notes = false;
  const ScheduleResult all = RunSchedule(*schedule);
  if (!all.violations.empty()) {
    const std::string kind = Kind(all.violations.front());
    for (int number = all.faults - 1; number >= 0; --number) {
      if (!schedule->dropped.insert(number).second) continue;
      if (!Has(RunSchedule(*schedule), kind)) schedule->dropped.erase(number);
    }
  }
  schedule->notes = true;
  return RunSchedule(*schedule);
}

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* const text = std::getenv(name);
  uint64_t value = 0;
  return text != nullptr && absl::SimpleAtoi(text, &value) ? value : otherwise;
}

}  // namespace fastcontainer::sim
