// A dispatcher among fakes: virtual time, memory CMDB, a runtime that starts nothing, routers that only ask.
#ifndef FASTCONTAINER_TESTS_UNIT_DISPATCHER_FIXTURE_H_
#define FASTCONTAINER_TESTS_UNIT_DISPATCHER_FIXTURE_H_

#include <gtest/gtest.h>
#include <xxhash.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lib/cmdb/memory.h"
#include "lib/dispatcher/dispatcher.h"
#include "tests/unit/dispatch/fake_datagrams.h"
#include "tests/unit/fake_reactor.h"

namespace fastcontainer {

class FakeRuntime final : public Runtime {
 public:
  struct Instance {
    StartRequest request;
    bool ready = false;
    bool stopping = false;
    StartCallback started;
    StopCallback stopped;
  };
  explicit FakeRuntime(FakeReactor& reactor) : reactor_(reactor) {}

  void Start(const StartRequest& request, StartCallback callback) override {
    starts.push_back(request);
    Instance& instance = instances[request.instance];
    instance.request = request;
    instance.started = std::move(callback);
    if (start_time == kForever) return;
    reactor_.After(start_time, [this, id = request.instance, status = next_start] { Started(id, status); });
  }
  void Stop(const InstanceId& id, Nanos grace, StopCallback callback) override {
    last_grace = grace;
    const auto found = instances.find(id);
    if (found == instances.end()) {
      reactor_.Defer([callback = std::move(callback)]() mutable { callback(absl::NotFoundError("no")); });
      return;
    }
    found->second.stopping = true;
    found->second.stopped = std::move(callback);
    reactor_.After(stop_time, [this, id] { Stopped(id); });
  }
  void Recover(RecoverCallback callback) override {
    for (const RunningInstance& found : recovered) {
      Instance& instance = instances[found.instance];
      instance.ready = found.ready;
      instance.request.container = found.container;
      instance.request.epoch = found.epoch;
    }
    reactor_.Defer([this, callback = std::move(callback)]() mutable { callback(recovered); });
  }
  void OnExit(ExitCallback callback) override { exit_ = std::move(callback); }
  absl::Status GuardSingle(Nanos until) override {
    guarded_until = until;
    return guard;
  }

  void Exit(const InstanceId& id, const std::string& reason) {
    instances.erase(id);
    exit_({id, reason});
  }
  // The only instance of this container that runs, "" if there is none.
  InstanceId Of(const std::string& container) const {
    for (const auto& [id, instance] : instances)
      if (instance.request.container == container) return id;
    return "";
  }

  std::map<InstanceId, Instance> instances;  // starting, running or stopping
  std::vector<StartRequest> starts;
  std::vector<RunningInstance> recovered;
  Nanos start_time = 50 * kMillisecond;
  Nanos stop_time = 20 * kMillisecond;
  absl::Status next_start;
  absl::Status guard;
  Nanos guarded_until = 0;
  Nanos last_grace = -1;

 private:
  void Started(const InstanceId& id, const absl::Status& status) {
    const auto found = instances.find(id);
    if (found == instances.end() || found->second.stopping) return;
    found->second.ready = status.ok();
    StartCallback callback = std::move(found->second.started);
    if (!status.ok()) instances.erase(found);
    callback(status);
  }
  void Stopped(const InstanceId& id) {
    const auto found = instances.find(id);
    if (found == instances.end()) return;
    StopCallback stopped = std::move(found->second.stopped);
    StartCallback started = found->second.ready ? nullptr : std::move(found->second.started);
    instances.erase(found);
    if (started) started(absl::CancelledError("stopped"));
    stopped(absl::OkStatus());
  }

  FakeReactor& reactor_;
  ExitCallback exit_;
};

// Asks, and keeps what it is answered.
class FakeRouter {
 public:
  FakeRouter(FakeDatagrams& net, const std::string& address, const Address& dispatcher)
      : dispatcher_(dispatcher), channel_(net.Open(*Address::Parse(address)), {}, address, 1) {
    channel_.SetCallbacks(
        [this](const Address&, const PeerId&, const Message& message) { got.push_back(message); }, nullptr);
  }
  void Ask(MessageType type, const std::string& container, uint64_t epoch, Message message = {}) {
    message.type = type;
    message.container = container;
    message.epoch = epoch;
    if (message.request_id == 0) message.request_id = ++last_id;
    channel_.Send(dispatcher_, message);
  }
  void Acquire(const std::string& container, uint64_t epoch, uint32_t waiting = 1, bool suspect = false) {
    Message m;
    m.waiting = waiting;
    m.suspect = suspect;
    Ask(MessageType::kAcquire, container, epoch, m);
  }
  void Renew(const Message& grant, uint32_t open, uint32_t waiting = 0, uint64_t busy_ns = 0) {
    Tickets(MessageType::kRenew, grant, open, waiting, busy_ns);
  }
  void Release(const Message& grant, uint32_t open = 0) { Tickets(MessageType::kRelease, grant, open, 0, 0); }
  size_t Count(MessageType type) const {
    size_t count = 0;
    for (const Message& m : got) count += m.type == type ? 1u : 0u;
    return count;
  }
  // The last message, which is expected to be of this type.
  const Message& Last(MessageType type) const {
    static const Message kNone;
    if (got.empty() || got.back().type != type) {
      ADD_FAILURE() << "the last message is of type " << (got.empty() ? 0 : static_cast<int>(got.back().type))
                    << ", not " << static_cast<int>(type);
      return kNone;
    }
    return got.back();
  }

