#include "lib/runtime/limits.h"

#include <algorithm>

#include "tests/unit/runtime/process_fixture.h"

namespace fastcontainer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr uint64_t kMebibyte = 1 << 20;

class LimitsTest : public ProcessFixture {
 protected:
  LimitsTest() { cgroup_ = CgroupUse::kAuto; }
  // The cgroup of version 1 in which `pid` is limited; "" if there is none.
  static std::string LimitedIn(const std::string& controller, pid_t pid) {
    const std::string own = OwnCgroupV1(controller);
    for (const auto& root : std::filesystem::directory_iterator(own)) {
      if (root.path().filename().string().rfind("fastcontainer-", 0) != 0) continue;
      std::error_code gone;  // other tests make and remove theirs at the same time
      for (const auto& instance : std::filesystem::directory_iterator(root.path(), gone)) {
        const std::vector<pid_t> pids = CgroupProcesses(instance.path());
        if (std::find(pids.begin(), pids.end(), pid) != pids.end()) return instance.path();
      }
    }
    return "";
  }
  void Write(const std::string& path, const std::string& text = "") {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path) << text;
  }
};

TEST_F(LimitsTest, AContainerIsHeldToItsLimitsAndLeavesNothing) {
  if (OwnCgroupV1("memory").empty() || OwnCgroupV1("cpu").empty())
    GTEST_SKIP() << "the controllers are not those of version 1";
  StartRequest request = Server();
  request.spec.limits.memory = 64 * kMebibyte;
  request.spec.limits.cpu = 0.5;
  ASSERT_TRUE(StartAndWait(request).ok());
  if (logged_.find("not enforced") != std::string::npos) GTEST_SKIP() << logged_;
  const std::string memory = LimitedIn("memory", Living().at(0));
  const std::string cpu = LimitedIn("cpu", Living().at(0));
  EXPECT_EQ(Read(memory + "/memory.limit_in_bytes"), "67108864\n");
  EXPECT_EQ(Read(cpu + "/cpu.cfs_quota_us"), "50000\n");
  EXPECT_EQ(Read(cpu + "/cpu.cfs_period_us"), "100000\n");
  EXPECT_TRUE(StopAndWait(request.instance, kSecond).ok());
  EXPECT_FALSE(std::filesystem::exists(std::filesystem::path(memory).parent_path()));
  EXPECT_FALSE(std::filesystem::exists(std::filesystem::path(cpu).parent_path()));
}

TEST_F(LimitsTest, OneThatWantsMoreMemoryThanItsLimitIsKilled) {
  StartRequest request =
      Command({"sh", "-c", "head -c 200000000 /dev/zero | tail -c 200000000 | wc -c; exit 3"});
  request.spec.limits.memory = 32 * kMebibyte;
  EXPECT_FALSE(StartAndWait(request).ok());
  if (logged_.find("not enforced") != std::string::npos) GTEST_SKIP() << logged_;
  EXPECT_THAT(Output(), Not(HasSubstr("200000000")));
}

TEST_F(LimitsTest, WhatCannotBeEnforcedIsToldOnceAndTheContainerStarts) {
  cgroup_ = CgroupUse::kOff;
  Open();
  for (const char* const name : {"a", "b"}) {
    StartRequest request = Server({}, name);
    request.spec.limits.memory = 64 * kMebibyte;
    ASSERT_TRUE(StartAndWait(request).ok());
  }
  EXPECT_THAT(logged_, HasSubstr("limits.memory of site-a is not enforced"));
  EXPECT_THAT(logged_, Not(HasSubstr("limits.memory of site-b")));
  EXPECT_THAT(logged_, Not(HasSubstr("limits.cpu")));
}

TEST_F(LimitsTest, TheInstancesOwnCgroupIsUsedWhereItHasTheControllers) {
  const std::string root = folder_ + "/cgroup";
  Write(root + "/cgroup.subtree_control");
  Write(root + "/i-a/memory.max");
  Write(root + "/i-a/cpu.max");
  std::vector<UniqueFd> procs;
  const LimitCgroups limits({root, "", ""});
  EXPECT_THAT(limits.Set("a", {1.5, 64 * kMebibyte}, &procs), IsEmpty());
  EXPECT_EQ(Read(root + "/i-a/memory.max"), "67108864");
  EXPECT_EQ(Read(root + "/i-a/cpu.max"), "150000 100000");
  EXPECT_THAT(Read(root + "/cgroup.subtree_control"), HasSubstr("+cpu"));
  EXPECT_THAT(procs, IsEmpty()) << "the process enters that one anyway";
}

TEST_F(LimitsTest, WithoutALimitNothingIsMadeAndWithoutAControllerItIsNamed) {
  std::vector<UniqueFd> procs;
  const LimitCgroups limits({folder_ + "/none", folder_ + "/memory", ""});
  EXPECT_THAT(limits.Set("a", {0, 0}, &procs), IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/memory"));
  EXPECT_THAT(limits.Set("a", {0.1, 1}, &procs), ElementsAre("limits.memory", "limits.cpu"));
  EXPECT_THAT(procs, IsEmpty());
}

}  // namespace
}  // namespace fastcontainer
