#include "lib/probe/udp_sockets.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

namespace fastcontainer {
namespace {

uint64_t KeyOf(const SocketAddress& target, uint16_t port) { return HashAddress(target) + port; }

bool SameTarget(const SocketAddress& a, const SocketAddress& b) {
  return SameHost(a, b) && SocketPort(a) == SocketPort(b);
}

}  // namespace

bool DecodeTag(const uint8_t* data, size_t length, PacketTag* out) {
  static_assert(sizeof(PacketTag) == 16, "no padding on the wire");
  if (length < sizeof(*out)) return false;
  memcpy(out, data, sizeof(*out));
  return true;
}

UdpSockets::~UdpSockets() {
  for (uint32_t place = 0; place < socket_count_; ++place)
    if (sockets_[place].fd >= 0) close(sockets_[place].fd);
  if (epoll_ >= 0) close(epoll_);
}

int UdpSockets::Open() {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  int error = epoll_ >= 0 ? 0 : errno;
  if (error == 0) {
    const int v4 = OpenSocket(socket_count_++, AF_INET, 0);
    const int v6 = OpenSocket(socket_count_++, AF_INET6, 0);
    if (v4 != 0 && v6 != 0) error = v4;
  }
  if (error != 0) snprintf(problem_, sizeof(problem_), "no UDP socket: %s", strerror(error));
  return error;
}

// A place without a socket keeps fd -1 and the port 0.
int UdpSockets::OpenSocket(uint32_t place, sa_family_t family, uint16_t port) {
  Socket& made = sockets_[place];
  made = {-1, family, 0, false, false, ++uses_};
  const int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);
  if (fd < 0) return errno;
  SocketAddress name{};
  name.family = family;
  SetSocketPort(&name, port);
  socklen_t length = SocketLength(family);
  const int on = 1;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u32 = place;
  int error = PrepareSocket(fd, family);
  if (error == 0) error = SetDontFragment(fd, family, false);
  if (error == 0 &&
      ((family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0) ||
       bind(fd, &name.any, length) != 0 || getsockname(fd, &name.any, &length) != 0 ||
       epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0))
    error = errno;
  if (error != 0) {
    close(fd);
    return error;
  }
  made.fd = fd;
  made.port = SocketPort(name);
  return 0;
}

int UdpSockets::ChooseSocket(const Outgoing& packet, uint32_t* out) {
  const sa_family_t family = packet.target->family;
  if (family != AF_INET && family != AF_INET6) return EAFNOSUPPORT;
  const SocketAddress& source = packet.options->source;
  const uint16_t wanted = source.family == AF_UNSPEC ? uint16_t{0} : SocketPort(source);
  *out = family == AF_INET ? 0 : 1;
  if (wanted == 0 || wanted == sockets_[*out].port) return sockets_[*out].fd >= 0 ? 0 : EAFNOSUPPORT;
  uint32_t oldest = kShared;
  for (uint32_t place = kShared; place < socket_count_; ++place) {
    *out = place;
    if (sockets_[place].family == family && sockets_[place].port == wanted) {
      sockets_[place].used = ++uses_;
      return 0;
    }
    // One that could not be opened has the port 0 and is the first to go.
    if (sockets_[place].fd < 0 || sockets_[place].used < sockets_[oldest].used) oldest = place;
  }
  const bool full = socket_count_ == kSockets;
  *out = full ? oldest : socket_count_++;
  if (full && sockets_[oldest].fd >= 0) close(sockets_[oldest].fd);
  return OpenSocket(*out, family, wanted);
}

int UdpSockets::Send(const Outgoing& packet) {
  if (SocketPort(*packet.target) == 0) return EADDRNOTAVAIL;
  uint32_t place;
  int error = ChooseSocket(packet, &place);
  if (error != 0) return error;
  Socket& from = sockets_[place];
  const bool dont_fragment = packet.options->dont_fragment;
  if (from.dont_fragment != dont_fragment) {
    error = SetDontFragment(from.fd, from.family, dont_fragment);
    if (error != 0) return error;
    from.dont_fragment = dont_fragment;
  }
  const uint32_t index = packets_.Add(packet, KeyOf(*packet.target, from.port));
  if (index == OpenPackets::kNone) return ENOMEM;
  packets_.at(index).port = from.port;
  error = SendPacket(from.fd, *packet.target, &packet.tag, sizeof(packet.tag), true, *packet.options,
                     packet.options->source);
  if (error == 0) return 0;
  packets_.Remove(index);
  from.has_errors = true;
  return error;
}

