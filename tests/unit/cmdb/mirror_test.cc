#include "lib/cmdb/mirror.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/cmdb/memory.h"
#include "tests/unit/fake_reactor.h"

namespace fastcontainer {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using State = Mirror::State;

class MirrorTest : public ::testing::Test {
 protected:
  void Start() {
    Mirror::Observer observer;
    observer.on_change = [this](const Record& record, bool deleted) {
      changes_.push_back((deleted ? "-" : "+") + record.key + "=" + record.value + "@" +
                         std::to_string(record.revision));
    };
    observer.on_state = [this](State state) { states_.push_back(state); };
    mirror_ = std::make_unique<Mirror>(cmdb_, reactor_, "/p/", std::move(observer), 7);
  }
  void Load() {
    Start();
    reactor_.Run();
    changes_.clear();
    states_.clear();
  }
  std::string Value(std::string_view key) const {
    const std::optional<Record> record = mirror_->Find(key);
    return record ? record->value : "(absent)";
  }
  std::vector<std::string> Keys() const {
    std::vector<std::string> keys;
    mirror_->ForEach([&keys](const Record& record) { keys.push_back(record.key); });
    return keys;
  }

  FakeReactor reactor_;
  std::shared_ptr<MemoryStore> store_ = std::make_shared<MemoryStore>();
  MemoryCmdb cmdb_{store_, reactor_};
  std::vector<std::string> changes_;
  std::vector<State> states_;
  std::unique_ptr<Mirror> mirror_;
};

TEST_F(MirrorTest, LoadsItsPrefixAndNothingElse) {
  store_->Put("/p/a", "1");
  store_->Put("/q/b", "2");
  Start();
  EXPECT_EQ(mirror_->state(), State::kLoading);
  EXPECT_EQ(mirror_->age(), kForever);
  EXPECT_FALSE(mirror_->loaded());
  reactor_.Run();
  EXPECT_EQ(mirror_->state(), State::kFresh);
  EXPECT_EQ(mirror_->age(), 0);
  EXPECT_THAT(Keys(), ElementsAre("/p/a"));
  EXPECT_THAT(changes_, ElementsAre("+/p/a=1@1"));
  EXPECT_THAT(states_, ElementsAre(State::kFresh));
}

TEST_F(MirrorTest, LoadsMoreThanOnePage) {
  for (int i = 0; i < 2'500; ++i) store_->Put("/p/" + std::to_string(i), "x");
  Load();
  EXPECT_EQ(mirror_->size(), 2'500u);
  EXPECT_EQ(mirror_->applied_revision(), 2'500u);
}

TEST_F(MirrorTest, FollowsChangesInOrder) {
  store_->Put("/p/a", "1");
  Load();
  store_->Put("/p/a", "2");
  store_->Put("/p/b", "1");
  store_->Delete("/p/a");
  reactor_.Run();
  EXPECT_THAT(changes_, ElementsAre("+/p/a=2@2", "+/p/b=1@3", "-/p/a=@4"));
  EXPECT_THAT(Keys(), ElementsAre("/p/b"));
}

TEST_F(MirrorTest, WaitersAreToldOnceWhenLoaded) {
  cmdb_.faults().fail_reads = 2;
  Start();
  int first = 0;
  int second = 0;
  mirror_->WhenLoaded([&first] { ++first; });
  const Mirror::WaitId cancelled = mirror_->WhenLoaded([&second] { ++second; });
  EXPECT_TRUE(mirror_->CancelWait(cancelled));
  EXPECT_FALSE(mirror_->CancelWait(cancelled));
  reactor_.Run();
  EXPECT_EQ(first, 0);
  reactor_.RunUntil([&] { return first > 0; });
  int late = 0;
  mirror_->WhenLoaded([&late] { ++late; });
  EXPECT_EQ(late, 0);
  reactor_.Run();
  EXPECT_EQ(first, 1);
  EXPECT_EQ(second, 0);
  EXPECT_EQ(late, 1);
}

TEST_F(MirrorTest, ErrorsAreRetriedWithGrowingPauses) {
  cmdb_.faults().fail_reads = -1;
  Start();
  std::vector<Nanos> pauses;
  reactor_.Run();
  for (int i = 0; i < 12; ++i) {
    ASSERT_NE(reactor_.NextDeadline(), kForever);
    pauses.push_back(reactor_.NextDeadline() - reactor_.Now());
    reactor_.AdvanceTo(reactor_.NextDeadline());
  }
  EXPECT_GE(pauses.front(), 25 * kMillisecond);
  EXPECT_LE(pauses.front(), 50 * kMillisecond);
  for (const Nanos pause : pauses) EXPECT_LE(pause, 5 * kSecond);
  EXPECT_GE(pauses.back(), 2'500 * kMillisecond);
  EXPECT_EQ(mirror_->state(), State::kLoading);
  EXPECT_NE(mirror_->error(), "");
  cmdb_.faults().fail_reads = 0;
  EXPECT_TRUE(reactor_.RunUntil([&] { return mirror_->state() == State::kFresh; }, 5 * kSecond));
  EXPECT_EQ(mirror_->error(), "");
}

TEST_F(MirrorTest, ADisconnectRemovesNothingAndIsMadeUpFor) {
  store_->Put("/p/a", "1");
  store_->Put("/p/b", "1");
  Load();
  cmdb_.Disconnect();
  reactor_.Run();
  EXPECT_EQ(mirror_->state(), State::kStale);
  store_->Delete("/p/a");
  store_->Put("/p/c", "1");
  reactor_.Advance(3 * kSecond);
  EXPECT_THAT(Keys(), ElementsAre("/p/a", "/p/b"));
  EXPECT_EQ(mirror_->age(), 3 * kSecond);
  cmdb_.Reconnect();
  reactor_.Run();
  EXPECT_EQ(mirror_->state(), State::kFresh);
  EXPECT_EQ(mirror_->age(), 0);
  EXPECT_THAT(Keys(), ElementsAre("/p/b", "/p/c"));
  EXPECT_THAT(changes_, ElementsAre("-/p/a=@3", "+/p/c=1@4"));
  EXPECT_THAT(states_, ElementsAre(State::kStale, State::kFresh));
}

TEST_F(MirrorTest, ACompactionIsHealedByAListingThatOnlyTellsTheDifference) {
  store_->Put("/p/a", "1");
  store_->Put("/p/b", "1");
  store_->Put("/p/c", "1");
  Load();
  cmdb_.Disconnect();
  reactor_.Run();
  store_->Put("/p/b", "2");
  store_->Delete("/p/c");
  store_->Put("/p/d", "1");
  store_->Compact();
  cmdb_.Reconnect();
  reactor_.Run();
  EXPECT_EQ(mirror_->state(), State::kFresh);
  EXPECT_THAT(changes_, ElementsAre("-/p/c=@6", "+/p/b=2@4", "+/p/d=1@6"));
  store_->Put("/p/e", "1");
  reactor_.Run();
  EXPECT_EQ(Value("/p/e"), "1");
}

TEST_F(MirrorTest, AFailingResyncKeepsEverything) {
  store_->Put("/p/a", "1");
  Load();
  cmdb_.Disconnect();
  reactor_.Run();
  store_->Put("/p/b", "1");
  store_->Compact();
  cmdb_.faults().fail_reads = 5;
  cmdb_.Reconnect();
  reactor_.Run();
  EXPECT_EQ(mirror_->state(), State::kStale);
  EXPECT_THAT(Keys(), ElementsAre("/p/a"));
  EXPECT_TRUE(reactor_.RunUntil([&] { return mirror_->state() == State::kFresh; }));
  EXPECT_THAT(Keys(), ElementsAre("/p/a", "/p/b"));
}

TEST_F(MirrorTest, AnEmptyStoreIsNotAnError) {
  Load();
  EXPECT_EQ(mirror_->state(), State::kFresh);
  EXPECT_TRUE(mirror_->loaded());
  EXPECT_EQ(mirror_->size(), 0u);
}

TEST_F(MirrorTest, AFedRecordCountsOnlyIfItIsNewer) {
  store_->Put("/p/a", "1");
  Load();
  cmdb_.Disconnect();
  reactor_.Run();
  mirror_->Feed({"/p/a", "old", 1});
  EXPECT_EQ(Value("/p/a"), "1");
  store_->Put("/p/a", "2");
  store_->Put("/p/a", "3");
  mirror_->Feed({"/p/a", "3", 3});
  EXPECT_EQ(Value("/p/a"), "3");
  mirror_->Feed({"/p/a", "", 0});
  mirror_->Feed({"/q/a", "x", 9});
  EXPECT_EQ(Value("/p/a"), "3");
  cmdb_.Reconnect();
  reactor_.Run();
  EXPECT_EQ(Value("/p/a"), "3");
  EXPECT_THAT(changes_, ElementsAre("+/p/a=3@3"));
}

TEST_F(MirrorTest, ALateOlderRecordCannotBringADeletedKeyBack) {
  store_->Put("/p/a", "1");
  Load();
  store_->Put("/p/a", "2");
  store_->Delete("/p/a");
  reactor_.Run();
  mirror_->Feed({"/p/a", "2", 2});
  EXPECT_EQ(Value("/p/a"), "(absent)");
  store_->Put("/p/z", "1");
  reactor_.Run();
  mirror_->Feed({"/p/a", "2", 2});
  EXPECT_EQ(Value("/p/a"), "(absent)");
  store_->Put("/p/a", "5");
  reactor_.Run();
  EXPECT_EQ(Value("/p/a"), "5");
}

TEST_F(MirrorTest, AFedDeletionOutranksTheEventsBeforeIt) {
  store_->Put("/p/a", "1");
  Load();
  cmdb_.Disconnect();
  reactor_.Run();
  store_->Put("/p/a", "2");
  store_->Delete("/p/a");
  mirror_->FeedDeleted("/p/a", 3);
  EXPECT_EQ(Value("/p/a"), "(absent)");
  cmdb_.Reconnect();
  reactor_.Run();
  EXPECT_EQ(Value("/p/a"), "(absent)");
  EXPECT_THAT(changes_, ElementsAre("-/p/a=@3"));
}

TEST_F(MirrorTest, ADeletionDuringAListingOutlivesTheListing) {
  store_->Put("/p/a", "1");
  Load();
  cmdb_.faults().delay = kSecond;
  reactor_.AdvanceTo(reactor_.NextDeadline());  // the regular resync begins
  reactor_.Advance(500 * kMillisecond);         // and is read, and on its way back
  cmdb_.faults().delay = 0;
  store_->Delete("/p/a");
  store_->Put("/p/b", "1");
  store_->Put("/p/c", "1");
  reactor_.Run();
  EXPECT_EQ(Value("/p/a"), "(absent)");
  reactor_.Advance(kSecond);
  EXPECT_THAT(Keys(), ElementsAre("/p/b", "/p/c"));
  EXPECT_THAT(changes_, ElementsAre("-/p/a=@2", "+/p/b=1@3", "+/p/c=1@4"));
}

TEST_F(MirrorTest, ASeedServesUntilTheStoreIsReached) {
  store_->Put("/p/a", "1");
  cmdb_.faults().fail_reads = 3;
  Start();
  mirror_->Seed({{"/p/a", "old", 1}, {"/p/gone", "x", 900}, {"/q/z", "x", 1}}, 60 * kSecond);
  EXPECT_EQ(mirror_->state(), State::kLastKnownGood);
  EXPECT_EQ(mirror_->age(), 60 * kSecond);
  EXPECT_THAT(Keys(), ElementsAre("/p/a", "/p/gone"));
  reactor_.Run();
  EXPECT_EQ(mirror_->state(), State::kLastKnownGood);
  EXPECT_TRUE(reactor_.RunUntil([&] { return mirror_->state() == State::kFresh; }));
  EXPECT_THAT(Keys(), ElementsAre("/p/a"));
  EXPECT_EQ(Value("/p/a"), "1");
  mirror_->Seed({{"/p/late", "x", 900}}, kSecond);
  EXPECT_THAT(Keys(), ElementsAre("/p/a"));
}

TEST_F(MirrorTest, AStorePutBackFromABackupIsBelievedAfterThreeListings) {
  auto backup = std::make_shared<MemoryStore>();
  MemoryCmdb restored(backup, reactor_);
  // A stand-in whose store is exchanged under a mirror that lives on.
  class Exchange final : public Cmdb {
   public:
    explicit Exchange(Cmdb* to) : to_(to) {}
    OpId Get(std::string_view k, ReadMode m, GetCallback c) override { return to_->Get(k, m, std::move(c)); }
    OpId List(std::string_view p, std::string_view a, uint64_t r, uint32_t n, ListCallback c) override {
      return to_->List(p, a, r, n, std::move(c));
    }
    OpId Txn(std::vector<Compare> c, std::vector<Mutation> m, Nanos d, TxnCallback cb) override {
      return to_->Txn(std::move(c), std::move(m), d, std::move(cb));
    }
    OpId Watch(std::string_view p, uint64_t after, WatchCallback c) override {
      watch_ = std::make_shared<WatchCallback>(std::move(c));
      return to_->Watch(p, after, [w = watch_](const WatchEvent& e) { (*w)(e); });
    }
    OpId GrantLease(Nanos t, LeaseCallback c) override { return to_->GrantLease(t, std::move(c)); }
    OpId KeepLease(uint64_t l, LeaseCallback c) override { return to_->KeepLease(l, std::move(c)); }
    OpId RevokeLease(uint64_t l, LeaseCallback c) override { return to_->RevokeLease(l, std::move(c)); }
    bool Cancel(OpId id) override { return to_->Cancel(id); }
    void TellResync() {
      WatchEvent event;
      event.kind = WatchEvent::Kind::kResync;
      const std::shared_ptr<WatchCallback> watch = watch_;
      (*watch)(event);
    }
    Cmdb* to_;
    std::shared_ptr<WatchCallback> watch_;
  } exchange(&cmdb_);
  for (int i = 0; i < 10; ++i) store_->Put("/p/a", std::to_string(i));
  backup->Put("/p/a", "backup");
  Mirror mirror(exchange, reactor_, "/p/", {}, 1);
  reactor_.Run();
  ASSERT_EQ(mirror.Find("/p/a")->value, "9");
  exchange.to_ = &restored;
  exchange.TellResync();
  reactor_.Run();
  EXPECT_EQ(mirror.Find("/p/a")->value, "9");
  EXPECT_TRUE(reactor_.RunUntil([&] { return mirror.Find("/p/a")->value == "backup"; }, 10 * kSecond));
  EXPECT_EQ(mirror.state(), State::kFresh);
  backup->Put("/p/a", "after");
  reactor_.Run();
  EXPECT_EQ(mirror.Find("/p/a")->value, "after");
}

TEST_F(MirrorTest, AfterARestartWhatTheStoreHasIsTakenWhateverItsRevision) {
  store_->Put("/p/a", "1");
  store_->Put("/p/b", "1");
  const std::shared_ptr<MemoryStore> backup = store_->Copy();
  store_->Put("/p/a", "2");
  store_->Put("/p/new", "1");
  Load();
  store_->GoBackTo(*backup);
  store_->Put("/p/a", "another");  // at the revision that "2" had
  mirror_->Restart();
  EXPECT_EQ(mirror_->state(), State::kStale);
  EXPECT_EQ(Value("/p/new"), "1");
  reactor_.Run();
  EXPECT_EQ(mirror_->state(), State::kFresh);
  EXPECT_THAT(changes_, ElementsAre("-/p/new=@3", "+/p/a=another@3"));
  EXPECT_THAT(Keys(), ElementsAre("/p/a", "/p/b"));
  store_->Put("/p/b", "2");
  reactor_.Run();
  EXPECT_EQ(Value("/p/b"), "2");
}

TEST_F(MirrorTest, ARestartWhileTheStoreIsAwayKeepsWhatIsThere) {
  store_->Put("/p/a", "1");
  Load();
  cmdb_.faults().fail_reads = 3;
  mirror_->Restart();
  mirror_->Restart();
  reactor_.Run();
  EXPECT_EQ(Value("/p/a"), "1");
  EXPECT_TRUE(reactor_.RunUntil([&] { return mirror_->state() == State::kFresh; }, 20 * kSecond));
  EXPECT_EQ(Value("/p/a"), "1");
}

TEST_F(MirrorTest, MayBeDestroyedInItsOwnCallbacks) {
  store_->Put("/p/a", "1");
  store_->Put("/p/b", "1");
  for (const bool in_change : {true, false}) {
    std::unique_ptr<Mirror> mirror;
    int calls = 0;
    Mirror::Observer observer;
    observer.on_change = [&](const Record&, bool) {
      ++calls;
      if (in_change) mirror.reset();
    };
    observer.on_state = [&](State) {
      ++calls;
      mirror.reset();
    };
    mirror = std::make_unique<Mirror>(cmdb_, reactor_, "/p/", std::move(observer), 1);
    reactor_.Run();
    EXPECT_EQ(mirror, nullptr);
    EXPECT_EQ(calls, in_change ? 1 : 3);
  }
  std::unique_ptr<Mirror> mirror = std::make_unique<Mirror>(cmdb_, reactor_, "/p/", Mirror::Observer(), 1);
  mirror->WhenLoaded([&mirror] { mirror.reset(); });
  mirror->WhenLoaded([] { FAIL() << "the mirror is gone"; });
  reactor_.Run();
  EXPECT_EQ(mirror, nullptr);
}

TEST_F(MirrorTest, DestructionCancelsEverything) {
  Start();
  mirror_.reset();
  EXPECT_EQ(reactor_.timers(), 0u);
  reactor_.Run();
  Load();
  mirror_.reset();
  EXPECT_EQ(reactor_.timers(), 0u);
  store_->Put("/p/a", "1");
  reactor_.Run();
  EXPECT_THAT(changes_, IsEmpty());
}

// Random writes, disconnects, compactions, failures and delays; afterwards copy and store must be equal, and
// on the way no revision may fall.
TEST_F(MirrorTest, EqualsTheStoreAfterAnyFaultsHaveHealed) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    FakeReactor reactor;
    auto store = std::make_shared<MemoryStore>(64);
    MemoryCmdb cmdb(store, reactor);
    std::map<std::string, uint64_t> revisions;
    Mirror::Observer observer;
    observer.on_change = [&](const Record& record, bool) {
      EXPECT_GT(record.revision, revisions[record.key]) << "seed " << seed;
      revisions[record.key] = record.revision;
    };
    Mirror mirror(cmdb, reactor, "/p/", std::move(observer), seed);
    uint64_t state = seed * 0x9e3779b97f4a7c15u;
    const auto random = [&state](uint64_t n) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      return (state >> 33) % n;
    };
    for (int step = 0; step < 300; ++step) {
      const std::string key = "/p/" + std::to_string(random(12));
      switch (random(12)) {
        case 0:
          cmdb.Disconnect();
          break;
        case 1:
          cmdb.Reconnect();
          break;
        case 2:
          cmdb.faults().fail_reads = static_cast<int>(random(3));
          break;
        case 3:
          cmdb.faults().delay = static_cast<Nanos>(random(200)) * kMillisecond;
          break;
        case 4:
          store->Compact();
          break;
        case 5:
        case 6:
          store->Delete(key);
          break;
        case 7:
          mirror.Feed(store->Get(key));
          break;
        case 8:
          reactor.Advance(static_cast<Nanos>(random(1'000)) * kMillisecond);
          break;
        default:
          store->Put(key, std::to_string(step));
          break;
      }
      if (random(3) == 0) reactor.Run();
    }
    cmdb.faults() = {};
    cmdb.Reconnect();
    reactor.Advance(20 * kSecond);
    const ListPage page = store->List("/p/", "", 0, 1'000).value();
    ASSERT_EQ(mirror.size(), page.records.size()) << "seed " << seed;
    for (const Record& record : page.records) {
      ASSERT_TRUE(mirror.Find(record.key)) << "seed " << seed;
      ASSERT_EQ(mirror.Find(record.key)->revision, record.revision) << "seed " << seed;
    }
    ASSERT_EQ(mirror.state(), State::kFresh) << "seed " << seed;
  }
}

}  // namespace
}  // namespace fastcontainer
