#include "lib/probe/syn_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

namespace fastcontainer {
namespace {

// How long the own address towards a target is taken for granted.
constexpr Nanos kSourceLife = kSecond;

Nanos CoarseNow() {
  timespec ts;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
  return static_cast<Nanos>(ts.tv_sec) * kSecond + ts.tv_nsec;
}

// The address that packets to `target` leave with: the checksum covers it, and the kernel does not compute
// that of raw IPv4 packets. 0 or an errno.
int LookUpSource(const SocketAddress& target, uint32_t interface, in_addr* out) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  const int index = static_cast<int>(interface);
  SocketAddress own{};
  socklen_t length = sizeof(own);
  int error = 0;
  if ((interface != 0 && setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &index, sizeof(index)) != 0) ||
      connect(fd, &target.any, sizeof(target.v4)) != 0 || getsockname(fd, &own.any, &length) != 0)
    error = errno;
  *out = own.v4.sin_addr;
  close(fd);
  return error;
}

// Builds a filter that ends with: accept, drop.
class FilterWriter {
 public:
  void Add(sock_filter instruction) { code_[length_++] = instruction; }
  void AddPort(uint16_t port) { ports_[port_count_++] = ntohs(port); }
  int Attach(int fd) {
    for (uint32_t i = 0; i < port_count_; ++i)
      Add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ports_[i], static_cast<uint8_t>(port_count_ - i), 0));
    Add(BPF_STMT(BPF_RET | BPF_K, 0));
    Add(BPF_STMT(BPF_RET | BPF_K, 0xffff));
    const sock_fprog program = {length_, code_};
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0 ? 0 : errno;
  }

 private:
  sock_filter code_[128];
  uint16_t length_ = 0;
  uint16_t ports_[100];
  uint32_t port_count_ = 0;
};

}  // namespace

SynSocket::~SynSocket() {
  if (fd_ >= 0) close(fd_);
  for (const int fd : reserved_)
    if (fd >= 0) close(fd);
}

int SynSocket::Open(sa_family_t family) {
  family_ = family;
  int error = OpenSocket();
  if (error == 0) error = ReservePorts();
  if (error == 0) error = AttachFilter();
  if (error == 0) return 0;
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
  snprintf(problem_, sizeof(problem_),
           error == EPERM || error == EACCES ? "no raw TCP socket: CAP_NET_RAW is missing (%s)"
                                             : "no raw TCP socket: %s",
           strerror(error));
  return error;
}

