#include "lib/runtime/process.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include "tests/unit/runtime/process_fixture.h"

namespace fastcontainer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class Process : public ProcessFixture {};

TEST_F(Process, StartAnswersWhenTheContainerAnswersOverHttp) {
  StartRequest request = Server({"--listen-after", "50", "--unready", "3"});
  request.spec.ready_http = "/health?x=1";
  EXPECT_TRUE(StartAndWait(request).ok());
  EXPECT_THAT(Output(), HasSubstr("GET /health?x=1 HTTP/1.1\r\nHost: " + request.address.ToString()));
  EXPECT_THAT(Output(), HasSubstr("answered 503\n"));
  EXPECT_THAT(Living(), SizeIs(1));
}

TEST_F(Process, WithoutAPathAnAcceptedConnectionIsReadiness) {
  EXPECT_TRUE(StartAndWait(Server({"--listen-after", "30"})).ok());
  EXPECT_THAT(Output(), Not(HasSubstr("GET")));
}

TEST_F(Process, AddressAndPortAreHandedOverInTheCommandAndTheEnvironment) {
  StartRequest request = Command({"sh", "-c", "echo $ADDRESS ${PORT}; env; exit 3"});
  request.spec.environment = {{"COLOUR", "blue"}, {"PORT", "1"}};
  EXPECT_EQ(StartAndWait(request).code(), absl::StatusCode::kAborted);
  const std::string port = absl::StrCat(request.address.port);
  EXPECT_THAT(Output(), HasSubstr("127.0.0.1 " + port + "\n"));
  EXPECT_THAT(Output(), HasSubstr("\nADDRESS=127.0.0.1\n"));
  EXPECT_THAT(Output(), HasSubstr("\nPORT=" + port + "\n"));
  EXPECT_THAT(Output(), HasSubstr("\nCOLOUR=blue\n"));
  EXPECT_THAT(Output(), HasSubstr("\nCONTAINER=site-a\n"));
  EXPECT_THAT(Output(), HasSubstr("\nFASTCONTAINER_INSTANCE=" + Id() + "\n"));
}

TEST_F(Process, ACommandThatDoesNotExistIsNotFound) {
  EXPECT_EQ(StartAndWait(Command({"no-such-command-at-all"})).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(StartAndWait(Command({"/no/such/command"})).code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(StateFiles(), IsEmpty());
}

TEST_F(Process, AFileThatIsNotExecutableIsAnInvalidSpec) {
  const std::string path = folder_ + "/program";
  std::ofstream(path) << "text";
  EXPECT_EQ(StartAndWait(Command({path})).code(), absl::StatusCode::kInvalidArgument);
  chmod(path.c_str(), 0755);
  EXPECT_EQ(StartAndWait(Command({path})).code(), absl::StatusCode::kInvalidArgument) << "no format";
  EXPECT_THAT(StateFiles(), IsEmpty());
}

TEST_F(Process, AContainerThatDiesAtOnceIsReportedWithTheEndOfItsOutput) {
  ASSERT_EQ(StartAndWait(Server({"--print", "an earlier start", "--exit", "1"})).code(),
            absl::StatusCode::kAborted);
  const absl::Status status = StartAndWait(Server({"--print", "cannot open the database", "--exit", "3"}));
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("exit status 3"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("cannot open the database"));
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("earlier")));
  EXPECT_THAT(StateFiles(), IsEmpty());
}

TEST_F(Process, ADeathBySignalIsNamed) {
  const absl::Status status = StartAndWait(Command({"sh", "-c", "kill -9 $$$$"}));
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("signal 9"));
}

