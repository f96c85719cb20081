#include <algorithm>

#include "lib/runtime/state_folder.h"
#include "tests/unit/runtime/process_fixture.h"

namespace fastcontainer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ProcessRecover : public OwnershipFixture {
 protected:
  // A dispatcher of its own process starts the request, and is killed: when it is ready, or, if that is not
  // waited for, when the container has written something.
  void StartInADispatcherThatIsKilled(const StartRequest& request, bool wait_until_ready = true) {
    runtime_ = nullptr;
    int ready[2];
    ASSERT_EQ(pipe(ready), 0);
    const pid_t dispatcher = fork();
    if (dispatcher == 0) {
      alarm(60);
      const auto reactor = *EpollReactor::Create();
      auto runtime = *ProcessRuntime::Create(*reactor, MakeOptions());
      runtime->Start(request, [&](absl::Status status) {
        if (write(ready[1], status.ok() ? "y" : "n", 1) != 1) _exit(1);
      });
      if (!wait_until_ready && write(ready[1], "y", 1) != 1) _exit(1);
      for (;;) {
        reactor->Process(0);
        reactor->Wait(kForever);
      }
    }
    close(ready[1]);
    char answer = '?';
    EXPECT_EQ(read(ready[0], &answer, 1), 1);
    EXPECT_EQ(answer, 'y');
    close(ready[0]);
    kill(dispatcher, SIGKILL);
    waitpid(dispatcher, nullptr, 0);
    Open();
  }

  // A process like one of the instance's, but with this test as its parent.
  pid_t Spawn(const std::string& instance) {
    const pid_t pid = fork();
    if (pid == 0) {
      const std::string nonce = "FASTCONTAINER_INSTANCE=" + instance;
      const char* arguments[] = {"sleep", "100", nullptr};
      const char* environment[] = {nonce.c_str(), nullptr};
      execve("/bin/sleep", const_cast<char**>(arguments), const_cast<char**>(environment));
      _exit(127);
    }
    // The nonce can be seen only after execve.
    EXPECT_TRUE(RunUntil([&] { return ReadNonce(pid) == instance; }));
    return pid;
  }
  // Waits for the end of a process of Spawn's and says what ended it.
  int EndOf(pid_t pid) {
    int status = 0;
    EXPECT_TRUE(RunUntil([&] { return waitpid(pid, &status, WNOHANG) == pid; }));
    return WTERMSIG(status);
  }
  InstanceRecord RecordOf(pid_t pid) {
    InstanceRecord record;
    record.instance = Id();
    record.container = "site-a";
    record.address = FreeAddress();
    record.boot_id = ReadBootId();
    record.pid = pid;
    if (pid != 0) record.start_time = ReadProcessStat(pid)->start_time;
    return record;
  }
  void WriteState(const InstanceRecord& record) {
    std::ofstream(absl::StrCat(folder_, "/state/", FileNameFor(record.instance), ".json"))
        << *EncodeInstanceRecord(record);
  }
};
INSTANTIATE_TEST_SUITE_P(By, ProcessRecover, ::testing::Bool(), OwnershipName);

TEST_P(ProcessRecover, AnEmptyFolderHasNothing) {
  const auto found = RecoverAndWait();
  ASSERT_TRUE(found.ok());
  EXPECT_THAT(*found, IsEmpty());
}

