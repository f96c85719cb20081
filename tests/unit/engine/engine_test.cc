#include "fastcontainer/engine.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "fastcontainer/records.h"
#include "gtest/gtest.h"

namespace fastcontainer {
namespace {

EngineOptions InMemory() {
  EngineOptions options;
  options.cmdb_url = "memory:";
  return options;
}

std::unique_ptr<Engine> MakeEngine(EngineOptions options = InMemory()) {
  absl::StatusOr<std::unique_ptr<Engine>> engine = Engine::Create(std::move(options));
  EXPECT_TRUE(engine.ok()) << engine.status();
  return engine.ok() ? *std::move(engine) : nullptr;
}

// Gives up after as many silent seconds as no machine is slow.
bool RunUntil(Engine& engine, const std::function<bool()>& done) {
  for (int silent = 0; !done();) {
    pollfd ready{engine.fd(), POLLIN, 0};
    if (poll(&ready, 1, 1000) == 0 && ++silent > 20) return false;
    engine.Process(0);
  }
  return true;
}

// Starts nothing, says yes at once, and tells when it is destroyed.
class InstantRuntime final : public Runtime {
 public:
  InstantRuntime(Reactor& reactor, bool* destroyed) : reactor_(reactor), destroyed_(destroyed) {}
  ~InstantRuntime() override { *destroyed_ = true; }
  void Start(const StartRequest&, StartCallback callback) override { Later(std::move(callback)); }
  void Stop(const InstanceId&, Nanos, StopCallback callback) override { Later(std::move(callback)); }
  void Recover(RecoverCallback callback) override {
    reactor_.Defer([callback = std::move(callback)]() mutable { callback(std::vector<RunningInstance>()); });
  }
  void OnExit(ExitCallback) override {}

