#include "lib/runtime/process_tree.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/runtime/proc.h"
#include "tests/unit/fake_reactor.h"

namespace fastcontainer {
namespace {

// A folder that says what the kernel's would: TreeEnd reads and writes files there.
class TreeEndTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/fastcontainer-tree-XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    tree_.instance = "site-1";
    tree_.cgroup = pattern;
    tree_.leader = (1 << 22) + 1;  // more than any pid
    Write("cgroup.kill", "");
    SetPopulated(true);
  }
  void TearDown() override { std::filesystem::remove_all(tree_.cgroup); }

  void Write(const std::string& name, const std::string& text) {
    std::ofstream(tree_.cgroup + "/" + name) << text;
  }
  void SetPopulated(bool populated) {
    Write("cgroup.events", populated ? "populated 1\nfrozen 0\n" : "populated 0\nfrozen 0\n");
  }
  bool Killed() const {
    std::ifstream file(tree_.cgroup + "/cgroup.kill");
    return std::string(std::istreambuf_iterator<char>(file), {}) == "1";
  }
  void End(Nanos kill_at) {
    end_ = std::make_unique<TreeEnd>(reactor_, tree_, kill_at, [this] { done_ = true; });
  }

  FakeReactor reactor_;
  ProcessTree tree_;
  std::unique_ptr<TreeEnd> end_;
  bool done_ = false;
};

TEST_F(TreeEndTest, WhatIsGoneAlreadyIsDoneAtOnce) {
  SetPopulated(false);
  End(reactor_.Now());
  reactor_.Run();
  EXPECT_TRUE(done_);
  EXPECT_FALSE(Killed());
}

// A successor waits for it: not longer than the kernel takes.
TEST_F(TreeEndTest, WhatWasKilledIsLookedAtAgainSoon) {
  End(reactor_.Now());
  reactor_.Run();
  EXPECT_TRUE(Killed());
  ASSERT_FALSE(done_);
  SetPopulated(false);
  reactor_.Advance(kMillisecond);
  EXPECT_TRUE(done_);
}

TEST_F(TreeEndTest, LooksGrowRarer) {
  End(reactor_.Now());
  EXPECT_LT(reactor_.Advance(10 * kSecond), 80u);
  ASSERT_FALSE(done_);
  SetPopulated(false);
  reactor_.Advance(200 * kMillisecond);
  EXPECT_TRUE(done_);
}

TEST_F(TreeEndTest, NothingIsKilledBeforeItsTime) {
  End(reactor_.Now() + kSecond);
  reactor_.Advance(kSecond - 1);
  EXPECT_FALSE(Killed());
  reactor_.Advance(1);
  EXPECT_TRUE(Killed());
}

// As one has that is being killed: it is not dead yet.
TEST_F(TreeEndTest, WhoHasLostTheEnvironmentIsNotForgotten) {
  const std::string ready = tree_.cgroup + "/ready";
  tree_.instance = absl::StrCat("tree-end-test-", getpid());
  const pid_t child = fork();
  if (child == 0) {
    setenv("FASTCONTAINER_INSTANCE", tree_.instance.c_str(), 1);
    setenv("READY", ready.c_str(), 1);
    execl("/bin/sh", "sh", "-c",
          "trap 'exec env -i sleep 1000' TERM; : > $READY; while :; do sleep 0.01; done", nullptr);
    _exit(1);
  }
  while (access(ready.c_str(), F_OK) != 0) sched_yield();
  const std::string folder = std::exchange(tree_.cgroup, "");
  tree_.leader = 0;
  End(reactor_.Now() + 3600 * kSecond);
  reactor_.Run();
  while (ReadNonce(child) == tree_.instance) sched_yield();
  reactor_.Advance(kSecond);
  EXPECT_FALSE(done_);
  end_->KillAt(reactor_.Now());
  while (!done_) reactor_.Advance(kMillisecond);
  siginfo_t end{};
  EXPECT_EQ(waitid(P_PID, static_cast<id_t>(child), &end, WEXITED | WNOHANG), 0);
  EXPECT_EQ(end.si_pid, child);
  EXPECT_EQ(end.si_status, SIGKILL);
  if (end.si_pid == 0) kill(child, SIGKILL);
  tree_.cgroup = folder;
}

TEST_F(TreeEndTest, TheKillCanBeBroughtForward) {
  End(reactor_.Now() + kSecond);
  reactor_.Advance(10 * kMillisecond);
  end_->KillAt(reactor_.Now() + 2 * kSecond);
  EXPECT_FALSE(Killed());
  end_->KillAt(reactor_.Now());
  reactor_.Run();
  EXPECT_TRUE(Killed());
}

}  // namespace
}  // namespace fastcontainer