TEST_P(ProcessRecover, AContainerOutlivesItsDispatchersSigkillAndIsAdopted) {
  const StartRequest request = Server();
  StartInADispatcherThatIsKilled(request);
  const std::vector<pid_t> before = Living();
  ASSERT_THAT(before, SizeIs(1));
  const auto found = RecoverAndWait();
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_THAT(*found, SizeIs(1));
  const RunningInstance& instance = found->front();
  EXPECT_EQ(instance.instance, request.instance);
  EXPECT_EQ(instance.container, request.container);
  EXPECT_EQ(instance.replica, request.replica);
  EXPECT_EQ(instance.epoch, request.epoch);
  EXPECT_EQ(instance.spec_revision, request.spec_revision);
  EXPECT_EQ(instance.address, request.address);
  EXPECT_TRUE(instance.ready);
  EXPECT_EQ(Living(), before);
  EXPECT_EQ(StartAndWait(request).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(StopAndWait(Id(), 10 * kSecond).ok());
  EXPECT_THAT(Living(), IsEmpty());
  EXPECT_THAT(StateFiles(), IsEmpty());
}

TEST_P(ProcessRecover, TheDeathOfAnAdoptedContainerIsReported) {
  StartInADispatcherThatIsKilled(Server());
  ASSERT_THAT(*RecoverAndWait(), SizeIs(1));
  for (const pid_t pid : Living()) kill(pid, SIGKILL);
  ASSERT_TRUE(RunUntil([&] { return !exits_.empty(); }));
  EXPECT_EQ(exits_[0].instance, Id());
  EXPECT_EQ(exits_[0].reason, "gone");
}

TEST_P(ProcessRecover, AContainerThatWasStillStartingIsReportedAsNotReady) {
  StartInADispatcherThatIsKilled(Server({"--never-listen"}), false);
  const auto found = RecoverAndWait();
  ASSERT_THAT(*found, SizeIs(1));
  EXPECT_FALSE(found->front().ready);
  EXPECT_TRUE(StopAndWait(Id(), 10 * kSecond).ok());
  EXPECT_THAT(Living(), IsEmpty());
}

TEST_P(ProcessRecover, WhatADeadLeaderLeftIsEnded) {
  StartInADispatcherThatIsKilled(Server({"--daemon", folder_ + "/daemon", "--daemon-ignores-term"}));
  const pid_t daemon = PidIn(folder_ + "/daemon");
  std::vector<pid_t> others = Living();
  std::erase(others, daemon);
  for (const pid_t pid : others) kill(pid, SIGKILL);
  // One that is being killed has lost its environment before it is dead.
  ASSERT_TRUE(RunUntil([&] { return std::none_of(others.begin(), others.end(), Alive); }));
  const auto found = RecoverAndWait();
  EXPECT_THAT(*found, IsEmpty());
  EXPECT_FALSE(Alive(daemon));
  EXPECT_THAT(StateFiles(), IsEmpty());
  EXPECT_THAT(exits_, IsEmpty());
}

TEST_P(ProcessRecover, AnIntentWhosePidWasNeverWrittenIsFoundByItsEnvironment) {
  const pid_t pid = Spawn(Id());
  WriteState(RecordOf(0));
  EXPECT_THAT(*RecoverAndWait(), IsEmpty());
  EXPECT_EQ(EndOf(pid), SIGKILL);
  EXPECT_THAT(StateFiles(), IsEmpty());
}

TEST_P(ProcessRecover, ACorruptFileIsSetAsideAndItsProcessesAreEnded) {
  const pid_t pid = Spawn(Id());
  const std::string name = FileNameFor(Id()) + ".json";
  std::ofstream(folder_ + "/state/" + name) << "{\"v\":1,";
  EXPECT_THAT(*RecoverAndWait(), IsEmpty());
  EXPECT_EQ(EndOf(pid), SIGKILL);
  EXPECT_THAT(StateFiles(), ElementsAre(name + ".corrupt"));
  EXPECT_THAT(logged_, HasSubstr("corrupt"));
}

TEST_P(ProcessRecover, AReusedPidIsNobodyOfOurs) {
  const pid_t stranger = Spawn("stranger");
  InstanceRecord record = RecordOf(stranger);
  record.start_time -= 1;
  WriteState(record);
  EXPECT_THAT(*RecoverAndWait(), IsEmpty());
  EXPECT_TRUE(Alive(stranger));
  EXPECT_THAT(StateFiles(), IsEmpty());
  kill(stranger, SIGKILL);
  EndOf(stranger);
}

TEST_P(ProcessRecover, ARecordOfAnEarlierBootIsForgotten) {
  const pid_t stranger = Spawn("stranger");
  InstanceRecord record = RecordOf(stranger);
  record.boot_id = "another";
  WriteState(record);
  EXPECT_THAT(*RecoverAndWait(), IsEmpty());
  EXPECT_TRUE(Alive(stranger));
  EXPECT_THAT(StateFiles(), IsEmpty());
  kill(stranger, SIGKILL);
  EndOf(stranger);
}

TEST_P(ProcessRecover, AZombieCountsAsDead) {
  const pid_t zombie = Spawn(Id());
  const InstanceRecord record = RecordOf(zombie);
  kill(zombie, SIGKILL);
  ASSERT_TRUE(RunUntil([&] { return !Alive(zombie); }));
  WriteState(record);
  EXPECT_THAT(*RecoverAndWait(), IsEmpty());
  EXPECT_THAT(StateFiles(), IsEmpty());
  EndOf(zombie);
}

TEST_P(ProcessRecover, ADestroyedRuntimesContainersAreRecoveredInTheSameProcess) {
  ASSERT_TRUE(StartAndWait(Server()).ok());
  Open();
  ASSERT_THAT(*RecoverAndWait(), SizeIs(1));
  for (const pid_t pid : Living()) kill(pid, SIGKILL);
  ASSERT_TRUE(RunUntil([&] { return !exits_.empty(); }));
  EXPECT_EQ(exits_[0].reason, "signal 9");
}

TEST_P(ProcessRecover, AFolderThatCannotBeReadIsAnErrorNotAnEmptyList) {
  std::filesystem::remove_all(folder_ + "/state");
  EXPECT_EQ(RecoverAndWait().status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace fastcontainer
