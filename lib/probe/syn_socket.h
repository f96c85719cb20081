// Half-open TCP probes of one family: a SYN from a raw socket, whose answer says whether the host is there
// and the port open, while the service never hears of it. Needs CAP_NET_RAW, and libc only.
//
// The answer is matched by both hosts, both ports and the acknowledged sequence number, which is random for
// each packet. The ports are reserved by sockets that are bound and never listen, so no connection of this
// machine has them, and the kernel itself answers each SYN+ACK with a reset: that is what clears the
// half-open connection at the target. Where a packet filter of this machine drops such resets the verdict is
// the same, but the target keeps an entry, for a minute with Linux, in which it leaves a further SYN from the
// same port unanswered. Packets therefore take turns at several ports; a probe's hedges never share one.
#ifndef FASTCONTAINER_LIB_PROBE_SYN_SOCKET_H_
#define FASTCONTAINER_LIB_PROBE_SYN_SOCKET_H_

#include <cstdint>

#include "lib/probe/control.h"
#include "lib/probe/open_packets.h"
#include "lib/probe/tcp_packet.h"
#include "lib/probe/transport.h"

namespace fastcontainer {

class SynSocket {
 public:
  // The ports of options.source whose answers are let in: the ones used last.
  static constexpr uint32_t kSweepPorts = 64;

  SynSocket() = default;
  ~SynSocket();
  SynSocket(const SynSocket&) = delete;
  SynSocket& operator=(const SynSocket&) = delete;

  // AF_INET or AF_INET6. 0 or an errno; EPERM: not permitted.
  int Open(sa_family_t family);
  const char* problem() const { return problem_; }
  int fd() const { return fd_; }

  // The target's port must not be 0.
  int Send(const Outgoing& packet);
  int Receive(Answer* out);
  int ReceiveFailure(Failure* out);
  void Forget(const PacketTag& tag);

  uint32_t open_packets() const { return packets_.size(); }

 private:
  static constexpr uint32_t kOwnPorts = 4;
  static constexpr uint32_t kSources = 16;
  static constexpr uint32_t kRandom = 64;

  struct Port {
    uint16_t number;  // network byte order; 0: none
    uint64_t used;
  };
  struct Source {
    SocketAddress target;
    uint32_t interface;
    in_addr own;
    Nanos until;
  };

  int OpenSocket();
  int ReservePorts();
  int AttachFilter();
  int ChoosePort(const PacketOptions& options, uint16_t* out);
  int ChooseSource(const Outgoing& packet, SocketAddress* out);
  int Transmit(const Outgoing& packet, uint32_t index);
  bool NextSequence(uint32_t* out);
  uint32_t Find(const SocketAddress& host, uint16_t port, uint16_t own_port, uint32_t sequence) const;

  sa_family_t family_ = AF_UNSPEC;
  int fd_ = -1;
  int reserved_[kOwnPorts] = {-1, -1, -1, -1};
  uint16_t own_ports_[kOwnPorts] = {};
  uint32_t next_port_ = 0;
  Port sweep_[kSweepPorts] = {};
  uint64_t uses_ = 0;
  Source sources_[kSources] = {};
  uint32_t random_[kRandom] = {};
  uint32_t random_left_ = 0;
  OpenPackets packets_;
  char problem_[160] = "";
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_PROBE_SYN_SOCKET_H_
