#include "lib/probe/ping_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <linux/filter.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/probe/control.h"
#include "lib/probe/packet_control.h"

namespace fastcontainer {
namespace {

// What follows the tag in a large packet. Zeroes leave the checksum as it is. Never written.
uint8_t padding[UINT16_MAX];

// Of the 68 bytes that every link can carry (RFC 791, section 3.2) the headers of IPv4 and ICMP take 28.
constexpr size_t kEverywhereWhole = 40;
static_assert(sizeof(PacketTag) <= kEverywhereWhole);

struct Message {
  alignas(8) uint8_t data[128];  // a raw IPv4 socket's begins with the IP header, at most 60 bytes
  alignas(cmsghdr) uint8_t control[256];
  SocketAddress name;
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

Nanos StampOf(msghdr* header) {
  Nanos out = 0;
  for (cmsghdr* c = CMSG_FIRSTHDR(header); c != nullptr; c = CMSG_NXTHDR(header, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS) continue;
    timespec stamp;
    memcpy(&stamp, CMSG_DATA(c), sizeof(stamp));
    out = static_cast<Nanos>(stamp.tv_sec) * kSecond + stamp.tv_nsec;
  }
  return out;
}

// False: it is not of an ICMP message.
bool ReadError(msghdr* header, Failure* out) {
  for (cmsghdr* c = CMSG_FIRSTHDR(header); c != nullptr; c = CMSG_NXTHDR(header, c)) {
    const bool four = c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR;
    const bool six = c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR;
    if (!four && !six) continue;
    sock_extended_err error;
    memcpy(&error, CMSG_DATA(c), sizeof(error));
    if (error.ee_origin != (four ? SO_EE_ORIGIN_ICMP : SO_EE_ORIGIN_ICMP6)) return false;
    out->error = static_cast<int>(error.ee_errno);
    out->icmp_type = error.ee_type;
    out->icmp_code = error.ee_code;
    return true;
  }
  return false;
}

}  // namespace

PingSocket::~PingSocket() {
  if (fd_ >= 0) close(fd_);
}

int PingSocket::Open(sa_family_t family, ProbeMechanism mechanism, int receive_buffer) {
  family_ = family;
  const bool datagram = mechanism == ProbeMechanism::kIcmpDatagram;
  const int protocol = family == AF_INET6 ? int{IPPROTO_ICMPV6} : int{IPPROTO_ICMP};
  fd_ = socket(family, (datagram ? SOCK_DGRAM : SOCK_RAW) | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
  bool open = fd_ >= 0;
  if (open) open = (datagram ? TakeIdentifier() : SetFilters()) && SetOptions(receive_buffer);
  if (open) {
    has_ip_header_ = !datagram && family == AF_INET;
    return 0;
  }
  const int error = errno;
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
  Explain(mechanism, error);
  return error;
}

// Bound now rather than by the first packet: the port of a ping socket is its ICMP identifier.
bool PingSocket::TakeIdentifier() {
  sockaddr_storage name{};
  name.ss_family = family_;
  socklen_t length = family_ == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  if (bind(fd_, reinterpret_cast<sockaddr*>(&name), length) != 0 ||
      getsockname(fd_, reinterpret_cast<sockaddr*>(&name), &length) != 0)
    return false;
  SocketAddress bound;
  memcpy(&bound, &name, sizeof(bound));
  id_ = ntohs(SocketPort(bound));
  return true;
}

// A raw socket gets every echo reply of the machine; somebody's flood would push ours out of the buffer.
bool PingSocket::SetFilters() {
  if (getrandom(&id_, sizeof(id_), 0) != sizeof(id_)) return false;
  if (family_ == AF_INET6) {
    icmp6_filter types;
    ICMP6_FILTER_SETBLOCKALL(&types);
    ICMP6_FILTER_SETPASS(kEchoReply6, &types);
    if (setsockopt(fd_, IPPROTO_ICMPV6, ICMP6_FILTER, &types, sizeof(types)) != 0) return false;
  } else {
    const icmp_filter types{~(1u << kEchoReply4)};
    if (setsockopt(fd_, SOL_RAW, ICMP_FILTER, &types, sizeof(types)) != 0) return false;
  }
  // IPv4 packets begin with their IP header here, IPv6 ones do not.
  sock_filter code[] = {
      family_ == AF_INET6 ? sock_filter BPF_STMT(BPF_LDX | BPF_IMM, 0)
                          : sock_filter BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
      BPF_STMT(BPF_LD | BPF_H | BPF_IND, 4),  // the ICMP identifier
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, id_, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0xffff),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  const sock_fprog program = {sizeof(code) / sizeof(code[0]), code};
  return setsockopt(fd_, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0;
}

bool PingSocket::SetOptions(int receive_buffer) {
  const int on = 1;
  const bool six = family_ == AF_INET6;
  if (setsockopt(fd_, six ? int{IPPROTO_IPV6} : int{IPPROTO_IP}, six ? IPV6_RECVERR : IP_RECVERR, &on,
                 sizeof(on)) != 0)
    return false;
  // Where no socket of the machine has asked for stamps yet the kernel begins with them a few milliseconds
  // later; until then it stamps a packet when it is read.
  if (setsockopt(fd_, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) != 0) return false;
  if (setsockopt(fd_, SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer, sizeof(receive_buffer)) != 0)
    setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
  return true;
}

void PingSocket::Explain(ProbeMechanism mechanism, int error) {
  if (error != EPERM && error != EACCES) {
    snprintf(problem_, sizeof(problem_), "no ICMP socket: %s", strerror(error));
  } else if (mechanism == ProbeMechanism::kIcmpRaw) {
    snprintf(problem_, sizeof(problem_), "no raw ICMP socket: CAP_NET_RAW is missing");
  } else {
    snprintf(problem_, sizeof(problem_),
             "no ping socket: the kernel refuses group %u one; allow it with: "
             "sysctl -w net.ipv4.ping_group_range=\"0 2147483647\"",
             getegid());
  }
}

// What the socket has to be changed for. 0 or an errno.
int PingSocket::ShapeFor(const PacketOptions& options) {
  // A datagram that every link takes whole may as well say so: it then needs no identification (RFC 6864,
  // section 4.1), which the kernel would draw from a table in memory at a tenth of the packet's whole cost.
  const bool small = family_ == AF_INET && options.size <= kEverywhereWhole;
  const bool dont_fragment = options.dont_fragment || small;
  if (dont_fragment == dont_fragment_) return 0;
  const int error = SetDontFragment(fd_, family_, dont_fragment);
  if (error == 0) dont_fragment_ = dont_fragment;
  return error;
}

int PingSocket::Send(const Outgoing& out) {
  const int error = ShapeFor(*out.options);
  if (error != 0) return error;
  uint8_t packet[kEchoLength];
  EncodeEchoRequest(family_, id_, out.sequence, out.tag, packet);
  if (out.options->size > sizeof(PacketTag) || !NeedsNoControl(*out.options)) return SendShaped(out, packet);
  const ssize_t sent =
      sendto(fd_, packet, kEchoLength, MSG_DONTWAIT | MSG_NOSIGNAL, &out.target->any, SocketLength(family_));
  return sent >= 0 ? 0 : errno;
}

int PingSocket::SendShaped(const Outgoing& out, const uint8_t (&packet)[kEchoLength]) {
  const size_t size = out.options->size;
  iovec parts[2] = {{const_cast<uint8_t*>(packet), kEchoLength}, {padding, 0}};
  if (size > sizeof(PacketTag)) parts[1].iov_len = size - sizeof(PacketTag);
  msghdr message{};
  message.msg_name = const_cast<SocketAddress*>(out.target);
  message.msg_namelen = SocketLength(family_);
  message.msg_iov = parts;
  message.msg_iovlen = parts[1].iov_len == 0 ? 1 : 2;
  PacketControl control;
  if (!NeedsNoControl(*out.options)) SetControl(*out.options, family_, &control, &message);
  return sendmsg(fd_, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 ? 0 : errno;
}

uint32_t PingSocket::SendMany(const Outgoing* out, uint32_t count, int* error) {
  const PacketOptions& options = *out->options;
  *error = ShapeFor(options);
  if (*error != 0) return 0;
  const size_t pad = options.size > sizeof(PacketTag) ? options.size - sizeof(PacketTag) : 0;
  uint8_t packets[kMany][kEchoLength];
  iovec parts[kMany][2];
  mmsghdr messages[kMany];
  PacketControl control;
  for (uint32_t i = 0; i < count; ++i) {
    EncodeEchoRequest(family_, id_, out[i].sequence, out[i].tag, packets[i]);
    parts[i][0] = {packets[i], kEchoLength};
    parts[i][1] = {padding, pad};
    msghdr& message = messages[i].msg_hdr;
    message = {};
    message.msg_name = const_cast<SocketAddress*>(out[i].target);
    message.msg_namelen = SocketLength(family_);
    message.msg_iov = parts[i];
    message.msg_iovlen = pad == 0 ? 1 : 2;
    if (!NeedsNoControl(options)) SetControl(options, family_, &control, &message);
  }
  const int sent = sendmmsg(fd_, messages, count, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent >= 0) return static_cast<uint32_t>(sent);
  *error = errno;
  return 0;
}

bool PingSocket::Decode(const uint8_t* data, size_t length, Answer* out) const {
  if (has_ip_header_) {
    const size_t header = Ipv4HeaderLength(data, length);
    if (header == 0) return false;
    data += header;
    length -= header;
  }
  Echo echo;
  if (!DecodeEcho(data, length, &echo) || echo.type != (family_ == AF_INET6 ? kEchoReply6 : kEchoReply4) ||
      echo.id != id_ || !echo.has_tag)
    return false;
  out->tag = echo.tag;
  out->sequence = echo.sequence;
  out->verdict = Verdict::kUp;
  out->rtt = 0;
  return true;
}

int PingSocket::Receive(Answer* out) {
  Message message;
  const ssize_t got = ReceiveMessage(fd_, 0, &message);
  if (got < 0) return errno;
  if (!Decode(message.data, static_cast<size_t>(got), out)) return ENOMSG;
  out->from = message.name;
  out->stamp = StampOf(&message.header);
  return 0;
}

uint32_t PingSocket::ReceiveMany(Answer* out, int* error) {
  struct Room {
    alignas(8) uint8_t data[96];  // an IP header with options, and an echo with its tag
    alignas(cmsghdr) uint8_t control[CMSG_SPACE(sizeof(timespec))];
  };
  Room rooms[kMany];
  iovec vectors[kMany];
  mmsghdr messages[kMany];
  for (uint32_t i = 0; i < kMany; ++i) {
    vectors[i] = {rooms[i].data, sizeof(rooms[i].data)};
    msghdr& message = messages[i].msg_hdr;
    message = {};
    message.msg_name = &out[i].from;
    message.msg_namelen = sizeof(out[i].from);
    message.msg_iov = &vectors[i];
    message.msg_iovlen = 1;
    message.msg_control = rooms[i].control;
    message.msg_controllen = sizeof(rooms[i].control);
  }
  const int got = recvmmsg(fd_, messages, kMany, MSG_DONTWAIT, nullptr);
  if (got <= 0) {
    *error = got < 0 ? errno : EAGAIN;
    return 0;
  }
  for (int i = 0; i < got; ++i) {
    const size_t length =
        messages[i].msg_len < sizeof(rooms[i].data) ? messages[i].msg_len : sizeof(rooms[i].data);
    if (Decode(rooms[i].data, length, &out[i])) {
      out[i].stamp = StampOf(&messages[i].msg_hdr);
    } else {
      out[i].from.family = AF_UNSPEC;
    }
  }
  return static_cast<uint32_t>(got);
}

int PingSocket::ReceiveFailure(Failure* out) {
  Message message;
  const ssize_t got = ReceiveMessage(fd_, MSG_ERRQUEUE, &message);
  if (got < 0) return errno;
  // The data is the packet as it was quoted, from its ICMP header on; the name is where it was sent to.
  Echo echo;
  if (!DecodeEcho(message.data, static_cast<size_t>(got), &echo) ||
      echo.type != (family_ == AF_INET6 ? kEchoRequest6 : kEchoRequest4) || echo.id != id_)
    return ENOMSG;
  if (!ReadError(&message.header, out)) return ENOMSG;
  out->destination = message.name;
  out->tagged = echo.has_tag;
  out->tag = echo.tag;
  out->sequence = echo.sequence;
  out->checksum = echo.checksum;
  return 0;
}

uint16_t PingSocket::ChecksumOf(uint16_t sequence, const PacketTag& tag) const {
  uint8_t packet[kEchoLength];
  EncodeEchoRequest(AF_INET, id_, sequence, tag, packet);
  Echo echo;
  DecodeEcho(packet, sizeof(packet), &echo);
  return echo.checksum;
}

}  // namespace fastcontainer
