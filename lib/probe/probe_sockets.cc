#include "lib/probe/probe_sockets.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace fastcontainer {
namespace {

// What an administrator can change, as opposed to a machine in trouble (EMFILE, ENOBUFS, ENOMEM): as long as
// the process lives it is the answer.
bool IsLasting(int error) {
  return error == EPERM || error == EACCES || error == EPROTONOSUPPORT || error == EAFNOSUPPORT;
}

}  // namespace

ProbeSockets::~ProbeSockets() {
  if (epoll_fd_ >= 0) close(epoll_fd_);
}

int ProbeSockets::Open(ProbeMechanism mechanism, int receive_buffer) {
  default_ = mechanism;
  if (receive_buffer > 0) receive_buffer_ = receive_buffer;
  epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd_ >= 0) return 0;
  const int error = errno;
  snprintf(problem_, sizeof(problem_), "epoll_create1: %s", strerror(error));
  return error;
}

int ProbeSockets::Watch(int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  return epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : errno;
}

template <typename Function>
auto ProbeSockets::With(uint32_t socket, Function function) {
  if (socket < kPings) return function(ping_[socket]);
  if (socket < kPings + kSyns) return function(syn_[socket - kPings]);
  return MechanismOf(socket) == ProbeMechanism::kTcpConnect ? function(connect_) : function(udp_);
}

int ProbeSockets::Use(ProbeMechanism mechanism, sa_family_t family, uint32_t* socket) {
  if (mechanism == ProbeMechanism::kNone) mechanism = default_;
  if (mechanism != ProbeMechanism::kNone) return UseOne(mechanism, family, socket);
  const int datagram_error = UseOne(ProbeMechanism::kIcmpDatagram, family, socket);
  if (datagram_error == 0) return 0;
  const int raw_error = UseOne(ProbeMechanism::kIcmpRaw, family, socket);
  if (raw_error == 0) {
    problem_[0] = '\0';
    return 0;
  }
  const PingSocket& datagram = ping_[*socket - 2];
  const PingSocket& raw = ping_[*socket];
  snprintf(problem_, sizeof(problem_), "%s; and %s", datagram.problem(), raw.problem());
  return raw_error;
}

int ProbeSockets::UseOne(ProbeMechanism mechanism, sa_family_t family, uint32_t* socket) {
  uint32_t number = 0;
  while (kKinds[number].mechanism != mechanism ||
         (kKinds[number].family != AF_UNSPEC && kKinds[number].family != family))
    if (++number == kCount) return EOPNOTSUPP;
  *socket = number;
  State& state = states_[number];
  if (state.open) return 0;
  if (state.error != 0) return state.error;
  const int error = OpenOne(number);
  if (error == 0) {
    state.open = true;
    open_ |= 1u << number;
  } else if (IsLasting(error)) {
    state.error = error;
  }
  return error;
}

int ProbeSockets::OpenOne(uint32_t socket) {
  const Kind& kind = kKinds[socket];
  int error;
  if (socket < kPings) {
    error = ping_[socket].Open(kind.family, kind.mechanism, receive_buffer_);
  } else if (socket < kPings + kSyns) {
    error = syn_[socket - kPings].Open(kind.family);
  } else {
    error = kind.mechanism == ProbeMechanism::kTcpConnect ? connect_.Open() : udp_.Open();
  }
  return With(socket, [&](auto& transport) {
    if (error != 0) snprintf(problem_, sizeof(problem_), "%s", transport.problem());
    if (error != 0) return error;
    states_[socket].room = RoomOf(transport.fd());
    return Watch(transport.fd());
  });
}

// The kernel charges a small packet for the memory that its driver took: 768 bytes over loopback, 2,304 with
// most network cards.
uint32_t ProbeSockets::RoomOf(int fd) {
  constexpr int kEach = 2304;
  constexpr uint32_t kLeast = 8;
  constexpr uint32_t kDescriptors = 256;  // one each, where transports have a socket for each packet
  int bytes = 0;
  socklen_t length = sizeof(bytes);
  if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, &length) != 0) return kDescriptors;
  const auto room = static_cast<uint32_t>(bytes / kEach);
  return room < kLeast ? kLeast : room;
}

uint64_t ProbeSockets::lost() const {
  uint64_t out = 0;
  for (uint32_t socket = 0; socket < kCount; ++socket) {
    if (!states_[socket].open) continue;
    // Not of the transports that have a socket for each packet.
    uint32_t memory[SK_MEMINFO_VARS] = {};
    socklen_t length = sizeof(memory);
    const int fd =
        const_cast<ProbeSockets*>(this)->With(socket, [](auto& transport) { return transport.fd(); });
    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &length) == 0) out += memory[SK_MEMINFO_DROPS];
  }
  return out;
}

int ProbeSockets::Send(uint32_t socket, const Outgoing& out) {
  return With(socket, [&](auto& transport) { return transport.Send(out); });
}

int ProbeSockets::Receive(uint32_t socket, Answer* out) {
  return With(socket, [&](auto& transport) { return transport.Receive(out); });
}

int ProbeSockets::ReceiveFailure(uint32_t socket, Failure* out) {
  return With(socket, [&](auto& transport) { return transport.ReceiveFailure(out); });
}

void ProbeSockets::Forget(uint32_t socket, const PacketTag& tag) {
  With(socket, [&](auto& transport) { transport.Forget(tag); });
}

uint32_t ProbeSockets::SendMany(uint32_t socket, const Outgoing* out, uint32_t count, int* error) {
  return ping_[socket].SendMany(out, count, error);
}

uint32_t ProbeSockets::ReceiveMany(uint32_t socket, Answer* out, int* error) {
  return ping_[socket].ReceiveMany(out, error);
}

bool ProbeSockets::IsQuoted(uint32_t socket, const Failure& failure, const PacketTag& tag) {
  if (socket >= kPings || kKinds[socket].family != AF_INET) return false;
  return ping_[socket].ChecksumOf(failure.sequence, tag) == failure.checksum;
}

}  // namespace fastcontainer
