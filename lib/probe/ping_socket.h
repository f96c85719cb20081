// ICMP echo by one non-blocking socket for any number of targets: a datagram "ping" socket or a raw one,
// IPv4 or IPv6. A transport as transport.h says. Needs libc only.
//
// That an own packet filter has dropped the packet is EPERM, but not of a ping socket for IPv6: the kernel
// forgets to tell it (icmpv6_push_pending_frames() in ping_v6_sendmsg()).
#ifndef FASTCONTAINER_LIB_PROBE_PING_SOCKET_H_
#define FASTCONTAINER_LIB_PROBE_PING_SOCKET_H_

#include <stdint.h>

#include "lib/probe/echo_packet.h"
#include "lib/probe/transport.h"

namespace fastcontainer {

class PingSocket {
 public:
  PingSocket() = default;
  ~PingSocket();
  PingSocket(const PingSocket&) = delete;
  PingSocket& operator=(const PingSocket&) = delete;

  // `mechanism` is kIcmpDatagram or kIcmpRaw. 0 or an errno; EPERM, EACCES: not permitted, and problem() says
  // what would allow it.
  int Open(sa_family_t family, ProbeMechanism mechanism, int receive_buffer);
  const char* problem() const { return problem_; }

  int fd() const { return fd_; }
  uint16_t id() const { return id_; }  // the ICMP identifier; a ping socket's is the kernel's choice

  int Send(const Outgoing& out);
  int Receive(Answer* out);
  int ReceiveFailure(Failure* out);
  void Forget(const PacketTag&) {}

  static constexpr uint32_t kMany = 64;
  // At most kMany packets with the same options, in one system call. How many have left; 0: *error is what
  // Send() would have returned for the first.
  uint32_t SendMany(const Outgoing* out, uint32_t count, int* error);
  // Room for kMany. How many were read; 0: *error is what Receive() would have returned. Those that are
  // nobody's answer are `from` AF_UNSPEC.
  uint32_t ReceiveMany(Answer* out, int* error);

  // Of an IPv4 echo request with this tag, as Failure::checksum has it.
  uint16_t ChecksumOf(uint16_t sequence, const PacketTag& tag) const;

 private:
  bool TakeIdentifier();
  bool SetFilters();
  bool SetOptions(int receive_buffer);
  void Explain(ProbeMechanism mechanism, int error);
  int ShapeFor(const PacketOptions& options);
  bool Decode(const uint8_t* data, size_t length, Answer* out) const;
  int SendShaped(const Outgoing& out, const uint8_t (&packet)[kEchoLength]);

  int fd_ = -1;
  sa_family_t family_ = AF_UNSPEC;
  bool has_ip_header_ = false;  // in what is received: raw IPv4
  bool dont_fragment_ = false;
  uint16_t id_ = 0;
  char problem_[240] = "";
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_PROBE_PING_SOCKET_H_
