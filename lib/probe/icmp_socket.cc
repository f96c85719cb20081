#include "lib/probe/icmp_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <linux/filter.h>
#include <linux/icmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

namespace fastcontainer {
namespace {

// Room for the answers to a burst of probes while the loop is away; capped by net.core.rmem_max unless we may
// pass it.
constexpr int kReceiveBuffer = 1 << 20;

struct Message {
  alignas(8) uint8_t data[128];  // a raw socket's begins with the IP header, at most 60 bytes
  alignas(cmsghdr) uint8_t control[256];
  sockaddr_in name;
  iovec vector;
  msghdr header;
};

// The number of bytes, or -1 with errno.
ssize_t ReceiveMessage(int fd, int flags, Message* message) {
  message->vector = {message->data, sizeof(message->data)};
  message->header = {};
  message->header.msg_name = &message->name;
  message->header.msg_namelen = sizeof(message->name);
  message->header.msg_iov = &message->vector;
  message->header.msg_iovlen = 1;
  message->header.msg_control = message->control;
  message->header.msg_controllen = sizeof(message->control);
  return recvmsg(fd, &message->header, flags | MSG_DONTWAIT);
}

}  // namespace

IcmpSocket::~IcmpSocket() {
  if (fd_ >= 0) close(fd_);
}

int IcmpSocket::Open() {
  const int datagram_error = OpenDatagram();
  if (datagram_error == 0) return 0;
  const int raw_error = OpenRaw();
  if (raw_error != 0) Explain(datagram_error, raw_error);
  return raw_error;
}

int IcmpSocket::OpenDatagram() {
  fd_ = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMP);
  if (fd_ < 0) return errno;
  sockaddr_in name{};
  name.sin_family = AF_INET;
  socklen_t length = sizeof(name);
  // Bound now rather than by the first packet: the port of a ping socket is its ICMP identifier.
  if (bind(fd_, reinterpret_cast<sockaddr*>(&name), sizeof(name)) == 0 &&
      getsockname(fd_, reinterpret_cast<sockaddr*>(&name), &length) == 0 && SetOptions() == 0) {
    id_ = ntohs(name.sin_port);
    mechanism_ = IcmpMechanism::kDatagram;
    return 0;
  }
  const int error = errno;
  close(fd_);
  fd_ = -1;
  return error;
}

int IcmpSocket::OpenRaw() {
  fd_ = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMP);
  if (fd_ < 0) return errno;
  icmp_filter types{~(1u << ICMP_ECHOREPLY)};
  // A raw socket gets every echo reply of the machine; somebody's flood would push ours out of the buffer.
  if (getrandom(&id_, sizeof(id_), 0) == sizeof(id_) &&
      setsockopt(fd_, SOL_RAW, ICMP_FILTER, &types, sizeof(types)) == 0) {
    sock_filter code[] = {
        BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),  // X = length of the IP header
        BPF_STMT(BPF_LD | BPF_H | BPF_IND, 4),   // the ICMP identifier
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, id_, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0xffff),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    const sock_fprog program = {sizeof(code) / sizeof(code[0]), code};
    if (setsockopt(fd_, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0 && SetOptions() == 0) {
      mechanism_ = IcmpMechanism::kRaw;
      return 0;
    }
  }
  const int error = errno;
  close(fd_);
  fd_ = -1;
  return error;
}

int IcmpSocket::SetOptions() {
  const int on = 1;
  if (setsockopt(fd_, IPPROTO_IP, IP_RECVERR, &on, sizeof(on)) != 0) return -1;
  // Where no socket of the machine has asked for stamps yet the kernel begins with them a few milliseconds
  // later; until then it stamps a packet when it is read.
  if (setsockopt(fd_, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) != 0) return -1;
  const int size = kReceiveBuffer;
  if (setsockopt(fd_, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) != 0)
    setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
  return 0;
}

void IcmpSocket::Explain(int datagram_error, int raw_error) {
  if (raw_error != EPERM && raw_error != EACCES) {
    snprintf(problem_, sizeof(problem_), "no ICMP socket: %s", strerror(raw_error));
    return;
  }
  snprintf(problem_, sizeof(problem_),
           "no ICMP socket: the kernel refuses group %u a ping socket (%s), and CAP_NET_RAW is missing; "
           "allow it with: sysctl -w net.ipv4.ping_group_range=\"0 2147483647\"",
           getegid(), strerror(datagram_error));
}

int IcmpSocket::Send(const in_addr& target, const uint8_t (&packet)[kEchoLength]) {
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr = target;
  const ssize_t sent = sendto(fd_, packet, kEchoLength, MSG_DONTWAIT | MSG_NOSIGNAL,
                              reinterpret_cast<const sockaddr*>(&name), sizeof(name));
  return sent >= 0 ? 0 : errno;
}

int IcmpSocket::Receive(IcmpReply* out) {
  Message message;
  const ssize_t got = ReceiveMessage(fd_, 0, &message);
  if (got < 0) return errno;
  const uint8_t* data = message.data;
  size_t length = static_cast<size_t>(got);
  if (mechanism_ == IcmpMechanism::kRaw) {
    const size_t header = Ipv4HeaderLength(data, length);
    if (header == 0) return ENOMSG;
    data += header;
    length -= header;
  }
  if (!DecodeEcho(data, length, &out->echo) || out->echo.type != ICMP_ECHOREPLY || out->echo.id != id_)
    return ENOMSG;
  out->from = message.name.sin_addr;
  out->stamp = 0;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message.header); c != nullptr; c = CMSG_NXTHDR(&message.header, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS) continue;
    timespec stamp;
    memcpy(&stamp, CMSG_DATA(c), sizeof(stamp));
    out->stamp = static_cast<int64_t>(stamp.tv_sec) * 1'000'000'000 + stamp.tv_nsec;
  }
  return 0;
}

int IcmpSocket::ReceiveFailure(IcmpFailure* out) {
  Message message;
  const ssize_t got = ReceiveMessage(fd_, MSG_ERRQUEUE, &message);
  if (got < 0) return errno;
  // The data is the packet as it was quoted, from its ICMP header on; the name is where it was sent to.
  if (!DecodeEcho(message.data, static_cast<size_t>(got), &out->quoted) || out->quoted.type != ICMP_ECHO ||
      out->quoted.id != id_)
    return ENOMSG;
  out->destination = message.name.sin_addr;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message.header); c != nullptr; c = CMSG_NXTHDR(&message.header, c)) {
    if (c->cmsg_level != IPPROTO_IP || c->cmsg_type != IP_RECVERR) continue;
    sock_extended_err error;
    memcpy(&error, CMSG_DATA(c), sizeof(error));
    if (error.ee_origin != SO_EE_ORIGIN_ICMP) return ENOMSG;
    out->error = static_cast<int>(error.ee_errno);
    out->type = error.ee_type;
    out->code = error.ee_code;
    return 0;
  }
  return ENOMSG;
}

}  // namespace fastcontainer
