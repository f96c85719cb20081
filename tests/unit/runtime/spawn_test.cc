#include "lib/runtime/spawn.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/runtime/cgroup.h"

namespace fastcontainer {
namespace {

class SpawnTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/fastcontainer-spawn-XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    folder_ = pattern;
    output_ = UniqueFd(open((folder_ + "/output").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  SpawnRequest Request(std::vector<std::string> programs) {
    SpawnRequest request;
    request.programs = std::move(programs);
    request.arguments = {"program"};
    request.output = output_.get();
    return request;
  }
  std::string folder_;
  UniqueFd output_;
};

TEST_F(SpawnTest, MakesAChildWithADescriptorForIt) {
  absl::StatusOr<SpawnedProcess> spawned = Spawn(Request({"/bin/true"}));
  ASSERT_TRUE(spawned.ok()) << spawned.status();
  EXPECT_TRUE(spawned->pidfd.valid());
  EXPECT_FALSE(spawned->in_cgroup);
  int status = 1;
  EXPECT_EQ(waitpid(spawned->pid, &status, 0), spawned->pid);
  EXPECT_EQ(status, 0);
}

// In the cgroup from the first moment on where it can be made there, moved where it cannot.
TEST_F(SpawnTest, AChildIsInItsCgroup) {
  const absl::StatusOr<CgroupRoot> root = CgroupRoot::Open("", absl::StrCat("test-spawn-", getpid()));
  if (!root.ok()) GTEST_SKIP() << root.status();
  const absl::StatusOr<UniqueFd> procs = root->Make("any");
  ASSERT_TRUE(procs.ok()) << procs.status();
  const std::string path = root->PathFor("any");
  const UniqueFd cgroup(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const UniqueFd none(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  SpawnRequest request = Request({"/bin/cat"});
  request.arguments = {"cat", "/proc/self/cgroup"};
  int lines = 0;
  for (const auto& [folder, file] : {std::pair{cgroup.get(), -1}, {none.get(), procs->get()}}) {
    request.cgroup = folder;
    request.cgroup_procs = file;
    const absl::StatusOr<SpawnedProcess> spawned = Spawn(request);
    ASSERT_TRUE(spawned.ok()) << spawned.status();
    EXPECT_TRUE(spawned->in_cgroup) << folder;
    int status = 1;
    EXPECT_EQ(waitpid(spawned->pid, &status, 0), spawned->pid);
    EXPECT_EQ(status, 0);
    std::ifstream output(folder_ + "/output");
    const std::string text(std::istreambuf_iterator<char>(output), {});
    int found = 0;
    for (size_t at = 0; (at = text.find("/i-any\n", at)) != std::string::npos; ++at) ++found;
    EXPECT_EQ(found, ++lines) << text;
  }
  RemoveInstanceCgroup(path);
}

TEST_F(SpawnTest, AFolderThatIsNoCgroupIsNoObstacle) {
  const UniqueFd none(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  SpawnRequest request = Request({"/bin/true"});
  request.cgroup = none.get();
  const absl::StatusOr<SpawnedProcess> spawned = Spawn(request);
  ASSERT_TRUE(spawned.ok()) << spawned.status();
  EXPECT_FALSE(spawned->in_cgroup);
  int status = 1;
  EXPECT_EQ(waitpid(spawned->pid, &status, 0), spawned->pid);
  EXPECT_EQ(status, 0);
}

TEST_F(SpawnTest, TriesTheProgramsInOrder) {
  std::ofstream(folder_ + "/not-executable") << "";
  absl::StatusOr<SpawnedProcess> spawned =
      Spawn(Request({"/no/such/program", "/dev/null/program", folder_ + "/not-executable", "/bin/true"}));
  ASSERT_TRUE(spawned.ok()) << spawned.status();
  waitpid(spawned->pid, nullptr, 0);
}

TEST_F(SpawnTest, AFailedChildIsReaped) {
  EXPECT_EQ(Spawn(Request({"/no/such/program"})).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

TEST_F(SpawnTest, AMissingInterpreterIsNamedAsSuch) {
  const std::string script = folder_ + "/script";
  std::ofstream(script) << "#!/no/such/interpreter\n";
  chmod(script.c_str(), 0755);
  const absl::Status status = Spawn(Request({script})).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("interpreter"));
}

TEST_F(SpawnTest, AFileThatMayNotBeRunHidesAMissingOne) {
  std::ofstream(folder_ + "/not-executable") << "";
  EXPECT_EQ(Spawn(Request({folder_ + "/not-executable", "/no/such/program"})).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(SpawnTest, TooLongArgumentsAreInvalid) {
  SpawnRequest request = Request({"/bin/true"});
  request.arguments.push_back(std::string(4 << 20, 'x'));
  EXPECT_EQ(Spawn(request).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace fastcontainer