 private:
  void Later(StartCallback callback) {
    reactor_.Defer([callback = std::move(callback)]() mutable { callback(absl::OkStatus()); });
  }
  Reactor& reactor_;
  bool* destroyed_;
};

DispatcherHostOptions OnLoopback(const std::string& host, bool* destroyed) {
  DispatcherHostOptions options;
  options.host = host;
  options.address = "127.0.0.1";
  options.runtime = [destroyed](Reactor& reactor) -> absl::StatusOr<std::unique_ptr<Runtime>> {
    return std::make_unique<InstantRuntime>(reactor, destroyed);
  };
  return options;
}

void PutHost(Engine& engine, const std::string& name, const std::string& address, int port) {
  Host host;
  host.address = address;
  host.dispatcher_port = static_cast<uint16_t>(port);
  bool written = false;
  Mutation put{Mutation::Kind::kPut, RecordKey(RecordKind::kHost, name), EncodeHost(host)};
  engine.cmdb().Txn({}, {std::move(put)}, 0, [&](const TxnResult& result) {
    written = true;
    EXPECT_EQ(result.outcome, TxnOutcome::kOk);
  });
  ASSERT_TRUE(RunUntil(engine, [&] { return written; }));
}

TEST(Engine, WithoutAKeyRefusesABindAddressThatIsNotLoopbackByName) {
  EngineOptions options = InMemory();
  options.bind_address = "192.0.2.7";
  const auto engine = Engine::Create(std::move(options));
  EXPECT_EQ(engine.status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_TRUE(absl::StrContains(engine.status().message(), "192.0.2.7")) << engine.status();
}

TEST(Engine, NamesTheAcceptedCmdbUrls) {
  EngineOptions options;
  const auto engine = Engine::Create(std::move(options));
  EXPECT_EQ(engine.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::StrContains(engine.status().message(), "memory:")) << engine.status();
}

TEST(Engine, WithAKeyBindsToAnyAddress) {
  char path[] = "/tmp/fastcontainer-key-XXXXXX";
  const int fd = mkstemp(path);
  ASSERT_GE(fd, 0);
  const std::string key = std::string(64, 'a') + "\n";
  ASSERT_EQ(write(fd, key.data(), key.size()), static_cast<ssize_t>(key.size()));
  close(fd);
  EngineOptions options = InMemory();
  options.cluster_key_file = path;
  options.bind_address = "0.0.0.0";
  EXPECT_TRUE(Engine::Create(std::move(options)).ok());
  unlink(path);
}

TEST(Engine, AfterShutdownEverythingIsToldSo) {
  const std::unique_ptr<Engine> engine = MakeEngine();
  int calls = 0;
  RouteCode told = RouteCode::kOk;
  std::pair<int*, RouteCode*> seen(&calls, &told);
  Ticket ticket;
  RouteOp op = 0;
  const auto callback = [](void* user_data, RouteCode code, const Ticket*, const RouteError*) {
    auto* const out = static_cast<std::pair<int*, RouteCode*>*>(user_data);
    ++*out->first;
    *out->second = code;
  };
  ASSERT_EQ(engine->Route("site.test", {}, &ticket, &op, callback, &seen), RouteCode::kPending);
  engine->Shutdown();
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(told, RouteCode::kShutdown);
  EXPECT_EQ(engine->Route("site.test", {}, &ticket, &op, callback, &seen), RouteCode::kShutdown);
  EXPECT_EQ(engine->EndTicket(1, Outcome::kOk, 0), RouteCode::kNotFound);
  EXPECT_EQ(engine->Place("site", "", "", nullptr), 0u);
  EXPECT_FALSE(engine->Cancel(op));
  bool destroyed = false;
  EXPECT_FALSE(engine->AddDispatcher(OnLoopback("h1", &destroyed), [](const absl::Status&) {}).ok());
  EXPECT_EQ(calls, 1);
}

TEST(Engine, DispatcherTakesItsPortAndAddressFromTheRecord) {
  const std::unique_ptr<Engine> engine = MakeEngine();
  PutHost(*engine, "h1", "127.0.0.3", 17070);
  bool destroyed = false;
  absl::Status status = absl::UnknownError("not yet");
  DispatcherHostOptions options = OnLoopback("h1", &destroyed);
  options.address.clear();
  const auto dispatcher =
      engine->AddDispatcher(std::move(options), [&](const absl::Status& result) { status = result; });
  ASSERT_TRUE(dispatcher.ok()) << dispatcher.status();
  ASSERT_TRUE(RunUntil(*engine, [&] { return !absl::IsUnknown(status); }));
  EXPECT_TRUE(status.ok()) << status;

  std::string record;
  engine->cmdb().Get(RecordKey(RecordKind::kHost, "h1"), ReadMode::kLinearizable,
                     [&](const absl::StatusOr<Record>& read) { record = read.ok() ? read->value : "?"; });
  ASSERT_TRUE(RunUntil(*engine, [&] { return !record.empty(); }));
  const absl::StatusOr<Host> host = DecodeHost(record);
  ASSERT_TRUE(host.ok()) << host.status();
  EXPECT_EQ(host->address, "127.0.0.3");
  EXPECT_EQ(host->dispatcher_port, 17070);
  EXPECT_EQ(host->incarnation, 1u);
  engine->RemoveDispatcher(*dispatcher);
  EXPECT_TRUE(destroyed);
}

TEST(Engine, DispatcherWithoutAKeyRefusesARecordedAddressThatIsNotLoopback) {
  const std::unique_ptr<Engine> engine = MakeEngine();
  PutHost(*engine, "h1", "192.0.2.7", 17071);
  bool destroyed = false;
  absl::Status status = absl::UnknownError("not yet");
  bool drained = false;
  DispatcherHostOptions options = OnLoopback("h1", &destroyed);
  options.address.clear();
  const auto dispatcher =
      engine->AddDispatcher(std::move(options), [&](const absl::Status& result) { status = result; });
  ASSERT_TRUE(dispatcher.ok());
  // Asked for before it is known that it will never serve: it ends all the same.
  (*dispatcher)->Drain(kSecond, [&](const absl::Status&) { drained = true; });
  ASSERT_TRUE(RunUntil(*engine, [&] { return drained; }));
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "192.0.2.7")) << status;
}

TEST(Engine, DispatcherMayBeRemovedInItsOwnCallback) {
  const std::unique_ptr<Engine> engine = MakeEngine();
  bool destroyed = false;
  DispatcherHost* made = nullptr;
  const auto dispatcher = engine->AddDispatcher(OnLoopback("h1", &destroyed),
                                                [&](const absl::Status&) { engine->RemoveDispatcher(made); });
  ASSERT_TRUE(dispatcher.ok());
  made = *dispatcher;
  EXPECT_TRUE(RunUntil(*engine, [&] { return destroyed; }));
}

TEST(Engine, CountsWhatIsReadOfTheCmdb) {
  const std::unique_ptr<Engine> engine = MakeEngine();
  const auto reads = [&] {
    double found = -1;
    engine->ForEachStat([&](const Stat& stat) {
      if (stat.name == std::string_view("fastcontainer_cmdb_reads_total")) found = stat.value;
    });
    return found;
  };
  int answers = 0;
  const auto get = [&] {
    engine->cmdb().Get("/a", ReadMode::kLinearizable, [&](const absl::StatusOr<Record>&) { ++answers; });
  };
  get();  // and what the router asks for at its start
  ASSERT_TRUE(RunUntil(*engine, [&] { return answers == 1; }));
  const double before = reads();
  get();
  engine->cmdb().List("/", "", 0, 1, [&](const absl::StatusOr<ListPage>&) { ++answers; });
  engine->cmdb().Txn({}, {}, 0, [&](const TxnResult&) { ++answers; });
  ASSERT_TRUE(RunUntil(*engine, [&] { return answers == 4; }));
  EXPECT_EQ(reads(), before + 2);
}

TEST(Engine, NumbersOfOneNameComeTogether) {
  const std::unique_ptr<Engine> engine = MakeEngine();
  bool destroyed[2] = {false, false};
  DispatcherHostOptions first = OnLoopback("h1", &destroyed[0]);
  DispatcherHostOptions second = OnLoopback("h\"2", &destroyed[1]);
  first.address = "127.0.0.4";
  second.address = "127.0.0.5";
  int ready = 0;
  ASSERT_TRUE(engine->AddDispatcher(std::move(first), [&](const absl::Status&) { ++ready; }).ok());
  ASSERT_TRUE(engine->AddDispatcher(std::move(second), [&](const absl::Status&) { ++ready; }).ok());
  ASSERT_TRUE(RunUntil(*engine, [&] { return ready == 2; }));
  std::map<std::string, int> runs;
  std::string previous;
  bool escaped = false;
  engine->ForEachStat([&](const Stat& stat) {
    const std::string name(stat.name);
    if (name != previous) ++runs[name];
    previous = name;
    EXPECT_EQ(stat.counter, absl::EndsWith(name, "_total")) << name;
    escaped = escaped || stat.labels == "host=\"h\\\"2\"";
  });
  for (const auto& [name, count] : runs) EXPECT_EQ(count, 1) << name;
  EXPECT_GT(runs.size(), 20u);
  EXPECT_TRUE(escaped);
}

}  // namespace
}  // namespace fastcontainer
