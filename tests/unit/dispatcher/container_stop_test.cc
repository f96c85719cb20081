// The end of a container's fixed life.
#include "tests/unit/dispatcher/fixture.h"

namespace fastcontainer {
namespace {

class ContainerLifeTest : public DispatcherTest {};

constexpr char kLife2[] = R"("keep_alive":{"idle_s":300,"life_s":2})";

TEST_F(ContainerLifeTest, AFixedLifeEndsUnderLoadAndWhoAsksJoinsTheNextStart) {
  Begin();
  const Message grant = Run("site", kLife2);
  r1.Renew(grant, 1);
  Advance(2 * kSecond - kMillisecond);
  EXPECT_EQ(dispatcher->stats().revokes, 0u) << "never before its time";
  Advance(2 * kMillisecond);
  EXPECT_EQ(r1.Last(MessageType::kRevoke).reason, "the end of its life");
  EXPECT_FALSE(r1.Last(MessageType::kRevoke).moved);
  EXPECT_FALSE(r1.Last(MessageType::kRevoke).suspect) << "open tickets go on";
  r1.Acquire("site", 1);
  r2.Acquire("site", 1);
  Settle();
  r1.Last(MessageType::kWait);
  r2.Last(MessageType::kWait);
  EXPECT_EQ(runtime.Of("site"), runtime.starts[0].instance) << "a ticket is open";
  r1.Release(grant);
  Advance(runtime.stop_time + runtime.start_time);
  EXPECT_NE(r1.Last(MessageType::kGrant).instance, grant.instance);
  EXPECT_EQ(r2.Last(MessageType::kGrant).instance, r1.Last(MessageType::kGrant).instance);
  EXPECT_EQ(runtime.starts.size(), 2u);
  EXPECT_EQ(dispatcher->stats().life_stops, 1u);
  EXPECT_EQ(dispatcher->stats().failed + dispatcher->stats().full, 0u);
}

TEST_F(ContainerLifeTest, AFixedLifeEndsForTheIdleTooAndWithAScaleMinimum) {
  Begin();
  const Message grant = Run("site", R"("keep_alive":{"idle_s":0,"life_s":2},"scale":{"min":1,"max":1})");
  r1.Release(grant);
  Advance(2 * kSecond + runtime.stop_time);
  EXPECT_TRUE(runtime.instances.empty());
  EXPECT_EQ(dispatcher->stats().life_stops, 1u);
  EXPECT_EQ(dispatcher->stats().idle_stops, 0u);
  Advance(60 * kSecond);
  EXPECT_EQ(runtime.starts.size(), 1u) << "the next request starts it";
}

TEST_F(ContainerLifeTest, TicketsThatDoNotEndOutliveAFixedLifeAndNobodyIsFailed) {
  Begin();
  const Message grant = Run("site", kLife2);
  const auto renew = [&](int seconds) {
    for (int i = 0; i < seconds; ++i) {
      r1.Renew(grant, 1);
      Advance(kSecond);
    }
  };
  renew(3);
  EXPECT_EQ(dispatcher->stats().stopping, 1u);
  r2.Acquire("site", 1);
  renew(10);
  EXPECT_EQ(dispatcher->stats().running, 1u);
  EXPECT_EQ(dispatcher->stats().stops, 0u);
  EXPECT_EQ(r2.Last(MessageType::kGrant).instance, grant.instance) << "who waited for its end goes on";
  r2.Release(r2.Last(MessageType::kGrant));
  renew(10);
  EXPECT_EQ(dispatcher->stats().stopping, 1u) << "it is tried again";
  r1.Release(grant);
  Advance(runtime.stop_time);
  EXPECT_TRUE(runtime.instances.empty());
}

TEST_F(ContainerLifeTest, FixedLivesInUseEndWithinTheStartBudget) {
  options.max_starts = 2;
  Begin();
  std::map<std::string, Message> grants;
  for (const char* const name : {"a", "b", "c", "d"}) grants[name] = Run(name, kLife2);
  Advance(2 * kSecond - runtime.start_time);
  for (const auto& [name, grant] : grants) r1.Renew(grant, 1);
  Advance(4 * kSecond);
  EXPECT_EQ(dispatcher->stats().stopping, 2u);
  for (int i = 0; i < 20; ++i) {
    EXPECT_LE(dispatcher->stats().stopping + dispatcher->stats().starting, 2u);
    for (auto& [name, grant] : grants) r1.Release(grant);
    for (auto& [name, grant] : grants) r1.Acquire(name, 1);
    Advance(50 * kMillisecond);
  }
  EXPECT_EQ(dispatcher->stats().life_stops, 4u);
  EXPECT_EQ(dispatcher->stats().full, 0u);
}

TEST_F(ContainerLifeTest, AVetoedEndOfALifeIsTriedAgainALifeLater) {
  int asked = 0;
  hook = [&](const HookEvent& event) { return event.point != HookPoint::kBeforeStop || ++asked > 1; };
  Begin();
  r1.Release(Run("site", kLife2));
  Advance(2 * kSecond);
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(dispatcher->stats().running, 1u);
  Advance(2 * kSecond + runtime.stop_time);
  EXPECT_EQ(asked, 2);
  EXPECT_TRUE(runtime.instances.empty());
}

TEST_F(ContainerLifeTest, AFixedLifeOfWhatRanBeforeCountsFromItsAdoption) {
  runtime.recovered = {{"i1", "site", 0, 4, "1", *Address::Parse("10.0.0.1:20005"), true}};
  PutSpec("site", kLife2);
  Place("site", "h1", 4);
  Begin();
  Advance(2 * kSecond - kMillisecond);
  EXPECT_EQ(runtime.Of("site"), "i1");
  Advance(2 * kMillisecond + runtime.stop_time);
  EXPECT_TRUE(runtime.instances.empty());
}

}  // namespace
}  // namespace fastcontainer
