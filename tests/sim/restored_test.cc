// A store that goes back to an older copy under a running cloud.
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "fastcontainer/records.h"
#include "tests/sim/restore.h"

namespace fastcontainer::sim {
namespace {

constexpr uint64_t kSeeds = 8;
const Cloud::Load kRepeatable{100, 1.0, kMillisecond / 2, 5 * kMillisecond};

std::string Notes(Cloud& cloud) { return absl::StrJoin(cloud.world().notes(), "\n"); }

void ExpectHolds(Cloud& cloud, uint64_t seed) {
  cloud.HealAndCheck();
  EXPECT_EQ(Report(cloud, seed, "this test"), "");
}

// Moves every container at least once after the backup.
std::shared_ptr<MemoryStore> BackUpAndGoOn(Cloud& cloud) {
  cloud.Warm();
  std::shared_ptr<MemoryStore> backup = cloud.store().Copy();
  const size_t victim = cloud.HostOf(0);
  cloud.LosePower(victim);
  cloud.Run(5 * kSecond, kRepeatable);
  cloud.RestorePower(victim);
  cloud.Run(20 * kSecond, kRepeatable);
  return backup;
}

TEST(Restored, RequestsDoNotFailAndAllHeals) {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    CloudOptions options;
    options.seed = seed;
    Cloud cloud(options);
    const std::shared_ptr<MemoryStore> backup = BackUpAndGoOn(cloud);
    EXPECT_EQ(cloud.Failed(), 0u) << Notes(cloud);
    GoBack(cloud, *backup);
    cloud.Run(cloud.world().Between(0, 5 * kSecond), kRepeatable);
    Restored(cloud);
    cloud.Run(20 * kSecond, kRepeatable);
    cloud.Run(20 * kSecond);
    EXPECT_EQ(cloud.Failed(), 0u) << Notes(cloud);
    for (int i = 0; i < options.containers; ++i) EXPECT_EQ(cloud.RunningCopies(i), 1u);
    ExpectHolds(cloud, seed);
  }
}

TEST(Restored, AHostThatDiesAfterwardsIsLeft) {
  CloudOptions options;
  Cloud cloud(options);
  const std::shared_ptr<MemoryStore> backup = BackUpAndGoOn(cloud);
  GoBack(cloud, *backup);
  Restored(cloud);
  cloud.Run(5 * kSecond, kRepeatable);
  cloud.LosePower(cloud.HostOf(0));
  cloud.Run(10 * kSecond, kRepeatable);
  EXPECT_EQ(cloud.Failed(), 0u) << Notes(cloud);
  ExpectHolds(cloud, 1);
}

TEST(Restored, TwiceFromOneBackupHandsNoEpochOutTwice) {
  CloudOptions options;
  Cloud cloud(options);
  const std::shared_ptr<MemoryStore> backup = BackUpAndGoOn(cloud);
  for (int i = 0; i < 2; ++i) {
    GoBack(cloud, *backup);
    Restored(cloud);
    cloud.Run(5 * kSecond, kRepeatable);
    const size_t victim = cloud.HostOf(1);
    cloud.LosePower(victim);
    cloud.Run(10 * kSecond, kRepeatable);
    cloud.RestorePower(victim);
  }
  ExpectHolds(cloud, 1);
}

TEST(Restored, OfSingleContainersNoOlderEpochWritesAfterANewerOne) {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    CloudOptions options;
    options.seed = seed;
    options.singles = 2;
    options.storage_fence = false;
    Cloud cloud(options);
    const std::shared_ptr<MemoryStore> backup = BackUpAndGoOn(cloud);
    GoBack(cloud, *backup);
    Restored(cloud);
    cloud.Run(40 * kSecond, kRepeatable);
    cloud.Run(20 * kSecond);
    ExpectHolds(cloud, seed);
  }
}

// Nobody's process hears of it at once.
TEST(Restored, WhileTheProcessesCannotReachTheStore) {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    CloudOptions options;
    options.seed = seed;
    options.singles = 1;
    options.storage_fence = false;
    Cloud cloud(options);
    const std::shared_ptr<MemoryStore> backup = BackUpAndGoOn(cloud);
    cloud.LoseCmdb(true);
    cloud.Run(kSecond, kRepeatable);
    GoBack(cloud, *backup);
    Restored(cloud);
    for (size_t i = 0; i < cloud.machines(); ++i) {
      cloud.Run(cloud.world().Between(0, 3 * kSecond), kRepeatable);
      Cloud::LoseCmdb(*cloud.host(i).cmdb, false);
    }
    for (size_t i = 0; i < cloud.proxies(); ++i) {
      cloud.Run(cloud.world().Between(0, 3 * kSecond), kRepeatable);
      Cloud::LoseCmdb(*cloud.proxy(i).cmdb, false);
    }
    cloud.Run(20 * kSecond, kRepeatable);
    ExpectHolds(cloud, seed);
  }
}

}  // namespace
}  // namespace fastcontainer::sim
