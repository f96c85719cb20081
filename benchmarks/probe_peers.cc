#include "benchmarks/probe_peers.h"

#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "benchmarks/probe_lab.h"

void FillEchoRequest(uint16_t id, uint16_t sequence, uint8_t (&out)[24]) {
  std::memset(out, 0, sizeof(out));
  out[0] = ICMP_ECHO;
  const uint16_t wire[2] = {htons(id), htons(sequence)};
  std::memcpy(out + 4, wire, sizeof(wire));
  uint32_t sum = (ICMP_ECHO << 8) + uint32_t{id} + sequence;  // RFC 1071
  sum = (sum & 0xffff) + (sum >> 16);
  const uint16_t checksum = htons(static_cast<uint16_t>(~((sum & 0xffff) + (sum >> 16))));
  std::memcpy(out + 2, &checksum, sizeof(checksum));
}

BareEcho::~BareEcho() {
  if (fd_ >= 0) close(fd_);
}

int BareEcho::Open() {
  fd_ = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMP);
  if (fd_ < 0) {
    fd_ = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMP);
    if (fd_ < 0) return errno;
    const uint32_t filter = ~(1u << ICMP_ECHOREPLY);
    setsockopt(fd_, SOL_RAW, 1 /* ICMP_FILTER */, &filter, sizeof(filter));
  }
  const int on = 1;
  if (setsockopt(fd_, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) != 0) return errno;
  FillEchoRequest(0, 0, request_);
  return 0;
}

int BareEcho::Exchange(const sockaddr_in& to) {
  uint8_t reply[128];
  alignas(cmsghdr) uint8_t control[256];
  sockaddr_in from;
  iovec vector = {reply, sizeof(reply)};
  msghdr message{};
  message.msg_name = &from;
  message.msg_namelen = sizeof(from);
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  if (sendto(fd_, request_, sizeof(request_), 0, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) < 0)
    return errno;
  // Loopback and veth answer inside sendto(), unless the machine is busy.
  while (recvmsg(fd_, &message, MSG_DONTWAIT) < 0) {
    if (errno != EAGAIN) return errno;
    pollfd poll_fd = {fd_, POLLIN, 0};
    if (poll(&poll_fd, 1, 1000) == 0) return ETIMEDOUT;
  }
  return 0;
}

bool AskByNewRawSocket(const sockaddr_in& to, int64_t timeout, int* error) {
  *error = 0;
  const int fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
  if (fd < 0) {
    *error = errno;
    return false;
  }
  const timeval wait = {timeout / lab::kSecond, timeout % lab::kSecond / lab::kMicrosecond};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
  uint8_t request[24];
  FillEchoRequest(static_cast<uint16_t>(getpid()), 1, request);
  bool answered = false;
  if (sendto(fd, request, sizeof(request), 0, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) < 0)
    *error = errno;
  while (*error == 0 && !answered) {
    uint8_t packet[1024];
    sockaddr_in from;
    socklen_t length = sizeof(from);
    const ssize_t got = recvfrom(fd, packet, sizeof(packet), 0, reinterpret_cast<sockaddr*>(&from), &length);
    if (got < 0) break;  // the time is over
    iphdr ip;
    std::memcpy(&ip, packet, sizeof(ip));
    const size_t header = size_t{ip.ihl} * 4;
    answered = static_cast<size_t>(got) > header && packet[header] == ICMP_ECHOREPLY &&
               from.sin_addr.s_addr == to.sin_addr.s_addr;
  }
  close(fd);
  return answered;
}

UserClock::~UserClock() {
  if (fd_ >= 0) close(fd_);
}

int UserClock::Open() {
  fd_ = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMP);
  return fd_ < 0 ? errno : 0;
}

bool UserClock::IsUp(const sockaddr_in& to, int64_t deadline) {
  uint8_t request[24], reply[128];
  FillEchoRequest(0, ++sequence_, request);
  const int64_t begin = lab::Now();
  if (sendto(fd_, request, sizeof(request), 0, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) < 0)
    return false;
  for (;;) {
    const ssize_t got = recv(fd_, reply, sizeof(reply), 0);
    const int64_t left = deadline - (lab::Now() - begin);
    if (left < 0) return false;
    if (got >= 8 && std::memcmp(reply + 6, request + 6, 2) == 0) return true;
    if (got >= 0) continue;
    pollfd poll_fd = {fd_, POLLIN, 0};
    poll(&poll_fd, 1, static_cast<int>((left + lab::kMillisecond - 1) / lab::kMillisecond));
  }
}