  std::vector<Message> got;
  uint64_t last_id = 0;

 private:
  void Tickets(MessageType type, const Message& grant, uint32_t open, uint32_t waiting, uint64_t busy_ns) {
    Message m;
    m.instance = grant.instance;
    m.slots = grant.slots;
    m.open = open;
    m.waiting = waiting;
    m.busy_ns = busy_ns;
    Ask(type, grant.container, grant.epoch, m);
  }
  const Address dispatcher_;
  Channel channel_;
};

class DispatcherTest : public testing::Test {
 protected:
  DispatcherTest()
      : store(std::make_shared<MemoryStore>()),
        cmdb(store, reactor),
        runtime(reactor),
        r1(net, "127.0.0.2:1", at),
        r2(net, "127.0.0.3:1", at) {
    options.host = "h1";
    options.address = *Address::Parse("10.0.0.1");
    options.load = [this] { return machine; };
    log = [this](LogLevel level, std::string_view, std::string_view message) {
      logged.push_back(absl::StrCat(level == LogLevel::kInfo ? "" : "! ", std::string(message)));
    };
    options.port_is_free = [](const Address&) { return true; };
    options.check = [this](const Address&, Nanos, absl::AnyInvocable<void(bool)> callback) {
      ++checks;
      reactor.Defer([this, callback = std::move(callback)]() mutable { callback(listens); });
    };
  }

  void Begin() {
    Make();
    dispatcher->Start([this](absl::Status status) { started.push_back(status); });
    Settle();
  }
  void Make() {
    dispatcher =
        std::make_unique<Dispatcher>(reactor, cmdb,
                                     std::make_unique<Channel>(net.Open(at), std::vector<ClusterKey>{}, "h1",
                                                               static_cast<uint64_t>(reactor.WallNow())),
                                     runtime, &hook, &log, options);
  }
  // Lets everything happen that needs no time to pass.
  void Settle() {
    do reactor.Run();
    while (net.Deliver() != 0 || reactor.Run() != 0 || !net.sent.empty());
  }
  void Advance(Nanos by) {
    const Nanos end = reactor.Now() + by;
    Settle();
    while (reactor.NextDeadline() <= end) {
      reactor.AdvanceTo(reactor.NextDeadline());
      Settle();
    }
    reactor.AdvanceTo(end);
    Settle();
  }
  void PutSpec(const std::string& container, const std::string& fields = "") {
    store->Put(RecordKey(RecordKind::kSpec, container),
               absl::StrCat(R"({"v":1,"command":["serve"])", fields.empty() ? "" : ",", fields, "}"));
  }
  void Place(const std::string& container, const std::string& host, uint64_t epoch, bool deleted = false) {
    Placement placement;
    Replica replica;
    replica.epoch = epoch;
    replica.host = host;
    replica.op = "op";
    placement.replicas.push_back(replica);
    placement.deleted = deleted;
    store->Put(RecordKey(RecordKind::kPlacement, container), EncodePlacement(placement));
  }
  // A container that runs, with a lease of r1, whose last message is the grant.
  Message Run(const std::string& container, const std::string& fields = "", uint32_t waiting = 1) {
    PutSpec(container, fields);
    Place(container, "h1", 1);
    r1.Acquire(container, 1, waiting);
    Advance(runtime.start_time);
    return r1.Last(MessageType::kGrant);
  }

  FakeReactor reactor;
  FakeDatagrams net;
  std::shared_ptr<MemoryStore> store;
  MemoryCmdb cmdb;
  FakeRuntime runtime;
  const Address at = *Address::Parse("127.0.0.1:7070");
  FakeRouter r1;
  FakeRouter r2;
  DispatcherOptions options;
  LoadReport machine;
  Hook hook;
  LogSink log;
  std::vector<std::string> logged;  // with "! " before what is more than information
  bool listens = true;
  int checks = 0;
  std::vector<absl::Status> started;
  std::unique_ptr<Dispatcher> dispatcher;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_TESTS_UNIT_DISPATCHER_FIXTURE_H_
