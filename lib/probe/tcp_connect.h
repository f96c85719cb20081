// Probes by TCP handshakes that the kernel makes: needs no capability, finds out whether the port is open,
// and disturbs the service there with a connection that is reset at once. Needs libc only.
//
// A handshake takes a socket of its own, so the number of packets that are open at once is bounded by
// RLIMIT_NOFILE; past that Send() is EMFILE. All are in one epoll descriptor. The round trip of a handshake
// is the kernel's own measurement (TCP_INFO); a refusal carries no time at all, so that of the loop has to
// do.
#ifndef FASTCONTAINER_LIB_PROBE_TCP_CONNECT_H_
#define FASTCONTAINER_LIB_PROBE_TCP_CONNECT_H_

#include <sys/epoll.h>

#include <cstdint>

#include "lib/probe/control.h"
#include "lib/probe/open_packets.h"
#include "lib/probe/transport.h"

namespace fastcontainer {

class ConnectSockets {
 public:
  ConnectSockets() = default;
  ~ConnectSockets();
  ConnectSockets(const ConnectSockets&) = delete;
  ConnectSockets& operator=(const ConnectSockets&) = delete;

  // 0 or an errno.
  int Open();
  const char* problem() const { return problem_; }
  int fd() const { return epoll_; }

  // The target's port must not be 0. No packet stays behind after an error.
  int Send(const Outgoing& packet);
  // An error that is returned here has closed the socket and waits for ReceiveFailure(), of which fd() says
  // nothing any more.
  int Receive(Answer* out);
  int ReceiveFailure(Failure* out);
  void Forget(const PacketTag& tag);

  uint32_t open_packets() const { return packets_.size(); }

 private:
  static constexpr int kEvents = 64;

  int Begin(const Outgoing& packet, int fd, int* refused);
  int Settle(uint32_t index, Answer* out);
  int SettleError(uint32_t index, int error, Answer* out);
  void AnswerFor(const OpenPacket& packet, Verdict verdict, Answer* out) const;
  bool ReserveFailures(uint32_t count);
  void Close(uint32_t index);

  int epoll_ = -1;
  OpenPackets packets_;
  epoll_event events_[kEvents];
  int event_count_ = 0;
  int next_event_ = 0;
  Failure* failures_ = nullptr;  // has room for each open packet's
  uint32_t failure_count_ = 0;
  uint32_t failure_room_ = 0;
  char problem_[120] = "";
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_PROBE_TCP_CONNECT_H_
