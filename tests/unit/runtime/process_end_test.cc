#include "tests/unit/runtime/process_fixture.h"

namespace fastcontainer {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class ProcessEnd : public OwnershipFixture {};
INSTANTIATE_TEST_SUITE_P(By, ProcessEnd, ::testing::Bool(), OwnershipName);

TEST_P(ProcessEnd, StopEndsAContainerGracefully) {
  StartRequest request =
      Command({"sh", "-c", "trap 'echo bye; exit 0' TERM; " RUNTIME_TEST_SERVER " $ADDRESS $PORT & wait"});
  ASSERT_TRUE(StartAndWait(request).ok());
  EXPECT_THAT(Living(), SizeIs(2));
  EXPECT_TRUE(StopAndWait(Id(), 20 * kSecond).ok());
  EXPECT_EQ(Output(), "bye\n");
  EXPECT_THAT(Living(), IsEmpty());
  EXPECT_THAT(StateFiles(), IsEmpty());
  EXPECT_THAT(exits_, IsEmpty()) << "an end by Stop is no exit";
}

TEST_P(ProcessEnd, AContainerThatIgnoresTheSignalIsKilledAfterTheGraceAndNotBefore) {
  ASSERT_TRUE(StartAndWait(Server({"--ignore-term"})).ok());
  const Nanos began = reactor_->Now();
  EXPECT_TRUE(StopAndWait(Id(), 200 * kMillisecond).ok());
  EXPECT_GE(reactor_->Now() - began, 200 * kMillisecond);
  EXPECT_THAT(Living(), IsEmpty());
}

TEST_P(ProcessEnd, ADaemonThatLeftTheSessionIsEndedWithTheContainer) {
  for (const bool stubborn : {false, true}) {
    std::vector<std::string> orders = {"--daemon", folder_ + "/daemon"};
    if (stubborn) orders.push_back("--daemon-ignores-term");
    ASSERT_TRUE(StartAndWait(Server(orders)).ok());
    const pid_t daemon = PidIn(folder_ + "/daemon");
    ASSERT_TRUE(Alive(daemon));
    EXPECT_TRUE(StopAndWait(Id(), stubborn ? 100 * kMillisecond : 20 * kSecond).ok());
    EXPECT_FALSE(Alive(daemon));
    EXPECT_THAT(Living(), IsEmpty());
  }
}

TEST_P(ProcessEnd, StopWithoutGraceKillsAtOnce) {
  ASSERT_TRUE(StartAndWait(Server({"--ignore-term"})).ok());
  EXPECT_TRUE(StopAndWait(Id(), 0).ok());
  EXPECT_THAT(Living(), IsEmpty());
}

TEST_P(ProcessEnd, ASecondStopMayShortenTheGrace) {
  ASSERT_TRUE(StartAndWait(Server({"--ignore-term"})).ok());
  int stopped = 0;
  runtime_->Stop(Id(), kForever, [&](absl::Status status) { stopped += status.ok() ? 1 : 0; });
  runtime_->Stop(Id(), 10 * kMillisecond, [&](absl::Status status) { stopped += status.ok() ? 1 : 0; });
  EXPECT_TRUE(RunUntil([&] { return stopped == 2; }));
  EXPECT_THAT(Living(), IsEmpty());
}

TEST_P(ProcessEnd, TheGraceOfARemainderMayBeShortenedToo) {
  ASSERT_TRUE(StartAndWait(Server({"--daemon", folder_ + "/daemon", "--daemon-ignores-term"})).ok());
  const pid_t daemon = PidIn(folder_ + "/daemon");
  int stopped = 0;
  runtime_->Stop(Id(), kForever, [&](absl::Status) { ++stopped; });
  ASSERT_TRUE(RunUntil([&] { return Living().size() == 1; })) << "the leader heeds the signal";
  EXPECT_TRUE(Alive(daemon));
  runtime_->Stop(Id(), 0, [&](absl::Status) { ++stopped; });
  EXPECT_TRUE(RunUntil([&] { return stopped == 2; }));
  EXPECT_FALSE(Alive(daemon));
}

TEST_P(ProcessEnd, StopOfAStartInProgressCancelsIt) {
  std::vector<std::string> order;
  runtime_->Start(Server({"--never-listen"}), [&](absl::Status status) {
    EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
    order.push_back("start");
  });
  runtime_->Stop(Id(), kSecond, [&](absl::Status status) {
    EXPECT_TRUE(status.ok());
    order.push_back("stop");
  });
  EXPECT_TRUE(RunUntil([&] { return order.size() == 2; }));
  EXPECT_THAT(order, ::testing::ElementsAre("start", "stop"));
  EXPECT_THAT(Living(), IsEmpty());
  EXPECT_THAT(StateFiles(), IsEmpty());
}

TEST_P(ProcessEnd, StopOfNobodyIsNotFound) {
  EXPECT_EQ(StopAndWait("nobody", 0).code(), absl::StatusCode::kNotFound);
}

TEST_P(ProcessEnd, ADeathIsReportedWhenNothingIsLeft) {
  ASSERT_TRUE(StartAndWait(Server({"--daemon", folder_ + "/daemon", "--daemon-ignores-term"})).ok());
  const pid_t daemon = PidIn(folder_ + "/daemon");
  for (const pid_t pid : Living())
    if (pid != daemon) kill(pid, SIGKILL);
  ASSERT_TRUE(RunUntil([&] { return !exits_.empty(); }));
  ASSERT_THAT(exits_, SizeIs(1));
  EXPECT_EQ(exits_[0].instance, Id());
  EXPECT_EQ(exits_[0].reason, "signal 9");
  EXPECT_FALSE(Alive(daemon));
  EXPECT_THAT(StateFiles(), IsEmpty());
  EXPECT_TRUE(StartAndWait(Server()).ok()) << "the same instance may be started again";
}

TEST_P(ProcessEnd, AStopThatMeetsADeathIsAnswered) {
  ASSERT_TRUE(StartAndWait(Server()).ok());
  for (const pid_t pid : Living()) kill(pid, SIGKILL);
  EXPECT_TRUE(StopAndWait(Id(), kForever).ok());
  EXPECT_THAT(exits_, IsEmpty());
}

TEST_P(ProcessEnd, AChildReapedByTheEmbeddingProgramIsGone) {
  ASSERT_TRUE(StartAndWait(Server()).ok());
  const std::vector<pid_t> pids = Living();
  ASSERT_THAT(pids, SizeIs(1));
  kill(pids[0], SIGKILL);
  EXPECT_EQ(waitpid(pids[0], nullptr, 0), pids[0]);
  ASSERT_TRUE(RunUntil([&] { return !exits_.empty(); }));
  EXPECT_EQ(exits_[0].reason, "gone");
}

TEST_P(ProcessEnd, NoZombieIsLeft) {
  ASSERT_TRUE(StartAndWait(Server()).ok());
  ASSERT_TRUE(StopAndWait(Id(), kSecond).ok());
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

class ProcessSubreaper : public OwnershipFixture {
 protected:
  void SetUp() override {
    subreaper_ = true;
    OwnershipFixture::SetUp();
  }
};
INSTANTIATE_TEST_SUITE_P(By, ProcessSubreaper, ::testing::Bool(), OwnershipName);

TEST_P(ProcessSubreaper, OrphansOfContainersAreReaped) {
  ASSERT_TRUE(StartAndWait(Server({"--daemon", folder_ + "/daemon", "--daemon-ignores-term"})).ok());
  const pid_t daemon = PidIn(folder_ + "/daemon");
  EXPECT_EQ(ReadProcessStat(daemon)->parent, getpid());
  ASSERT_TRUE(StopAndWait(Id(), 50 * kMillisecond).ok());
  EXPECT_FALSE(ReadProcessStat(daemon));
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1) << "no child is left";
}

TEST_P(ProcessSubreaper, AnOrphanThatDiesWhileTheContainerRunsIsReaped) {
  ASSERT_TRUE(StartAndWait(Server({"--daemon", folder_ + "/daemon"})).ok());
  const pid_t daemon = PidIn(folder_ + "/daemon");
  kill(daemon, SIGKILL);
  EXPECT_TRUE(RunUntil([&] { return !ReadProcessStat(daemon); }));
}

TEST_P(ProcessSubreaper, ChildrenOfTheEmbeddingProgramAreLeftToIt) {
  const pid_t child = fork();
  if (child == 0) _exit(5);
  ASSERT_TRUE(StartAndWait(Server()).ok());
  ASSERT_TRUE(StopAndWait(Id(), kSecond).ok());
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 5);
}

}  // namespace
}  // namespace fastcontainer
