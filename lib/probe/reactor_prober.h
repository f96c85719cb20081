// The Prober of a real process: a ProberCore on a reactor.
#ifndef FASTCONTAINER_LIB_PROBE_REACTOR_PROBER_H_
#define FASTCONTAINER_LIB_PROBE_REACTOR_PROBER_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fastcontainer/prober.h"
#include "fastcontainer/reactor.h"
#include "lib/probe/prober_core.h"

namespace fastcontainer {

class ReactorProber final : public Prober {
 public:
  // `reactor` must outlive it. Not being permitted to send ICMP is no error, see Prober::Probe(). Errors:
  // what else socket() and epoll_ctl() may say.
  static absl::StatusOr<std::unique_ptr<ReactorProber>> Open(Reactor& reactor);
  // Callbacks that wait never run. Not from a callback.
  ~ReactorProber() override;
  ReactorProber(const ReactorProber&) = delete;
  ReactorProber& operator=(const ReactorProber&) = delete;

  ProbeId Probe(const Address& host, const ProbeOptions& options, Callback callback) override;
  bool Cancel(ProbeId id) override;
  ProbeMechanism mechanism() const override { return mechanism_; }
  void NoteAlive(const Address& host, Nanos rtt) override;
  absl::Status NoteConnection(int fd) override;
  // Why mechanism() is kNone and what to do about it; else empty.
  const std::string& problem() const { return problem_; }

 private:
  // One submitted probe; `user_data` of the core's.
  struct Waiting {
    ReactorProber* prober;
    Callback callback;
  };

  explicit ReactorProber(Reactor& reactor) : reactor_(reactor) {}
  static void OnResult(const ProbeCompletion& completion, const ProbeResult& result);
  void Process();
  void ArmTimer();

  Reactor& reactor_;
  ProberCore core_;
  ProbeMechanism mechanism_ = ProbeMechanism::kNone;
  std::string problem_;
  std::deque<Waiting> waiting_;  // grows only: pointers into it stay good
  std::vector<Waiting*> unused_;
  bool processing_ = false;
  Reactor::TimerId timer_ = 0;
  Nanos timer_at_ = kForever;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_PROBE_REACTOR_PROBER_H_
