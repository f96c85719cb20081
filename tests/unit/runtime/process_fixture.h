// What the tests of the runtime `process` share: a reactor, folders, ports, and a sweep of what a failed test
// left.
#ifndef FASTCONTAINER_TESTS_UNIT_RUNTIME_PROCESS_FIXTURE_H_
#define FASTCONTAINER_TESTS_UNIT_RUNTIME_PROCESS_FIXTURE_H_

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lib/base/epoll_reactor.h"
#include "lib/runtime/proc.h"
#include "lib/runtime/process.h"

namespace fastcontainer {

class ProcessFixture : public ::testing::Test {
 protected:
  using CgroupUse = ProcessRuntime::CgroupUse;

  void SetUp() override {
    char pattern[] = "/tmp/fastcontainer-runtime-XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    folder_ = pattern;
    reactor_ = *EpollReactor::Create();
    Open();
  }

  void TearDown() override {
    for (const pid_t pid : Living()) kill(pid, SIGKILL);
    EXPECT_TRUE(RunUntil([&] { return Living().empty(); }));
    runtime_ = nullptr;
    while (waitpid(-1, nullptr, 0) > 0) {
    }
    Open();  // removes the cgroups of what was killed
    EXPECT_TRUE(RecoverAndWait().ok());
    runtime_ = nullptr;
    std::filesystem::remove_all(folder_);
  }

  ProcessRuntime::Options MakeOptions() {
    ProcessRuntime::Options options;
    options.state_directory = folder_ + "/state";
    options.log_directory = folder_ + "/log";
    options.cgroup = cgroup_;
    options.subreaper = subreaper_;
    options.log = [this](LogLevel, std::string_view, std::string_view message) {
      logged_ += std::string(message) + "\n";
    };
    return options;
  }
  void Open() {
    runtime_ = nullptr;
    absl::StatusOr<std::unique_ptr<ProcessRuntime>> made = ProcessRuntime::Create(*reactor_, MakeOptions());
    ASSERT_TRUE(made.ok()) << made.status();
    runtime_ = *std::move(made);
    runtime_->OnExit([this](const ExitReport& report) { exits_.push_back(report); });
  }

  // Turns the loop until `done` holds; false after half a minute.
  bool RunUntil(const std::function<bool()>& done) {
    const Nanos deadline = reactor_->Now() + 30 * kSecond;
    while (!done()) {
      if (reactor_->Now() > deadline) return false;
      reactor_->Process(0);
      if (!done()) reactor_->Wait(std::min(deadline, reactor_->Now() + 20 * kMillisecond));
    }
    return true;
  }

  // The id is this test's own, so that tests that run at the same time do not sweep each other's processes.
  std::string Id(const std::string& name = "a") const { return absl::StrCat(folder_, "/", name); }

  static Address FreeAddress() {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    Address address = *Address::Parse("127.0.0.1:0");
    sockaddr_storage storage{};
    socklen_t size = address.ToSockaddr(&storage);
    bind(fd, reinterpret_cast<sockaddr*>(&storage), size);
    getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size);
    close(fd);
    return Address::FromSockaddr(reinterpret_cast<sockaddr*>(&storage));
  }

  StartRequest Command(std::vector<std::string> command, const std::string& name = "a") const {
    StartRequest request;
    request.instance = Id(name);
    request.container = "site-" + name;
    request.replica = 1;
    request.epoch = 7;
    request.spec_revision = "r1";
    request.spec.command = std::move(command);
    request.spec.ready_timeout = 25 * kSecond;
    request.address = FreeAddress();
    return request;
  }
  StartRequest Server(std::vector<std::string> orders = {}, const std::string& name = "a") const {
    std::vector<std::string> command = {RUNTIME_TEST_SERVER, "$ADDRESS", "$PORT"};
    command.insert(command.end(), orders.begin(), orders.end());
    return Command(std::move(command), name);
  }

  absl::Status StartAndWait(const StartRequest& request) {
    std::optional<absl::Status> answer;
    runtime_->Start(request, [&](absl::Status status) { answer = std::move(status); });
    EXPECT_FALSE(answer) << "answered inside the call";
    if (!RunUntil([&] { return answer.has_value(); })) return absl::UnknownError("no answer");
    return *answer;
  }
  absl::Status StopAndWait(const std::string& id, Nanos grace) {
    std::optional<absl::Status> answer;
    runtime_->Stop(id, grace, [&](absl::Status status) { answer = std::move(status); });
    EXPECT_FALSE(answer) << "answered inside the call";
    if (!RunUntil([&] { return answer.has_value(); })) return absl::UnknownError("no answer");
    return *answer;
  }
  absl::StatusOr<std::vector<RunningInstance>> RecoverAndWait() {
    std::optional<absl::StatusOr<std::vector<RunningInstance>>> answer;
    runtime_->Recover([&](absl::StatusOr<std::vector<RunningInstance>> found) { answer = std::move(found); });
    EXPECT_FALSE(answer) << "answered inside the call";
    if (!RunUntil([&] { return answer.has_value(); })) return absl::UnknownError("no answer");
    return *std::move(answer);
  }

  // Living processes that this test's instances have started.
  std::vector<pid_t> Living() const {
    std::vector<pid_t> pids;
    DIR* proc = opendir("/proc");
    while (const dirent* entry = readdir(proc)) {
      const pid_t pid = std::atoi(entry->d_name);
      if (pid <= 0) continue;
      const std::optional<ProcessStat> stat = ReadProcessStat(pid);
      if (stat && !stat->dead() && ReadNonce(pid).rfind(folder_, 0) == 0) pids.push_back(pid);
    }
    closedir(proc);
    return pids;
  }
  // Names of the instance files, "lock" left out.
  std::vector<std::string> StateFiles() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_ + "/state"))
      if (entry.path().filename() != "lock") names.push_back(entry.path().filename());
    return names;
  }
  std::string Read(const std::string& path) const {
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  std::string Output(const std::string& name = "a") const {
    return Read(absl::StrCat(folder_, "/log/site-", name, ".log"));
  }
  pid_t PidIn(const std::string& path) const { return std::atoi(Read(path).c_str()); }
  static bool Alive(pid_t pid) {
    const std::optional<ProcessStat> stat = ReadProcessStat(pid);
    return pid > 0 && stat && !stat->dead();
  }

  CgroupUse cgroup_ = CgroupUse::kOff;
  bool subreaper_ = false;
  std::string folder_;
  std::string logged_;
  std::unique_ptr<EpollReactor> reactor_;
  std::unique_ptr<ProcessRuntime> runtime_;
  std::vector<ExitReport> exits_;
};

// The same by session and environment, and by cgroup where this machine permits it.
class OwnershipFixture : public ProcessFixture, public ::testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    cgroup_ = GetParam() ? CgroupUse::kAuto : CgroupUse::kOff;
    ProcessFixture::SetUp();
  }
};

inline std::string OwnershipName(const ::testing::TestParamInfo<bool>& info) {
  return info.param ? "CgroupIfPermitted" : "SessionAndEnvironment";
}

}  // namespace fastcontainer

#endif  // FASTCONTAINER_TESTS_UNIT_RUNTIME_PROCESS_FIXTURE_H_
