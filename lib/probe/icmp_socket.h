// One non-blocking ICMP socket for any number of targets: a datagram "ping" socket where the machine allows
// it, a raw socket else. Needs libc only.
#ifndef FASTCONTAINER_LIB_PROBE_ICMP_SOCKET_H_
#define FASTCONTAINER_LIB_PROBE_ICMP_SOCKET_H_

#include <netinet/in.h>
#include <stdint.h>

#include "lib/probe/echo_packet.h"

namespace fastcontainer {

// The numbers are those of ProbeMechanism and FC_PROBE_.
enum class IcmpMechanism : uint8_t { kNone = 0, kDatagram = 1, kRaw = 2 };

struct IcmpReply {
  in_addr from{};
  int64_t stamp = 0;  // CLOCK_REALTIME ns at which the kernel took the packet in; 0: it did not say
  Echo echo;
};

struct IcmpFailure {
  int error = 0;  // the errno that the kernel makes of it
  uint8_t type = 0;
  uint8_t code = 0;
  in_addr destination{};  // of the packet that failed
  Echo quoted;
};

class IcmpSocket {
 public:
  IcmpSocket() = default;
  ~IcmpSocket();
  IcmpSocket(const IcmpSocket&) = delete;
  IcmpSocket& operator=(const IcmpSocket&) = delete;

  // 0 or an errno; problem() then says what to do about it. EPERM, EACCES: neither socket is permitted.
  int Open();
  const char* problem() const { return problem_; }

  int fd() const { return fd_; }
  IcmpMechanism mechanism() const { return mechanism_; }
  uint16_t id() const { return id_; }  // the ICMP identifier; a ping socket's is the kernel's choice

  // 0 or an errno: that of this packet, or one that an earlier packet left on the socket.
  int Send(const in_addr& target, const uint8_t (&packet)[kEchoLength]);
  // 0; ENOMSG: read something that is no reply to this socket; EAGAIN: nothing there; else an error that an
  // earlier packet left on the socket: details are on the error queue, and a reply may be behind it.
  int Receive(IcmpReply* out);
  // Reads the error queue. 0; ENOMSG: read something that says nothing about an echo of ours; EAGAIN: empty.
  int ReceiveFailure(IcmpFailure* out);

 private:
  int OpenDatagram();
  int OpenRaw();
  int SetOptions();
  void Explain(int datagram_error, int raw_error);

  int fd_ = -1;
  IcmpMechanism mechanism_ = IcmpMechanism::kNone;
  uint16_t id_ = 0;
  char problem_[240] = "";
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_PROBE_ICMP_SOCKET_H_
