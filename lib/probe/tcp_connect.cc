#include "lib/probe/tcp_connect.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

namespace fastcontainer {
namespace {

// Linux connects a socket to itself if it happens to choose the target's port as its own. Nobody listens
// there.
bool IsConnectedToItself(int fd, const SocketAddress& target) {
  SocketAddress own{};
  socklen_t length = sizeof(own);
  return getsockname(fd, &own.any, &length) == 0 && SocketPort(own) == SocketPort(target) &&
         SameHost(own, target);
}

int BindSource(int fd, const SocketAddress& source) {
  const int on = 1;
  const bool any_port = SocketPort(source) == 0;
  if (any_port && IsAnyHost(source)) return 0;
  // Else bind() would take a port that connect() can share with connections to other targets.
  if (any_port && setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) != 0) return errno;
  if (!any_port && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0) return errno;
  return bind(fd, &source.any, SocketLength(source.family)) == 0 ? 0 : errno;
}

}  // namespace

ConnectSockets::~ConnectSockets() {
  for (uint32_t index = 0; index < packets_.capacity(); ++index)
    if (packets_.at(index).open) Close(index);
  free(failures_);
  if (epoll_ >= 0) close(epoll_);
}

int ConnectSockets::Open() {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ >= 0) return 0;
  const int error = errno;
  snprintf(problem_, sizeof(problem_), "no epoll descriptor for TCP probes: %s", strerror(error));
  return error;
}

// So that no failure is lost for want of memory.
bool ConnectSockets::ReserveFailures(uint32_t count) {
  if (count <= failure_room_) return true;
  const uint32_t room = count < 64 ? 64 : count * 2;
  void* const grown = realloc(static_cast<void*>(failures_), room * sizeof(Failure));
  if (grown == nullptr) return false;
  failures_ = static_cast<Failure*>(grown);
  failure_room_ = room;
  return true;
}

int ConnectSockets::Send(const Outgoing& packet) {
  const SocketAddress& target = *packet.target;
  if (SocketPort(target) == 0) return EADDRNOTAVAIL;
  if (!ReserveFailures(packets_.size() + failure_count_ + 1)) return ENOMEM;
  const int fd = socket(target.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
  if (fd < 0) return errno;
  const uint32_t index = packets_.Add(packet, 0);
  if (index == OpenPackets::kNone) {
    close(fd);
    return ENOMEM;
  }
  packets_.at(index).fd = fd;
  int error = Begin(packet, fd, &packets_.at(index).error);
  if (error == 0) {
    epoll_event event{};
    event.events = EPOLLOUT;
    event.data.u64 = static_cast<uint64_t>(packets_.at(index).generation) << 32 | index;
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) error = errno;
  }
  if (error != 0) Close(index);
  return error;
}

int ConnectSockets::Begin(const Outgoing& packet, int fd, int* refused) {
  const SocketAddress& target = *packet.target;
  const int on = 1;
  const bool v6 = target.family == AF_INET6;
  if (setsockopt(fd, v6 ? int{IPPROTO_IPV6} : int{IPPROTO_IP}, v6 ? IPV6_RECVERR : IP_RECVERR, &on,
                 sizeof(on)) != 0)
    return errno;
  int error = SetPacketOptions(fd, target.family, *packet.options);
  if (error == 0 && packet.options->source.family != AF_UNSPEC)
    error = BindSource(fd, packet.options->source);
  if (error != 0) return error;
  if (connect(fd, &target.any, SocketLength(target.family)) == 0 || errno == EINPROGRESS) return 0;
  if (errno != ECONNREFUSED) return errno;
  // Answered before connect() came back: an answer, not a local fault.
  *refused = ECONNREFUSED;
  return 0;
}

// By a reset, where there is a connection: TIME_WAIT would hold the port for a minute.
void ConnectSockets::Close(uint32_t index) {
  const linger reset = {1, 0};
  const int fd = packets_.at(index).fd;
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  close(fd);
  packets_.Remove(index);
}

void ConnectSockets::Forget(const PacketTag& tag) {
  const uint32_t index = packets_.FindTag(tag);
  if (index != OpenPackets::kNone) Close(index);
}

int ConnectSockets::Receive(Answer* out) {
  if (epoll_ < 0) return EAGAIN;
  if (next_event_ == event_count_) {
    next_event_ = 0;
    event_count_ = epoll_wait(epoll_, events_, kEvents, 0);
    if (event_count_ <= 0) {
      event_count_ = 0;
      return EAGAIN;
    }
  }
  const uint64_t place = events_[next_event_++].data.u64;
  const auto index = static_cast<uint32_t>(place);
  // Closed since epoll_wait().
  if (!packets_.at(index).open || packets_.at(index).generation != place >> 32) return ENOMSG;
  return Settle(index, out);
}

int ConnectSockets::Settle(uint32_t index, Answer* out) {
  const OpenPacket& packet = packets_.at(index);
  tcp_info info{};
  socklen_t length = sizeof(info);
  int error = 0;
  socklen_t error_length = sizeof(error);
  if (getsockopt(packet.fd, SOL_SOCKET, SO_ERROR, &error, &error_length) != 0 ||
      getsockopt(packet.fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0)
    return SettleError(index, errno, out);
  if (error == 0) error = packet.error;
  // A connection that came up and was closed at once by the service is an open port all the same.
  const bool established = error == ECONNRESET || error == EPIPE ||
                           (error == 0 && info.tcpi_state != TCP_CLOSE && info.tcpi_state != TCP_SYN_SENT &&
                            info.tcpi_state != TCP_SYN_RECV);
  if (!established) return SettleError(index, error, out);
  const bool self = IsConnectedToItself(packet.fd, packet.target);
  AnswerFor(packet, self ? Verdict::kUpPortClosed : Verdict::kUp, out);
  out->rtt = info.tcpi_rtt * kMicrosecond;
  Close(index);
  return 0;
}

// An ICMP error can be on the queue while the kernel still tries: it came while connect() held the socket.
int ConnectSockets::SettleError(uint32_t index, int error, Answer* out) {
  const OpenPacket& packet = packets_.at(index);
  Received received;
  const bool icmp = ReceivePacket(packet.fd, MSG_ERRQUEUE, &received) == 0 && received.error != 0;
  if (!icmp && error == 0) return ENOMSG;
  if (!icmp ? error == ECONNREFUSED : IsPortClosed(received, packet.target)) {
    AnswerFor(packet, Verdict::kUpPortClosed, out);
    Close(index);
    return 0;
  }
  Failure& failure = failures_[failure_count_++];
  FillFailure(received, packet.target, &failure);
  failure.stamp = 0;
  if (error != 0) failure.error = error;
  failure.tagged = true;
  failure.tag = packet.tag;
  failure.sequence = packet.sequence;
  error = failure.error;
  Close(index);
  return error;
}

void ConnectSockets::AnswerFor(const OpenPacket& packet, Verdict verdict, Answer* out) const {
  *out = Answer();
  out->from = packet.target;
  out->tag = packet.tag;
  out->sequence = packet.sequence;
  out->verdict = verdict;
}

int ConnectSockets::ReceiveFailure(Failure* out) {
  if (failure_count_ == 0) return EAGAIN;
  *out = failures_[--failure_count_];
  return 0;
}

}  // namespace fastcontainer