void UdpSockets::Forget(const PacketTag& tag) {
  const uint32_t index = packets_.FindTag(tag);
  if (index != OpenPackets::kNone) packets_.Remove(index);
}

uint64_t UdpSockets::lost() const {
  uint64_t out = 0;
  for (uint32_t place = 0; place < socket_count_; ++place) {
    uint32_t memory[SK_MEMINFO_VARS] = {};
    socklen_t length = sizeof(memory);
    if (getsockopt(sockets_[place].fd, SOL_SOCKET, SO_MEMINFO, memory, &length) == 0)
      out += memory[SK_MEMINFO_DROPS];
  }
  return out;
}

// Stays with a socket until it is empty.
uint32_t UdpSockets::NextReadable() {
  if (next_event_ == event_count_) {
    next_event_ = 0;
    event_count_ = epoll_ < 0 ? 0 : epoll_wait(epoll_, events_, kSockets, 0);
    if (event_count_ <= 0) {
      event_count_ = 0;
      return kNoSocket;
    }
  }
  return events_[next_event_].data.u32;
}

uint32_t UdpSockets::FindByContent(const Received& received, uint16_t port) const {
  PacketTag tag;
  if (!DecodeTag(received.data, received.length, &tag)) return OpenPackets::kNone;
  const uint32_t index = packets_.FindTag(tag);
  if (index == OpenPackets::kNone) return index;
  const OpenPacket& packet = packets_.at(index);
  return packet.port == port && SameTarget(packet.target, received.name) ? index : OpenPackets::kNone;
}

// The first packet of those that it may be: an answer is never taken for a quicker one than it was.
uint32_t UdpSockets::FindByPorts(const SocketAddress& target, uint16_t port, bool only_one_probe) const {
  uint32_t found = OpenPackets::kNone;
  uint32_t index = packets_.FirstWithKey(KeyOf(target, port));
  for (; index != OpenPackets::kNone; index = packets_.NextWithKey(index)) {
    const OpenPacket& packet = packets_.at(index);
    if (packet.port != port || !SameTarget(packet.target, target)) continue;
    if (found != OpenPackets::kNone) {
      const OpenPacket& other = packets_.at(found);
      if (only_one_probe && other.tag.cookie != packet.tag.cookie) return OpenPackets::kNone;
      if (static_cast<int16_t>(packet.sequence - other.sequence) > 0) continue;
    }
    found = index;
  }
  return found;
}

int UdpSockets::Receive(Answer* out) {
  for (uint32_t place; (place = NextReadable()) != kNoSocket;) {
    Socket& socket = sockets_[place];
    Received received;
    const int error = ReceivePacket(socket.fd, 0, &received);
    if (error == EAGAIN) {
      const bool news = (events_[next_event_++].events & EPOLLERR) != 0 && !socket.has_errors;
      if (!news) {
        // Woken by the error queue alone, which ReceiveFailure() has not been asked for yet.
        if (next_event_ == event_count_) return EAGAIN;
        continue;
      }
      socket.has_errors = true;
      return EHOSTUNREACH;
    }
    if (error != 0) {
      socket.has_errors = true;
      return error;
    }
    uint32_t index = FindByContent(received, socket.port);
    if (index == OpenPackets::kNone && place >= kShared)
      index = FindByPorts(received.name, socket.port, true);
    if (index == OpenPackets::kNone) return ENOMSG;
    *out = Answer();
    out->from = received.name;
    out->tag = packets_.at(index).tag;
    out->sequence = packets_.at(index).sequence;
    out->stamp = received.stamp;
    return 0;
  }
  return EAGAIN;
}

int UdpSockets::ReceiveFailure(Failure* out) {
  for (uint32_t place = 0; place < socket_count_; ++place) {
    Socket& socket = sockets_[place];
    if (!socket.has_errors) continue;
    Received received;
    if (socket.fd < 0 || ReceivePacket(socket.fd, MSG_ERRQUEUE, &received) != 0) {
      socket.has_errors = false;
      continue;
    }
    if (received.error == 0) return ENOMSG;
    uint32_t index = FindByContent(received, socket.port);
    if (index == OpenPackets::kNone && received.length < sizeof(PacketTag))
      index = FindByPorts(received.name, socket.port, false);
    if (index == OpenPackets::kNone) return ENOMSG;
    const OpenPacket& packet = packets_.at(index);
    FillFailure(received, packet.target, out);
    out->tagged = true;
    out->tag = packet.tag;
    out->sequence = packet.sequence;
    return 0;
  }
  return EAGAIN;
}

}  // namespace fastcontainer
