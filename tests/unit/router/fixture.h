// A router among fakes: virtual time, memory CMDB, hosts that always answer, one dispatcher that a test
// commands.
#ifndef FASTCONTAINER_TESTS_UNIT_ROUTER_FIXTURE_H_
#define FASTCONTAINER_TESTS_UNIT_ROUTER_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "fastcontainer/policy.h"
#include "fastcontainer/records.h"
#include "lib/cmdb/memory.h"
#include "lib/router/router.h"
#include "tests/unit/dispatch/fake_datagrams.h"
#include "tests/unit/fake_reactor.h"

namespace fastcontainer {

class UpProber final : public Prober {
 public:
  explicit UpProber(Reactor& reactor) : reactor_(reactor) {}
  ProbeId Probe(const Address&, const ProbeOptions&, Callback callback) override {
    return reactor_.After(kMicrosecond, [callback = std::move(callback)]() mutable {
      ProbeResult result;
      result.verdict = Verdict::kUp;
      result.rtt = kMicrosecond;
      callback(result);
    });
  }
  bool Cancel(ProbeId id) override { return reactor_.CancelTimer(id); }
  ProbeMechanism mechanism() const override { return ProbeMechanism::kIcmpDatagram; }

 private:
  Reactor& reactor_;
};

// Keeps what it is asked and when; answers ACQUIRE with `answer`, RENEW with GRANT.
class FakeDispatcher {
 public:
  struct Question {
    Nanos at;
    Message message;
  };
  FakeDispatcher(FakeDatagrams& net, const Address& at, const Reactor& reactor)
      : reactor_(reactor), channel_(net.Open(at), {}, "h1", 1) {
    channel_.SetCallbacks(
        [this](const Address& from, const PeerId&, const Message& message) { OnMessage(from, message); },
        nullptr);
  }
  std::vector<Question> Of(MessageType type, Nanos since = 0) const {
    std::vector<Question> found;
    for (const Question& question : asked)
      if (question.message.type == type && question.at >= since) found.push_back(question);
    return found;
  }

  uint64_t InstanceOf(const std::string& container) const {
    return std::hash<std::string>()(absl::StrCat(container, runs)) | 1;
  }

  void Send(const Address& router, const Message& message) { channel_.Send(router, message); }

  std::vector<Question> asked;
  MessageType answer = MessageType::kGrant;
  Nanos retry_after = 0;
  bool silent = false;
  bool overloaded = false;
  int runs = 1;  // each has instances of its own

 private:
  void OnMessage(const Address& from, const Message& message) {
    asked.push_back({reactor_.Now(), message});
    if (silent) return;
    Message reply = message;
    reply.type = message.type == MessageType::kEcho      ? MessageType::kEchoOk
                 : message.type == MessageType::kAcquire ? answer
                                                         : MessageType::kGrant;
    reply.instance = InstanceOf(message.container);
    reply.address = *Address::Parse("127.0.0.1:20000");
    reply.slots = 1000;
    reply.lease = 5 * kSecond;
    reply.retry_after = retry_after;
    reply.load.overloaded = overloaded;
    if (message.type != MessageType::kRelease) channel_.Send(from, reply);
  }
  const Reactor& reactor_;
  Channel channel_;
};

// One request: its ticket, or why it got none, and when.
struct Asked {
  RouteCode code = RouteCode::kPending;
  Ticket ticket;
  Nanos answered = 0;
  const Reactor* reactor = nullptr;

  static void OnRoute(void* user_data, RouteCode code, const Ticket* ticket, const RouteError*) {
    auto& asked = *static_cast<Asked*>(user_data);
    asked.code = code;
    if (ticket != nullptr) asked.ticket = *ticket;
    asked.answered = asked.reactor->Now();
  }
};

class RouterTest : public testing::Test {
 protected:
  RouterTest()
      : store(std::make_shared<MemoryStore>()), cmdb(store, reactor), prober(reactor), h1(net, at, reactor) {
    PutHost("h1", at);
    options.name = "router";
    options.freshness = kSecond;
  }
  // Whoever still waits is told before its Asked goes.
  void TearDown() override { router.reset(); }
  void PutHost(const std::string& name, const Address& dispatcher) {
    Host host;
    host.incarnation = 1;
    host.address = dispatcher.WithPort(0).ToString();
    host.dispatcher_port = dispatcher.port;
    store->Put(RecordKey(RecordKind::kHost, name), EncodeHost(host));
  }
  // Containers "c0" to "c<count-1>" on h1, each the key of its own name.
  void PutContainers(int count) {
    Placement placement;
    Replica replica;
    replica.epoch = 1;
    replica.host = "h1";
    replica.op = "op";
    placement.replicas.push_back(replica);
    for (int i = 0; i < count; ++i) {
      const std::string name = absl::StrCat("c", i);
      store->Put(RecordKey(RecordKind::kSpec, name), R"({"v":1,"command":["serve"],"concurrency":1000})");
      store->Put(RecordKey(RecordKind::kPlacement, name), EncodePlacement(placement));
      store->Put(RecordKey(RecordKind::kKey, name), EncodeKey({name}));
    }
  }
  void Begin() {
    router = std::make_unique<Router>(RouterPorts{reactor, cmdb, prober, &policy},
                                      std::make_unique<Channel>(net.Open(*Address::Parse("127.0.0.2:1")),
                                                                std::vector<ClusterKey>{}, "router", 1),
                                      options);
    Settle();
  }
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
  void Route(const std::string& key, Asked* asked) {
    asked->reactor = &reactor;
    RouteOp op = 0;
    asked->code = router->Route(key, {}, &asked->ticket, &op, &Asked::OnRoute, asked);
  }
  // Ends the attempt with `outcome`, nothing having been written, and asks for the next one.
  void Retry(Asked* asked, Outcome outcome) {
    Attempt attempt;
    attempt.outcome = outcome;
    const TicketId id = asked->ticket.id;
    RouteOp op = 0;
    asked->code = router->Retry(id, attempt, {}, &asked->ticket, &op, &Asked::OnRoute, asked);
  }

  FakeReactor reactor;
  FakeDatagrams net;
  std::shared_ptr<MemoryStore> store;
  MemoryCmdb cmdb;
  UpProber prober;
  KeyedChoices policy;
  const Address at = *Address::Parse("127.0.0.1:7070");
  FakeDispatcher h1;
  RouterOptions options;
  std::unique_ptr<Router> router;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_TESTS_UNIT_ROUTER_FIXTURE_H_