int SynSocket::OpenSocket() {
  fd_ = socket(family_, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
  if (fd_ < 0) return errno;
  // It sees all TCP packets of the machine; until the filter is there, none.
  sock_filter none[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
  const sock_fprog program = {1, none};
  if (setsockopt(fd_, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) != 0) return errno;
  const int offset = kTcpChecksumOffset;
  if (family_ == AF_INET6 && setsockopt(fd_, IPPROTO_IPV6, IPV6_CHECKSUM, &offset, sizeof(offset)) != 0)
    return errno;
  return PrepareSocket(fd_, family_);
}

int SynSocket::ReservePorts() {
  for (uint32_t i = 0; i < kOwnPorts; ++i) {
    reserved_[i] = socket(family_, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
    if (reserved_[i] < 0) return errno;
    const int on = 1;
    if (family_ == AF_INET6 && setsockopt(reserved_[i], IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0)
      return errno;
    SocketAddress name{};
    name.family = family_;
    socklen_t length = SocketLength(family_);
    if (bind(reserved_[i], &name.any, length) != 0 || getsockname(reserved_[i], &name.any, &length) != 0)
      return errno;
    own_ports_[i] = SocketPort(name);
  }
  return 0;
}

// Lets in what acknowledges something at one of our ports. A flood of other packets costs the machine a
// copy each and this filter, and never our receive buffer.
int SynSocket::AttachFilter() {
  FilterWriter filter;
  if (family_ == AF_INET) {
    filter.Add(BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0));  // X = length of the IP header
  } else {
    filter.Add(BPF_STMT(BPF_LDX | BPF_W | BPF_IMM, 0));  // raw IPv6 sockets see no IP header
  }
  filter.Add(BPF_STMT(BPF_LD | BPF_B | BPF_IND, 13));
  filter.Add(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, kAckFlag, 1, 0));
  filter.Add(BPF_STMT(BPF_RET | BPF_K, 0));
  filter.Add(BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2));
  for (const uint16_t port : own_ports_) filter.AddPort(port);
  for (const Port& port : sweep_)
    if (port.number != 0) filter.AddPort(port.number);
  return filter.Attach(fd_);
}

int SynSocket::ChoosePort(const PacketOptions& options, uint16_t* out) {
  const uint16_t wanted = options.source.family == AF_UNSPEC ? uint16_t{0} : SocketPort(options.source);
  if (wanted == 0) {
    *out = own_ports_[next_port_++ % kOwnPorts];
    return 0;
  }
  *out = wanted;
  Port* oldest = &sweep_[0];
  for (Port& port : sweep_) {
    if (port.number == wanted) {
      port.used = ++uses_;
      return 0;
    }
    if (port.used < oldest->used) oldest = &port;
  }
  *oldest = {wanted, ++uses_};
  return AttachFilter();
}

int SynSocket::ChooseSource(const Outgoing& packet, SocketAddress* out) {
  const PacketOptions& options = *packet.options;
  *out = {};
  if (options.source.family != AF_UNSPEC && !IsAnyHost(options.source)) *out = options.source;
  if (family_ == AF_INET6 || out->family != AF_UNSPEC) return 0;
  out->family = AF_INET;
  const SocketAddress& target = *packet.target;
  Source& source = sources_[MixBits(target.v4.sin_addr.s_addr + options.interface) % kSources];
  const Nanos now = CoarseNow();
  if (source.until <= now || source.interface != options.interface || !SameHost(source.target, target)) {
    source.until = 0;
    const int error = LookUpSource(target, options.interface, &source.own);
    if (error != 0) return error;
    source.target = target;
    source.interface = options.interface;
    source.until = now + kSourceLife;
  }
  out->v4.sin_addr = source.own;
  return 0;
}

bool SynSocket::NextSequence(uint32_t* out) {
  if (random_left_ == 0) {
    if (getrandom(random_, sizeof(random_), 0) != sizeof(random_)) return false;
    random_left_ = kRandom;
  }
  *out = random_[--random_left_];
  return true;
}

int SynSocket::Send(const Outgoing& packet) {
  const SocketAddress& target = *packet.target;
  if (target.family != family_) return EAFNOSUPPORT;
  if (SocketPort(target) == 0) return EADDRNOTAVAIL;
  uint32_t sequence;
  uint16_t port;
  if (!NextSequence(&sequence)) return errno;
  int error = ChoosePort(*packet.options, &port);
  if (error != 0) return error;
  const uint32_t index = packets_.Add(packet, sequence);
  if (index == OpenPackets::kNone) return ENOMEM;
  packets_.at(index).port = port;
  error = Transmit(packet, index);
  // Of the address that it left with until now, if that has gone; kernels differ.
  if (error == EINVAL || error == ENETUNREACH) {
    for (Source& source : sources_) source.until = 0;
    error = Transmit(packet, index);
  }
  if (error != 0) packets_.Remove(index);
  return error;
}

int SynSocket::Transmit(const Outgoing& packet, uint32_t index) {
  SocketAddress source;
  const int error = ChooseSource(packet, &source);
  if (error != 0) return error;
  OpenPacket& open = packets_.at(index);
  uint8_t syn[kSynLength];
  EncodeSyn(open.port, SocketPort(open.target), static_cast<uint32_t>(open.key), syn);
  if (family_ == AF_INET) {
    open.own = source.v4.sin_addr;
    const uint16_t checksum = TcpChecksum(open.own, open.target.v4.sin_addr, syn, sizeof(syn));
    memcpy(syn + kTcpChecksumOffset, &checksum, sizeof(checksum));
  }
  SocketAddress to = open.target;
  SetSocketPort(&to, 0);  // a raw socket takes it for the protocol
  return SendPacket(fd_, to, syn, sizeof(syn), false, *packet.options, source);
}

uint32_t SynSocket::Find(const SocketAddress& host, uint16_t port, uint16_t own_port,
                         uint32_t sequence) const {
  uint32_t index = packets_.FirstWithKey(sequence);
  for (; index != OpenPackets::kNone; index = packets_.NextWithKey(index)) {
    const OpenPacket& packet = packets_.at(index);
    if (packet.key == sequence && packet.port == own_port && SocketPort(packet.target) == port &&
        SameHost(packet.target, host))
      break;
  }
  return index;
}

int SynSocket::Receive(Answer* out) {
  Received received;
  const int error = ReceivePacket(fd_, 0, &received);
  if (error != 0) return error;
  TcpHeader tcp;
  in_addr own{};
  const bool is_tcp = family_ == AF_INET ? DecodeIpv4Tcp(received.data, received.length, &own, &tcp)
                                         : DecodeTcp(received.data, received.length, &tcp);
  // An acknowledgment without SYN comes from a connection that an earlier packet of ours has left half open.
  if (!is_tcp || (tcp.flags & kAckFlag) == 0) return ENOMSG;
  const uint32_t index = Find(received.name, tcp.source, tcp.destination, tcp.acknowledgment - 1);
  if (index == OpenPackets::kNone) return ENOMSG;
  const OpenPacket& packet = packets_.at(index);
  if (family_ == AF_INET && packet.own.s_addr != own.s_addr) return ENOMSG;
  *out = Answer();
  out->from = packet.target;
  out->tag = packet.tag;
  out->sequence = packet.sequence;
  out->verdict = (tcp.flags & kResetFlag) != 0 ? Verdict::kUpPortClosed : Verdict::kUp;
  out->stamp = received.stamp;
  return 0;
}

int SynSocket::ReceiveFailure(Failure* out) {
  Received received;
  const int error = ReceivePacket(fd_, MSG_ERRQUEUE, &received);
  if (error != 0) return error;
  // Of any TCP packet of the machine. The data is what was quoted, from the TCP header on.
  TcpHeader tcp;
  if (received.error == 0 || !DecodeTcpQuotation(received.data, received.length, &tcp)) return ENOMSG;
  const uint32_t index = Find(received.name, tcp.destination, tcp.source, tcp.sequence);
  if (index == OpenPackets::kNone) return ENOMSG;
  const OpenPacket& packet = packets_.at(index);
  FillFailure(received, packet.target, out);
  out->tagged = true;
  out->tag = packet.tag;
  out->sequence = packet.sequence;
  return 0;
}

void SynSocket::Forget(const PacketTag& tag) {
  const uint32_t index = packets_.FindTag(tag);
  if (index != OpenPackets::kNone) packets_.Remove(index);
}

}  // namespace fastcontainer
