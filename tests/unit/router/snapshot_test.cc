// The snapshot: what is written is read, what is not ours or not whole is refused, and a router starts from
// it.
#include "lib/router/snapshot.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "tests/unit/router/fixture.h"

namespace fastcontainer {
namespace {

class SnapshotTest : public RouterTest {
 protected:
  SnapshotTest() {
    std::string directory = testing::TempDir() + "fc-snapshot-XXXXXX";
    EXPECT_NE(mkdtemp(directory.data()), nullptr);
    directory_ = directory;
    options.snapshot = directory_ + "/routes";
    sink_ = [this](LogLevel, std::string_view, std::string_view message) {
      log_ += std::string(message) + "\n";
    };
  }
  ~SnapshotTest() override { std::filesystem::remove_all(directory_); }

  void Start() {
    RouterPorts ports{reactor, cmdb, prober, &policy, nullptr, &sink_, seal_};
    router = std::make_unique<Router>(ports,
                                      std::make_unique<Channel>(net.Open(*Address::Parse("127.0.0.2:1")),
                                                                std::vector<ClusterKey>{}, "router", ++boot_),
                                      options);
    Settle();
  }
  void Stop() { router.reset(); }
  void LoseCmdb() {
    cmdb.faults().fail_reads = -1;
    cmdb.Disconnect();
  }
  void FindCmdb() {
    cmdb.faults().fail_reads = 0;
    cmdb.Reconnect();
  }
  RouteCode Visit(const std::string& key) {
    Asked request;
    Route(key, &request);
    Advance(kSecond);
    if (request.code == RouteCode::kOk) router->EndTicket(request.ticket.id, Outcome::kOk, kMillisecond);
    return request.code;
  }
  std::string File() const {
    std::ifstream in(options.snapshot, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void SetFile(const std::string& bytes) {
    std::ofstream(options.snapshot, std::ios::binary | std::ios::trunc) << bytes;
  }
  // A router that was stopped in good order, having routed c0 to c9.
  void LeaveSnapshot() {
    PutContainers(10);
    Start();
    for (int i = 0; i < 10; ++i) EXPECT_EQ(Visit(absl::StrCat("c", i)), RouteCode::kOk);
    Stop();
    log_.clear();
  }

  std::string directory_;
  std::string log_;
  LogSink sink_;
  SnapshotSeal seal_{"memory:test", {}};
  uint64_t boot_ = 1;
};

TEST_F(SnapshotTest, ARouterThatStartsWithoutTheCmdbRoutesFromItsSnapshot) {
  LeaveSnapshot();
  LoseCmdb();
  Advance(100 * kSecond);
  Start();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(Visit(absl::StrCat("c", i)), RouteCode::kOk) << i;
  const RouterStats without = router->Stats();
  EXPECT_GT(without.cache_last_known_good, 2u);
  EXPECT_EQ(without.cache_fresh, 0u);
  EXPECT_GE(without.cache_last_known_good_age, 100 * kSecond);
  EXPECT_GT(without.cache_errors, 0u);
  FindCmdb();
  Advance(20 * kSecond);
  const RouterStats with = router->Stats();
  EXPECT_EQ(with.cache_last_known_good, 0u);
  EXPECT_EQ(with.cache_last_known_good_age, 0);
  EXPECT_EQ(with.cache_fresh, without.cache_last_known_good + without.cache_loading);
}

TEST_F(SnapshotTest, WhatASnapshotLacksIsNotSaidToBeAbsent) {
  LeaveSnapshot();
  LoseCmdb();
  Start();
  // Of the same shard as a key that was known, and of another.
  int same = 1'000;
  while (ShardOf(absl::StrCat("c", same)) != ShardOf("c0")) ++same;
  Asked request;
  Route(absl::StrCat("c", same), &request);
  Advance(kSecond);
  EXPECT_EQ(request.code, RouteCode::kCmdb);
  EXPECT_EQ(Visit("elsewhere"), RouteCode::kCmdb);
}

TEST_F(SnapshotTest, TheStoreOutranksTheSnapshot) {
  LeaveSnapshot();
  store->Put(RecordKey(RecordKind::kKey, "c0"), EncodeKey({"c1"}));
  store->Delete(RecordKey(RecordKind::kKey, "c2"));
  Start();
  // The first question opens the shard, and is answered from the snapshot.
  EXPECT_EQ(Visit("c0"), RouteCode::kOk);
  EXPECT_EQ(Visit("c2"), RouteCode::kOk);
  Asked request;
  Route("c0", &request);
  Advance(kSecond);
  EXPECT_EQ(request.ticket.container, "c1");
  EXPECT_EQ(Visit("c2"), RouteCode::kUnknownKey);
}

TEST_F(SnapshotTest, APlacementLearnedSinceOutranksTheSnapshot) {
  LeaveSnapshot();
  LoseCmdb();
  Start();
  EXPECT_EQ(Visit("c0"), RouteCode::kOk);
  Placement placement;
  placement.replicas.push_back({0, 9, "h1", "op"});
  FindCmdb();
  store->Put(RecordKey(RecordKind::kPlacement, "c0"), EncodePlacement(placement));
  Advance(20 * kSecond);
  Asked request;
  Route("c0", &request);
  Advance(kSecond);
  ASSERT_FALSE(h1.Of(MessageType::kAcquire).empty());
  EXPECT_EQ(h1.Of(MessageType::kAcquire).back().message.epoch, 9u);
}

TEST_F(SnapshotTest, PartsThatNobodyAskedForAreInTheNextSnapshotToo) {
  LeaveSnapshot();
  LoseCmdb();
  Start();
  EXPECT_EQ(Visit("c0"), RouteCode::kOk);
  Stop();
  Start();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(Visit(absl::StrCat("c", i)), RouteCode::kOk) << i;
  EXPECT_GE(router->Stats().cache_last_known_good_age, 10 * kSecond)
      << "no younger than when the CMDB was last read";
}

TEST_F(SnapshotTest, ARouterThatLearnedNothingLeavesTheSnapshotAlone) {
  options.snapshot = directory_ + "/other";
  LoseCmdb();
  Start();
  Stop();
  EXPECT_FALSE(std::filesystem::exists(options.snapshot));
}

TEST_F(SnapshotTest, WhatIsNotWholeIsRefusedAndTheCacheStartsEmpty) {
  LeaveSnapshot();
  LoseCmdb();
  const std::string good = File();
  std::mt19937 random(11);
  for (int i = 0; i < 60; ++i) {
    std::string bad = good;
    const size_t where = random() % good.size();
    if (i % 3 == 0) {
      bad.resize(where);
    } else if (i % 3 == 1) {
      bad[where] = static_cast<char>(bad[where] ^ 1 << random() % 8);
    } else {
      bad.insert(where, 1, static_cast<char>(random()));
    }
    SetFile(bad);
    const auto reader = SnapshotReader::Open(options.snapshot, seal_);
    EXPECT_FALSE(reader.ok()) << i << " at " << where;
  }
  Start();
  EXPECT_NE(log_.find("snapshot " + options.snapshot + " is not used, the cache is empty: it "),
            std::string::npos)
      << log_;
  EXPECT_EQ(Visit("c0"), RouteCode::kCmdb);
  EXPECT_EQ(router->Stats().cache_last_known_good, 0u);
}

TEST_F(SnapshotTest, OneOfAnotherVersionOrAnotherClusterIsRefused) {
  LeaveSnapshot();
  const auto why = [&](const SnapshotSeal& seal) {
    return std::string(SnapshotReader::Open(options.snapshot, seal).status().message());
  };
  EXPECT_EQ(why(seal_), "");
  EXPECT_NE(why({"memory:other", {}}).find("another cluster"), std::string::npos);
  ClusterKey key{};
  key[0] = 1;
  EXPECT_NE(why({"memory:test", {key}}).find("another cluster"), std::string::npos);
  // The old key of two is accepted as well.
  EXPECT_EQ(why({"memory:test", {key, ClusterKey{}}}), "");
  std::string file = File();
  file.replace(file.find("snapshot 1\n"), 11, "snapshot 2\n");
  SetFile(file);
  EXPECT_NE(why(seal_).find("another version"), std::string::npos);
  SetFile("");
  EXPECT_NE(why(seal_).find("damaged"), std::string::npos);
  std::filesystem::remove(options.snapshot);
  EXPECT_EQ(why(seal_), "there is none");
}

TEST_F(SnapshotTest, AfterAChangeOfTheClusterKeyTheNewOneSealsIt) {
  PutContainers(1);
  Start();
  EXPECT_EQ(Visit("c0"), RouteCode::kOk);
  ClusterKey key{};
  key[0] = 1;
  router->SetKeys({key, ClusterKey{}});
  Stop();
  EXPECT_TRUE(SnapshotReader::Open(options.snapshot, {"memory:test", {key}}).ok());
  EXPECT_FALSE(SnapshotReader::Open(options.snapshot, seal_).ok());
}

TEST_F(SnapshotTest, ItIsWrittenWhileTheRouterRunsAndReadableByItsOwnerOnly) {
  PutContainers(40);
  Start();
  for (int i = 0; i < 40; ++i) Visit(absl::StrCat("c", i));
  // The writer has a thread and a time of its own.
  for (int i = 0; i < 100'000 && router->Stats().snapshots_written == 0; ++i) Advance(kSecond);
  ASSERT_EQ(router->Stats().snapshots_written, 1u);
  EXPECT_TRUE(SnapshotReader::Open(options.snapshot, seal_).ok());
  using std::filesystem::perms;
  EXPECT_EQ(std::filesystem::status(options.snapshot).permissions() & (perms::group_all | perms::others_all),
            perms::none);
  EXPECT_FALSE(std::filesystem::exists(options.snapshot + ".new"));
}

TEST_F(SnapshotTest, AFolderThatIsNotThereIsCountedAndLogged) {
  PutContainers(1);
  options.snapshot = directory_ + "/missing/routes";
  Start();
  for (int i = 0; i < 100'000 && router->Stats().snapshots_failed == 0; ++i) Advance(kSecond);
  EXPECT_EQ(router->Stats().snapshots_failed, 1u);
  EXPECT_NE(log_.find("was not written: open: No such file"), std::string::npos);
  Stop();
}

}  // namespace
}  // namespace fastcontainer
