// Asks a starting container again and again whether it answers yet.
#ifndef FASTCONTAINER_LIB_RUNTIME_READY_H_
#define FASTCONTAINER_LIB_RUNTIME_READY_H_

#include <cstdint>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "fastcontainer/address.h"
#include "fastcontainer/clock.h"
#include "fastcontainer/reactor.h"
#include "lib/runtime/unique_fd.h"

namespace fastcontainer {

// OK if nobody listens at the address; ResourceExhausted if it is in use, InvalidArgument if it is not one of
// this machine's. Asked before a start, so that somebody else's answer is not taken for readiness.
absl::Status CheckAddressFree(const Address& address);

// From construction until it is ready or destroyed. An HTTP answer with a status below 500 to `GET path`, or,
// with an empty path, an accepted TCP connection makes it ready.
class ReadinessProbe {
 public:
  using Callback = absl::AnyInvocable<void()>;
  // `ready` runs once, on the loop; it may destroy the probe.
  ReadinessProbe(Reactor& reactor, const Address& address, std::string path, Callback ready);
  ~ReadinessProbe();
  ReadinessProbe(const ReadinessProbe&) = delete;
  ReadinessProbe& operator=(const ReadinessProbe&) = delete;

 private:
  void Try();
  void OnSocket(uint32_t events);
  bool Connected();
  void ReadAnswer();
  void Retry();
  void TryLater();
  void Succeed();
  void CloseSocket();

  Reactor& reactor_;
  const Address address_;
  const std::string path_;
  Callback ready_;
  const Nanos began_;
  UniqueFd socket_;
  bool asked_ = false;  // the request has been sent
  std::string answer_;
  Reactor::TimerId timer_ = 0;  // the next try, or the end of this one
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_RUNTIME_READY_H_
