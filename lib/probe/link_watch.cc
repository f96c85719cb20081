#include "lib/probe/link_watch.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace fastcontainer {
namespace {

constexpr size_t kRoom = 16384;

// The interface by which the machine's routes send packets to `target`; 0: none, or unknown.
uint32_t RouteOf(const SocketAddress& target) {
  const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) return 0;
  struct {
    nlmsghdr header;
    rtmsg route;
    rtattr attribute;
    uint8_t address[sizeof(in6_addr)];
  } question{};
  const bool six = target.family == AF_INET6;
  const size_t size = six ? sizeof(in6_addr) : sizeof(in_addr);
  memcpy(question.address, six ? static_cast<const void*>(&target.v6.sin6_addr) : &target.v4.sin_addr, size);
  question.attribute.rta_type = RTA_DST;
  question.attribute.rta_len = static_cast<uint16_t>(RTA_LENGTH(size));
  question.route.rtm_family = static_cast<uint8_t>(target.family);
  question.route.rtm_dst_len = static_cast<uint8_t>(8 * size);
  question.header.nlmsg_type = RTM_GETROUTE;
  question.header.nlmsg_flags = NLM_F_REQUEST;
  question.header.nlmsg_len = static_cast<uint32_t>(NLMSG_LENGTH(sizeof(rtmsg)) + RTA_LENGTH(size));
  alignas(nlmsghdr) uint8_t answer[1024];
  ssize_t got = -1;
  // The kernel answers within send().
  if (send(fd, &question, question.header.nlmsg_len, 0) >= 0)
    got = recv(fd, answer, sizeof(answer), MSG_DONTWAIT);
  close(fd);
  const auto* const header = reinterpret_cast<const nlmsghdr*>(answer);
  if (got < static_cast<ssize_t>(NLMSG_LENGTH(sizeof(rtmsg))) || header->nlmsg_type != RTM_NEWROUTE ||
      header->nlmsg_len > static_cast<size_t>(got))
    return 0;
  auto left = static_cast<int>(header->nlmsg_len - NLMSG_LENGTH(sizeof(rtmsg)));
  const auto* attribute = reinterpret_cast<const rtattr*>(answer + NLMSG_LENGTH(sizeof(rtmsg)));
  for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
    if (attribute->rta_type != RTA_OIF) continue;
    uint32_t interface;
    memcpy(&interface, RTA_DATA(attribute), sizeof(interface));
    return interface;
  }
  return 0;
}

}  // namespace

LinkWatch::~LinkWatch() {
  if (fd_ >= 0) close(fd_);
}

int LinkWatch::Open() {
  fd_ = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd_ < 0) return errno;
  sockaddr_nl name{};
  name.nl_family = AF_NETLINK;
  name.nl_groups = RTMGRP_LINK;
  if (bind(fd_, reinterpret_cast<const sockaddr*>(&name), sizeof(name)) == 0) return 0;
  const int error = errno;
  close(fd_);
  fd_ = -1;
  return error;
}

// Whether this is a change. Of an interface that was not heard of before, only a loss is: that it has a
// carrier may be old news.
bool LinkWatch::Note(int index, bool carrier, News news) {
  Link& link = links_[static_cast<uint32_t>(index) % kLinks];
  const bool known = link.index == index;
  const bool changed = known ? link.carrier != carrier : !carrier && news != News::kCreated;
  if (link.index != 0 && !link.carrier) --without_carrier_;
  link = {news == News::kGone ? 0 : index, carrier};
  if (link.index != 0 && !carrier) ++without_carrier_;
  return changed;
}

uint32_t LinkWatch::Read(const uint8_t* data, size_t length) {
  uint32_t changes = 0;
  const auto* message = reinterpret_cast<const nlmsghdr*>(data);
  for (; NLMSG_OK(message, length); message = NLMSG_NEXT(message, length)) {
    if (message->nlmsg_type != RTM_NEWLINK && message->nlmsg_type != RTM_DELLINK) continue;
    if (message->nlmsg_len < NLMSG_LENGTH(sizeof(ifinfomsg))) continue;
    ifinfomsg info;
    memcpy(&info, NLMSG_DATA(message), sizeof(info));
    const bool gone = message->nlmsg_type == RTM_DELLINK;
    const bool carrier = !gone && (info.ifi_flags & IFF_UP) != 0 && (info.ifi_flags & IFF_RUNNING) != 0;
    const News news = gone ? News::kGone : info.ifi_change == UINT32_MAX ? News::kCreated : News::kState;
    if (Note(info.ifi_index, carrier, news)) ++changes;
  }
  return changes;
}

uint32_t LinkWatch::Drain() {
  if (fd_ < 0) return 0;
  uint32_t changes = 0;
  for (;;) {
    alignas(nlmsghdr) uint8_t data[kRoom];
    sockaddr_nl from;
    socklen_t from_length = sizeof(from);
    const ssize_t got =
        recvfrom(fd_, data, sizeof(data), MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from), &from_length);
    if (got < 0 && errno == ENOBUFS) {
      ++changes;  // more happened than the socket could hold
    } else if (got <= 0) {
      return changes;
    } else if (from.nl_pid == 0) {  // the kernel
      changes += Read(data, static_cast<size_t>(got));
    }
  }
}

bool LinkWatch::HasNoCarrier(const SocketAddress& target, const PacketOptions& options) const {
  if (fd_ < 0 || (options.interface == 0 && without_carrier_ == 0)) return false;
  const uint32_t interface = options.interface != 0 ? options.interface : RouteOf(target);
  ifreq request{};
  request.ifr_ifindex = static_cast<int>(interface);
  if (interface == 0 || ioctl(fd_, SIOCGIFNAME, &request) != 0 || ioctl(fd_, SIOCGIFFLAGS, &request) != 0)
    return false;
  return (request.ifr_flags & IFF_UP) == 0 || (request.ifr_flags & IFF_RUNNING) == 0;
}

}  // namespace fastcontainer
