// Probes by UDP datagrams whose payload is the prober's tag. Needs no capability, and libc only.
//
// What counts as an answer, from the address and port that were asked, to the port that asked:
// * a datagram that begins with the tag (RFC 862 echo services): up. The cookie in it cannot be guessed.
// * any other datagram, but only if the packet was given a source port of its own (options.source) and a
// single
//   probe is open from that port to that target: up. A forger has to know the port; whoever asks for a fixed
//   one gives that up. At the prober's own long-lived port, which an outsider can find out by scanning, such
//   datagrams count for nothing.
// * ICMP port unreachable, sent by the target itself: up, port closed. Sent by another, or another error:
//   unreachable. Both quote the packet: its tag, or where the quotation is short, its ports (RFC 792).
#ifndef FASTCONTAINER_LIB_PROBE_UDP_SOCKETS_H_
#define FASTCONTAINER_LIB_PROBE_UDP_SOCKETS_H_

#include <sys/epoll.h>

#include <cstdint>

#include "lib/probe/control.h"
#include "lib/probe/open_packets.h"
#include "lib/probe/transport.h"

namespace fastcontainer {

// False: too short for one.
bool DecodeTag(const uint8_t* data, size_t length, PacketTag* out);

class UdpSockets {
 public:
  // Sockets for source ports that were asked for; past that, the one used least recently is closed, and its
  // answers are lost.
  static constexpr uint32_t kSweepSockets = 64;

  UdpSockets() = default;
  ~UdpSockets();
  UdpSockets(const UdpSockets&) = delete;
  UdpSockets& operator=(const UdpSockets&) = delete;

  // One socket for each family that the machine has. 0 or an errno.
  int Open();
  const char* problem() const { return problem_; }
  int fd() const { return epoll_; }

  // The target's port must not be 0.
  int Send(const Outgoing& packet);
  int Receive(Answer* out);
  int ReceiveFailure(Failure* out);
  void Forget(const PacketTag& tag);

  uint32_t open_packets() const { return packets_.size(); }
  // Packets that the kernel dropped because a receive buffer was full, of the sockets that are open.
  uint64_t lost() const;

 private:
  static constexpr uint32_t kShared = 2;  // IPv4, IPv6
  static constexpr uint32_t kSockets = kShared + kSweepSockets;
  static constexpr uint32_t kNoSocket = UINT32_MAX;

  struct Socket {
    int fd;
    sa_family_t family;
    uint16_t port;  // in network byte order
    bool dont_fragment;
    bool has_errors;  // on its error queue
    uint64_t used;
  };

  int OpenSocket(uint32_t place, sa_family_t family, uint16_t port);
  int ChooseSocket(const Outgoing& packet, uint32_t* out);
  uint32_t NextReadable();
  uint32_t FindByContent(const Received& received, uint16_t port) const;
  uint32_t FindByPorts(const SocketAddress& target, uint16_t port, bool only_one_probe) const;

  int epoll_ = -1;
  Socket sockets_[kSockets] = {};
  uint32_t socket_count_ = 0;
  uint64_t uses_ = 0;
  epoll_event events_[kSockets];
  int event_count_ = 0;
  int next_event_ = 0;
  OpenPackets packets_;
  char problem_[120] = "";
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_PROBE_UDP_SOCKETS_H_
