// Asks dispatchers whether they answer: an authenticated ECHO, repeated until it is answered or its deadline
// has passed. Slower and less sure than ICMP, since a busy process answers late; so its deadline is longer,
// and a loop that stood still itself gives another one.
#ifndef FASTCONTAINER_LIB_ROUTER_ECHO_PROBER_H_
#define FASTCONTAINER_LIB_ROUTER_ECHO_PROBER_H_

#include <cstdint>
#include <memory>

#include "absl/container/flat_hash_map.h"
#include "fastcontainer/prober.h"
#include "fastcontainer/reactor.h"
#include "lib/dispatch/channel.h"

namespace fastcontainer {

class EchoProber final : public Prober {
 public:
  // Both outlive it. Callbacks of open probes do not run any more when it is destroyed.
  EchoProber(Reactor& reactor, Channel& channel) : reactor_(reactor), channel_(channel) {}
  ~EchoProber() override;

  // `dispatcher` with its port. Of the options only the deadline counts. kUp; kUpPortClosed (ECONNREFUSED):
  // nobody listens there; kDownTimeout.
  ProbeId Probe(const Address& dispatcher, const ProbeOptions& options, Callback callback) override;
  bool Cancel(ProbeId id) override;
  ProbeMechanism mechanism() const override { return ProbeMechanism::kEcho; }

  // From the channel. Callbacks run inside.
  void OnEchoOk(const Address& from, const Message& message);
  void OnRefused(const Address& to);

 private:
  struct Open {
    Address dispatcher;
    Nanos started = 0;
    Nanos length = 0;
    Nanos deadline = 0;
    Nanos stall = 0;
    uint8_t tries = 0;
    Reactor::TimerId again = 0, end = 0;
    Callback callback;
  };

  void Send(ProbeId id, Open& open);
  void ArmEnd(ProbeId id, Open& open);
  void Finish(ProbeId id, Verdict verdict, int error);

  Reactor& reactor_;
  Channel& channel_;
  ProbeId next_ = 1;
  absl::flat_hash_map<ProbeId, std::unique_ptr<Open>> open_;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_ROUTER_ECHO_PROBER_H_
