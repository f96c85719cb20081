// The sockets of a prober: one for each mechanism and family, opened when it is first used, and one epoll
// descriptor that holds them all. Needs libc only.
#ifndef FASTCONTAINER_LIB_PROBE_PROBE_SOCKETS_H_
#define FASTCONTAINER_LIB_PROBE_PROBE_SOCKETS_H_

#include <stdint.h>

#include "lib/probe/ping_socket.h"
#include "lib/probe/syn_socket.h"
#include "lib/probe/tcp_connect.h"
#include "lib/probe/transport.h"
#include "lib/probe/udp_sockets.h"

namespace fastcontainer {

class ProbeSockets {
 public:
  static constexpr uint32_t kCount = 8;  // numbers of sockets are less
  static constexpr int kReceiveBuffer = 1 << 20;

  ProbeSockets() = default;
  ~ProbeSockets();
  ProbeSockets(const ProbeSockets&) = delete;
  ProbeSockets& operator=(const ProbeSockets&) = delete;

  // 0 or an errno. `mechanism` serves probes that name none; kNone: a ping socket, else a raw one.
  // `receive_buffer` 0: kReceiveBuffer.
  int Open(ProbeMechanism mechanism, int receive_buffer);
  int epoll_fd() const { return epoll_fd_; }
  // Wakes epoll_fd() for a descriptor that is not one of these sockets. 0 or an errno.
  int Watch(int fd);

  // The number of the socket that serves `mechanism`, opened if need be. 0 or an errno: then problem() says
  // what to do about it. What is not permitted once is not tried again.
  int Use(ProbeMechanism mechanism, sa_family_t family, uint32_t* socket);
  const char* problem() const { return problem_; }

  static ProbeMechanism MechanismOf(uint32_t socket) { return kKinds[socket].mechanism; }
  // Bit by bit, those that are open.
  uint32_t open() const { return open_; }
  // How many answers the receive buffer holds.
  uint32_t room(uint32_t socket) const { return states_[socket].room; }
  // Packets that the kernel dropped because a receive buffer was full.
  uint64_t lost() const;

  // As in transport.h.
  int Send(uint32_t socket, const Outgoing& out);
  int Receive(uint32_t socket, Answer* out);
  int ReceiveFailure(uint32_t socket, Failure* out);
  void Forget(uint32_t socket, const PacketTag& tag);
  // As PingSocket has them, where it does.
  bool HasMany(uint32_t socket) const { return socket < kPings; }
  uint32_t SendMany(uint32_t socket, const Outgoing* out, uint32_t count, int* error);
  uint32_t ReceiveMany(uint32_t socket, Answer* out, int* error);
  // Whether an untagged failure is of the packet with this tag.
  bool IsQuoted(uint32_t socket, const Failure& failure, const PacketTag& tag);

 private:
  struct Kind {
    ProbeMechanism mechanism;
    sa_family_t family;  // AF_UNSPEC: either
  };
  static constexpr uint32_t kPings = 4;
  static constexpr uint32_t kSyns = 2;
  static constexpr Kind kKinds[kCount] = {
      {ProbeMechanism::kIcmpDatagram, AF_INET}, {ProbeMechanism::kIcmpDatagram, AF_INET6},
      {ProbeMechanism::kIcmpRaw, AF_INET},      {ProbeMechanism::kIcmpRaw, AF_INET6},
      {ProbeMechanism::kTcpSyn, AF_INET},       {ProbeMechanism::kTcpSyn, AF_INET6},
      {ProbeMechanism::kTcpConnect, AF_UNSPEC}, {ProbeMechanism::kUdp, AF_UNSPEC},
  };

  struct State {
    bool open = false;
    int error = 0;  // that will not go away
    uint32_t room = 0;
  };

  template <typename Function>
  auto With(uint32_t socket, Function function);
  int UseOne(ProbeMechanism mechanism, sa_family_t family, uint32_t* socket);
  int OpenOne(uint32_t socket);
  static uint32_t RoomOf(int fd);

  int epoll_fd_ = -1;
  ProbeMechanism default_ = ProbeMechanism::kNone;
  int receive_buffer_ = kReceiveBuffer;
  uint32_t open_ = 0;
  State states_[kCount];
  PingSocket ping_[kPings];
  SynSocket syn_[kSyns];
  ConnectSockets connect_;
  UdpSockets udp_;
  char problem_[240] = "";
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_PROBE_PROBE_SOCKETS_H_
