#include "lib/runtime/cgroup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

namespace fastcontainer {
namespace {

using ::testing::ElementsAre;

class Cgroup : public ::testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<CgroupRoot> root = CgroupRoot::Open("", absl::StrCat("test-", getpid()));
    if (!root.ok()) GTEST_SKIP() << root.status();
    root_ = *std::move(root);
  }
  void TearDown() override {
    if (root_) RemoveInstanceCgroup(root_->PathFor("any"));
    EXPECT_TRUE(!root_ || access(root_->path().c_str(), F_OK) != 0);
  }
  std::optional<CgroupRoot> root_;
};

TEST(CgroupRootTest, AFolderThatIsNoCgroupIsRefused) {
  EXPECT_EQ(CgroupRoot::Open("/tmp", "x").status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(CgroupRoot::Open("/no/such/folder", "x").status().code(), absl::StatusCode::kPermissionDenied);
}

TEST(CgroupRootTest, ACgroupThatIsGoneIsEmpty) {
  EXPECT_FALSE(CgroupPopulated("/no/such/folder"));
  EXPECT_THAT(CgroupProcesses("/no/such/folder"), ::testing::IsEmpty());
}

TEST_F(Cgroup, HoldsAndKillsWhatEntersIt) {
  const absl::StatusOr<UniqueFd> procs = root_->Make("cgroup.procs");
  ASSERT_TRUE(procs.ok()) << procs.status();
  const std::string path = root_->PathFor("cgroup.procs");
  EXPECT_FALSE(CgroupPopulated(path));
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    if (write(procs->get(), "0", 1) != 1) _exit(1);
    raise(SIGSTOP);
    for (;;) pause();
  }
  int status = 0;
  waitpid(child, &status, WUNTRACED);
  ASSERT_TRUE(WIFSTOPPED(status));
  EXPECT_TRUE(CgroupPopulated(path));
  EXPECT_THAT(CgroupProcesses(path), ElementsAre(child));
  RemoveCgroup(path);
  EXPECT_TRUE(CgroupPopulated(path)) << "not while it holds processes";
  KillCgroup(path);
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
  EXPECT_FALSE(CgroupPopulated(path));
  mkdir((path + "/inner").c_str(), 0755);
  RemoveCgroup(path);
  EXPECT_NE(access(path.c_str(), F_OK), 0);
}

}  // namespace
}  // namespace fastcontainer
