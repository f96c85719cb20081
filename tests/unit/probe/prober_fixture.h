// A ProberCore in a network namespace, on clocks that the test can move.
#ifndef FASTCONTAINER_TESTS_UNIT_PROBE_PROBER_FIXTURE_H_
#define FASTCONTAINER_TESTS_UNIT_PROBE_PROBER_FIXTURE_H_

#include <algorithm>
#include <functional>
#include <list>
#include <optional>

#include "lib/probe/prober_core.h"
#include "tests/unit/probe/net_namespace.h"

namespace fastcontainer {

constexpr int64_t kMs = 1'000'000;

// What the prober's clocks are ahead of the kernel's. Both moved: the loop was away for so long.
// CLOCK_REALTIME alone: somebody has set it.
inline int64_t monotonic_ahead = 0;
inline int64_t realtime_ahead = 0;

inline int64_t TestClock(clockid_t id) {
  return ProberCore::SystemClock(id) + (id == CLOCK_MONOTONIC ? monotonic_ahead : realtime_ahead);
}

// An echo request to 127.0.0.1.
inline int SendEcho(PingSocket* socket, uint16_t sequence, const PacketTag& tag) {
  SocketAddress target;
  target.v4 = Ipv4("127.0.0.1");
  const PacketOptions options;
  Outgoing out;
  out.target = &target;
  out.options = &options;
  out.sequence = sequence;
  out.tag = tag;
  return socket->Send(out);
}

class ProberTest : public NetNamespace {
 protected:
  struct Probe {
    uint64_t id = 0;
    int calls = 0;
    int64_t called_at = 0;
    ProbeResult result;
    std::function<void()> then;
  };

  void SetUp() override {
    monotonic_ahead = realtime_ahead = 0;
    NetNamespace::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    ASSERT_EQ(prober_.Open(), 0) << prober_.problem();
    WaitForStamps();
  }

  static void Stall(int64_t length) {
    monotonic_ahead += length;
    realtime_ahead += length;
  }
  void StallUntil(int64_t at) {
    const int64_t now = TestClock(CLOCK_MONOTONIC);
    if (at > now) Stall(at - now);
  }

  Probe& Submit(const char* target, const ProbeOptions& options = ProbeOptions()) {
    return Submit(Ipv4(target), options);
  }
  Probe& Submit(const sockaddr_in& target, const ProbeOptions& options = ProbeOptions()) {
    return SubmitBy(&prober_, target, options);
  }
  Probe& SubmitBy(ProberCore* prober, const sockaddr_in& target, const ProbeOptions& options) {
    Probe& probe = probes_.emplace_back();
    ProbeCompletion completion;
    completion.run = [](const ProbeCompletion& self, const ProbeResult& result) {
      auto* const done = static_cast<Probe*>(self.user_data);
      ++done->calls;
      done->called_at = TestClock(CLOCK_MONOTONIC);
      done->result = result;
      if (done->then) done->then();
    };
    completion.user_data = &probe;
    probe.id =
        prober->Submit(reinterpret_cast<const sockaddr*>(&target), sizeof(target), options, completion);
    EXPECT_NE(probe.id, 0u);
    EXPECT_EQ(probe.calls, 0) << "called back inside Submit()";
    return probe;
  }

  // As an event loop does, until nothing is open.
  void RunToTheEnd() {
    while (prober_.NextDeadline() != INT64_MAX) {
      const int64_t left = std::max<int64_t>(prober_.NextDeadline() - TestClock(CLOCK_MONOTONIC), 0);
      const timespec timeout = {left / 1'000'000'000, left % 1'000'000'000};
      pollfd p = {prober_.fd(), POLLIN, 0};
      ppoll(&p, 1, &timeout, nullptr);
      prober_.Process();
    }
  }

  // The one echo request that has arrived since the last look.
  std::vector<uint8_t> TakeRequest() {
    const auto requests = raw_->TakeRequests();
    EXPECT_EQ(requests.size(), 1u);
    return requests.empty() ? std::vector<uint8_t>(kEchoLength) : requests.front();
  }
  // Hosts fall silent, and their packets are kept for TakeRequest().
  void Silence() {
    IgnoreEchoes(true);
    raw_.emplace();
  }
  bool SocketHasSomething() const {
    pollfd p = {prober_.fd(), POLLIN, 0};
    return poll(&p, 1, 0) > 0;
  }

  std::list<Probe> probes_;
  std::optional<RawIcmp> raw_;
  ProberCore prober_{&TestClock};

 private:
  // The kernel begins to stamp packets some time after the first socket has asked for it.
  static void WaitForStamps() {
    PingSocket socket;
    ASSERT_EQ(socket.Open(AF_INET, ProbeMechanism::kIcmpDatagram, 1 << 16), 0);
    for (;;) {
      ASSERT_EQ(SendEcho(&socket, 1, {}), 0);
      const int64_t before = ProberCore::SystemClock(CLOCK_REALTIME);
      Answer answer;
      if (socket.Receive(&answer) == 0 && answer.stamp < before) return;
      sched_yield();
    }
  }
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_TESTS_UNIT_PROBE_PROBER_FIXTURE_H_