TEST_F(Process, TheProgramGetsNoDescriptorAndNoBlockedSignal) {
  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  sigprocmask(SIG_BLOCK, &blocked, &before);
  signal(SIGPIPE, SIG_IGN);
  const int leaked = open("/dev/null", O_RDONLY);
  const absl::Status ended = StartAndWait(
      Command({"sh", "-c", "grep -E 'Sig(Blk|Ign)' /proc/self/status; echo fds; ls /proc/$$$$/fd"}));
  close(leaked);
  signal(SIGPIPE, SIG_DFL);
  sigprocmask(SIG_SETMASK, &before, nullptr);
  EXPECT_THAT(Output(), HasSubstr("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"));
  EXPECT_THAT(Output(), HasSubstr("fds\n0\n1\n2\n"));
  EXPECT_THAT(Output(), ::testing::EndsWith("\n2\n"));
  EXPECT_EQ(ended.code(), absl::StatusCode::kAborted);
}

TEST_F(Process, TheProgramRunsInTheSpecsDirectoryAndInASessionOfItsOwn) {
  StartRequest request = Command({"sh", "-c", "pwd; cut -d' ' -f1,6 /proc/$$$$/stat"});
  request.spec.directory = "/usr";
  EXPECT_EQ(StartAndWait(request).code(), absl::StatusCode::kAborted);
  EXPECT_THAT(Output(), ::testing::MatchesRegex("/usr\n([0-9]+) [0-9]+\n"));
  std::istringstream words(Output());
  std::string directory;
  pid_t pid = 0;
  pid_t session = 1;
  words >> directory >> pid >> session;
  EXPECT_EQ(pid, session);
  request.spec.directory = "/no/such/folder";
  EXPECT_EQ(StartAndWait(request).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(Process, ANeverReadyContainerIsEndedAndNothingOfItIsLeft) {
  StartRequest request = Server(
      {"--print", "waiting for nothing", "--never-listen", "--ignore-term", "--daemon", folder_ + "/daemon"});
  request.spec.ready_timeout = 500 * kMillisecond;
  const absl::Status status = StartAndWait(request);
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(status.message()), HasSubstr("waiting for nothing"));
  EXPECT_GT(PidIn(folder_ + "/daemon"), 0);
  EXPECT_THAT(Living(), IsEmpty());
  EXPECT_THAT(StateFiles(), IsEmpty());
}

TEST_F(Process, AnInstanceIsStartedOnce) {
  ASSERT_TRUE(StartAndWait(Server()).ok());
  EXPECT_EQ(StartAndWait(Server()).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(Living(), SizeIs(1));
}

TEST_F(Process, AStrangerAtTheAddressIsNotTakenForTheContainer) {
  const StartRequest first = Server({}, "stranger");
  ASSERT_TRUE(StartAndWait(first).ok());
  StartRequest request = Server();
  request.address = first.address;
  const absl::Status status = StartAndWait(request);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr(request.address.ToString() + " is in use"));
  EXPECT_THAT(Living(), SizeIs(1));
}

TEST_F(Process, AnAddressOfAnotherMachineIsAnInvalidRequest) {
  StartRequest request = Server();
  request.address = *Address::Parse("192.0.2.1:8000");
  EXPECT_EQ(StartAndWait(request).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(Process, RequestsThatCannotBeRunAreInvalid) {
  StartRequest request = Server();
  request.spec.command.clear();
  EXPECT_EQ(StartAndWait(request).code(), absl::StatusCode::kInvalidArgument);
  request = Server();
  request.instance.clear();
  EXPECT_EQ(StartAndWait(request).code(), absl::StatusCode::kInvalidArgument);
  request = Server();
  request.address.port = 0;
  EXPECT_EQ(StartAndWait(request).code(), absl::StatusCode::kInvalidArgument);
  request = Server();
  request.spec.ready_http = "/ HTTP/1.1\r\nEvil: yes";
  EXPECT_EQ(StartAndWait(request).code(), absl::StatusCode::kInvalidArgument);
  request = Server();
  request.spec_revision = "\xff";
  EXPECT_EQ(StartAndWait(request).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Living(), IsEmpty());
}

TEST_F(Process, WithoutAStateFolderNothingIsStarted) {
  std::filesystem::remove_all(folder_ + "/state");
  EXPECT_EQ(StartAndWait(Server({"--print", "started"})).code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(Living(), IsEmpty());
  EXPECT_EQ(Output(), "");
}

TEST_F(Process, WithAFullDiskNothingIsStarted) {
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, SIG_IGN);
  rlimit none = before;
  none.rlim_cur = 10;
  setrlimit(RLIMIT_FSIZE, &none);
  const absl::Status status = StartAndWait(Server({"--print", "started"}));
  setrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, SIG_DFL);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(StateFiles(), IsEmpty());
  EXPECT_EQ(Output(), "");
}

TEST_F(Process, WithoutALogFolderNothingIsStarted) {
  std::filesystem::remove_all(folder_ + "/log");
  EXPECT_EQ(StartAndWait(Server()).code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(Living(), IsEmpty());
}

TEST_F(Process, WithoutDescriptorsTheStartFailsAndLeavesNothing) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "UBSan's check of virtual calls opens a pipe and takes its failure for a bad object";
#endif
  const StartRequest request = Server();
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  rlimit few = before;
  few.rlim_cur = 4;
  setrlimit(RLIMIT_NOFILE, &few);
  std::optional<absl::Status> answer;
  runtime_->Start(request, [&](absl::Status status) { answer = std::move(status); });
  setrlimit(RLIMIT_NOFILE, &before);
  ASSERT_TRUE(RunUntil([&] { return answer.has_value(); }));
  EXPECT_EQ(answer->code(), absl::StatusCode::kResourceExhausted) << *answer;
  EXPECT_THAT(Living(), IsEmpty());
}

TEST_F(Process, AFailedStartMayBeRepeatedFromItsCallback) {
  std::optional<absl::Status> second;
  runtime_->Start(Server({"--exit", "1"}), [&](absl::Status) {
    runtime_->Start(Server(), [&](absl::Status status) { second = std::move(status); });
  });
  ASSERT_TRUE(RunUntil([&] { return second.has_value(); }));
  EXPECT_TRUE(second->ok()) << *second;
}

TEST_F(Process, ManyStartAndStopAtOnce) {
  int ready = 0;
  int stopped = 0;
  constexpr int kMany = 20;
  for (int i = 0; i < kMany; ++i)
    runtime_->Start(Server({}, absl::StrCat(i)), [&](absl::Status status) {
      EXPECT_TRUE(status.ok()) << status;
      ++ready;
    });
  ASSERT_TRUE(RunUntil([&] { return ready == kMany; }));
  EXPECT_THAT(Living(), SizeIs(kMany));
  for (int i = 0; i < kMany; ++i)
    runtime_->Stop(Id(absl::StrCat(i)), kSecond, [&](absl::Status) { ++stopped; });
  ASSERT_TRUE(RunUntil([&] { return stopped == kMany; }));
  EXPECT_THAT(Living(), IsEmpty());
  EXPECT_THAT(StateFiles(), IsEmpty());
  EXPECT_THAT(exits_, IsEmpty());
}

TEST_F(Process, AStateFolderServesOneProcessAtATime) {
  const auto second = ProcessRuntime::Create(*reactor_, MakeOptions());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  ProcessRuntime::Options none = MakeOptions();
  none.state_directory.clear();
  EXPECT_EQ(ProcessRuntime::Create(*reactor_, std::move(none)).status().code(),
            absl::StatusCode::kInvalidArgument);
  ProcessRuntime::Options impossible = MakeOptions();
  impossible.state_directory = "/dev/null/state";
  EXPECT_EQ(ProcessRuntime::Create(*reactor_, std::move(impossible)).status().code(),
            absl::StatusCode::kUnavailable);
}

TEST_F(Process, TheDestructorDropsCallbacksAndLeavesContainersRunning) {
  ASSERT_TRUE(StartAndWait(Server()).ok());
  bool called = false;
  runtime_->Start(Server({"--never-listen"}, "b"), [&](absl::Status) { called = true; });
  runtime_->Stop("nobody", 0, [&](absl::Status) { called = true; });
  runtime_ = nullptr;
  for (int i = 0; i < 10; ++i) reactor_->Process(0);
  EXPECT_FALSE(called);
  EXPECT_THAT(Living(), SizeIs(2));
}

}  // namespace
}  // namespace fastcontainer
