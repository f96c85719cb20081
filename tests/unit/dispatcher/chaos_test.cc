// Random questions, moves, exits, lost datagrams and CMDB faults; what must hold at every step and at the
// end.
#include <algorithm>
#include <random>
#include <set>

#include "tests/unit/dispatcher/fixture.h"

namespace fastcontainer {
namespace {

class ChaosTest : public DispatcherTest, public testing::WithParamInterface<int> {
 protected:
  uint32_t Roll(uint32_t sides) { return static_cast<uint32_t>(random() % sides); }
  std::string Name() { return "c" + std::to_string(Roll(4)); }
  FakeRouter& Router() { return Roll(2) == 0 ? r1 : r2; }

  void Step() {
    const std::string name = Name();
    FakeRouter& router = Router();
    switch (Roll(12)) {
      case 0:
        Place(name, Roll(2) == 0 ? "h1" : "h2", ++epochs[name], Roll(20) == 0);
        break;
      case 1:
        if (!runtime.Of(name).empty() && runtime.instances[runtime.Of(name)].ready &&
            !runtime.instances[runtime.Of(name)].stopping)
          runtime.Exit(runtime.Of(name), "chaos");
        break;
      case 2:
        cmdb.faults().fail_reads = Roll(2) == 0 ? 3 : 0;
        break;
      case 3:
        cmdb.faults().delay = Roll(2) == 0 ? Roll(30) * kMillisecond : 0;
        break;
      case 4:
        runtime.next_start = Roll(3) == 0 ? absl::AbortedError("chaos") : absl::OkStatus();
        break;
      case 5:
        listens = Roll(3) != 0;
        break;
      case 6:
      case 7:
        if (!router.got.empty()) router.Renew(router.got.back(), Roll(3), Roll(2));
        break;
      case 8:
        if (!router.got.empty()) router.Release(router.got.back(), Roll(4) == 0 ? 1 : 0);
        break;
      default:
        router.Acquire(name, epochs[name] + (Roll(10) == 0 ? 1 : 0), 1, Roll(5) == 0);
    }
    for (uint32_t lost = Roll(3); lost > 0 && !net.sent.empty(); --lost) net.sent.pop_front();
    Advance(Roll(4) == 0 ? Roll(3000) * kMillisecond : Roll(40) * kMillisecond);
  }
  void CheckAlways() {
    std::set<std::string> running;
    std::set<Address> addresses;
    for (const auto& [id, instance] : runtime.instances) {
      EXPECT_TRUE(running.insert(instance.request.container).second) << "two of one container";
      EXPECT_TRUE(addresses.insert(instance.request.address).second) << "two on one address";
    }
    const Dispatcher::Stats& stats = dispatcher->stats();
    EXPECT_EQ(stats.running + stats.starting + stats.stopping, runtime.instances.size());
  }

  std::mt19937 random{static_cast<uint32_t>(GetParam())};
  std::map<std::string, uint64_t> epochs;
};

TEST_P(ChaosTest, NothingIsForgottenAndNothingRunsUnplaced) {
  Begin();
  for (int i = 0; i < 4; ++i) {
    const std::string name = "c" + std::to_string(i);
    PutSpec(name, R"("keep_alive":{"idle_s":2,"life_s":7})");
    Place(name, "h1", epochs[name] = 1);
  }
  for (int step = 0; step < 400 && !HasFailure(); ++step) {
    Step();
    CheckAlways();
  }
  cmdb.faults() = {};
  // A stop waits up to 30 s for tickets whose router never says that they ended.
  Advance(40 * kSecond);
  for (const auto& [id, instance] : runtime.instances) {
    const Record record = store->Get(RecordKey(RecordKind::kPlacement, instance.request.container));
    const absl::StatusOr<Placement> placement = DecodePlacement(record.value);
    ASSERT_TRUE(placement.ok());
    if (instance.stopping) continue;
    EXPECT_FALSE(placement->deleted) << id;
    EXPECT_EQ(placement->Find(0)->host, "h1") << id;
  }
  // Everybody who asks now gets an end: GRANT, MOVED or FAILED.
  listens = true;
  runtime.next_start = absl::OkStatus();
  Advance(60 * kSecond);
  EXPECT_TRUE(runtime.instances.empty()) << "idle";
  for (const auto& [name, epoch] : epochs) {
    r1.Acquire(name, epoch);
    Advance(kSecond);
    ASSERT_FALSE(r1.got.empty());
    EXPECT_TRUE(r1.got.back().type == MessageType::kGrant || r1.got.back().type == MessageType::kMoved)
        << static_cast<int>(r1.got.back().type) << r1.got.back().reason;
  }
  dispatcher.reset();
  Advance(options.heartbeat);  // the store's own timer ends the heartbeat
  EXPECT_EQ(reactor.timers(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, ChaosTest, testing::Range(1, 41));

}  // namespace
}  // namespace fastcontainer
