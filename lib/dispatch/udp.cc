#include "lib/dispatch/udp.h"

#include <linux/errqueue.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace fastcontainer {
namespace {

constexpr int kReceiveBuffer = 1 << 20;
constexpr int kDatagramsPerRound = 64;
constexpr size_t kMaxSources = 4096;
constexpr size_t kReadSize = 2048;

void SetOption(int fd, int level, int name, int value) {
  // All of them make things better where the kernel knows them; none is needed.
  static_cast<void>(setsockopt(fd, level, name, &value, sizeof(value)));
}

void SetOptions(int fd, uint16_t family) {
  SetOption(fd, SOL_SOCKET, SO_RCVBUF, kReceiveBuffer);       // cut to net.core.rmem_max
  SetOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, kReceiveBuffer);  // not cut, with CAP_NET_ADMIN
  if (family == AF_INET) {
    SetOption(fd, IPPROTO_IP, IP_RECVERR, 1);
    SetOption(fd, IPPROTO_IP, IP_PKTINFO, 1);
    SetOption(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
  } else {
    SetOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    SetOption(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
    SetOption(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    SetOption(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
  }
}

absl::Status BindError(const Address& address, int error) {
  const std::string at = absl::StrCat("UDP ", address.ToString(), ": ");
  switch (error) {
    case EADDRINUSE:
      return absl::AlreadyExistsError(absl::StrCat(at, "address in use: another process listens there"));
    case EACCES:
      return absl::PermissionDeniedError(absl::StrCat(at, strerror(error)));
    case EADDRNOTAVAIL:
      return absl::InvalidArgumentError(absl::StrCat(at, "not an address of this machine"));
    default:
      return absl::UnavailableError(absl::StrCat(at, strerror(error)));
  }
}

// Calls `use(level, type, data, length)` for each control message.
template <typename Use>
void ForEachControl(msghdr* header, Use use) {
  for (cmsghdr* c = CMSG_FIRSTHDR(header); c != nullptr; c = CMSG_NXTHDR(header, c))
    use(c->cmsg_level, c->cmsg_type, CMSG_DATA(c));
}

Address DestinationOf(msghdr* header) {
  Address address;
  ForEachControl(header, [&](int level, int type, const unsigned char* data) {
    if (level == IPPROTO_IP && type == IP_PKTINFO) {
      in_pktinfo info;
      std::memcpy(&info, data, sizeof(info));
      address.family = AF_INET;
      std::memcpy(address.ip.data(), &info.ipi_spec_dst, sizeof(info.ipi_spec_dst));
    } else if (level == IPPROTO_IPV6 && type == IPV6_PKTINFO) {
      in6_pktinfo info;
      std::memcpy(&info, data, sizeof(info));
      address.family = AF_INET6;
      std::memcpy(address.ip.data(), &info.ipi6_addr, sizeof(info.ipi6_addr));
    }
  });
  return address;
}

// Fills the control message that sets the source address; returns its length.
size_t PutSource(const Address& source, msghdr* header) {
  cmsghdr* const control = CMSG_FIRSTHDR(header);
  if (source.family == AF_INET) {
    in_pktinfo info{};
    std::memcpy(&info.ipi_spec_dst, source.ip.data(), sizeof(info.ipi_spec_dst));
    control->cmsg_level = IPPROTO_IP;
    control->cmsg_type = IP_PKTINFO;
    control->cmsg_len = CMSG_LEN(sizeof(info));
    std::memcpy(CMSG_DATA(control), &info, sizeof(info));
    return CMSG_SPACE(sizeof(info));
  }
  in6_pktinfo info{};
  std::memcpy(&info.ipi6_addr, source.ip.data(), sizeof(info.ipi6_addr));
  control->cmsg_level = IPPROTO_IPV6;
  control->cmsg_type = IPV6_PKTINFO;
  control->cmsg_len = CMSG_LEN(sizeof(info));
  std::memcpy(CMSG_DATA(control), &info, sizeof(info));
  return CMSG_SPACE(sizeof(info));
}

}  // namespace

absl::StatusOr<std::unique_ptr<UdpSocket>> UdpSocket::Create(Reactor& reactor, const Address& bind_address) {
  sockaddr_storage storage{};
  const socklen_t length = bind_address.ToSockaddr(&storage);
  if (length == 0) return absl::InvalidArgumentError("UDP: an address to bind to is needed");
  const int fd = socket(bind_address.family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);
  if (fd < 0) return BindError(bind_address, errno);
  SetOptions(fd, bind_address.family);
  socklen_t bound_length = sizeof(storage);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&storage), length) != 0 ||
      getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &bound_length) != 0) {
    const int error = errno;
    close(fd);
    return BindError(bind_address, error);
  }
  std::unique_ptr<UdpSocket> made(
      new UdpSocket(reactor, fd, Address::FromSockaddr(reinterpret_cast<const sockaddr*>(&storage))));
  UdpSocket* const raw = made.get();
  const absl::Status watched = reactor.Watch(fd, EPOLLIN, [raw](uint32_t events) { raw->Ready(events); });
  if (!watched.ok()) return watched;
  return made;
}

UdpSocket::UdpSocket(Reactor& reactor, int fd, const Address& local)
    : reactor_(reactor), fd_(fd), local_(local), alive_(std::make_shared<bool>(true)) {}

UdpSocket::~UdpSocket() {
  *alive_ = false;
  reactor_.Unwatch(fd_);
  close(fd_);
}

void UdpSocket::SetCallbacks(ReceiveCallback receive, ErrorCallback error) {
  on_receive_ = receive ? std::make_shared<ReceiveCallback>(std::move(receive)) : nullptr;
  on_error_ = error ? std::make_shared<ErrorCallback>(std::move(error)) : nullptr;
}

int UdpSocket::TrySend(const Address& to, const Address& source, std::string_view datagram) {
  sockaddr_storage storage{};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(in6_pktinfo))] = {};
  iovec part{const_cast<char*>(datagram.data()), datagram.size()};
  msghdr header{};
  header.msg_name = &storage;
  header.msg_namelen = to.ToSockaddr(&storage);
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (source) {
    header.msg_control = control;
    header.msg_controllen = sizeof(control);
    header.msg_controllen = PutSource(source, &header);
  }
  return sendmsg(fd_, &header, MSG_NOSIGNAL) < 0 ? errno : 0;
}

void UdpSocket::Send(const Address& to, std::string_view datagram) {
  if (to.family != local_.family) return Report(to, EAFNOSUPPORT);
  const auto found = source_.find(to);
  Address source = found == source_.end() ? Address() : found->second;
  int error = TrySend(to, source, datagram);
  // The first failure may be the pending error of an earlier datagram to somebody else (it is on the error
  // queue as well and is told from there), or the remembered source is no longer ours.
  if (error != 0 && error != EAGAIN && error != ENOBUFS) {
    if (source && (error == EINVAL || error == EADDRNOTAVAIL || error == ENETUNREACH)) source = Address();
    error = TrySend(to, source, datagram);
  }
  // A full queue is a lost datagram like any other: the protocol asks again.
  if (error != 0 && error != EAGAIN && error != ENOBUFS) Report(to, error);
}

void UdpSocket::Report(const Address& to, int error) {
  reactor_.Defer([this, alive = alive_, to, error] {
    if (!*alive) return;
    if (const std::shared_ptr<ErrorCallback> callback = on_error_) (*callback)(to, error);
  });
}

void UdpSocket::Ready(uint32_t) {
  const std::shared_ptr<bool> alive = alive_;
  // Before the datagrams: a refusal is known before what arrived after it is acted upon.
  DrainErrors();
  for (int i = 0; i < kDatagramsPerRound && *alive; ++i)
    if (!ReceiveOne()) return;
}

void UdpSocket::DrainErrors() {
  for (int i = 0; i < kDatagramsPerRound; ++i) {
    sockaddr_storage storage{};
    alignas(cmsghdr) char control[512];
    msghdr header{};
    header.msg_name = &storage;
    header.msg_namelen = sizeof(storage);
    header.msg_control = control;
    header.msg_controllen = sizeof(control);
    if (recvmsg(fd_, &header, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) return;
    ForEachControl(&header, [&](int level, int type, const unsigned char* data) {
      if (!(level == IPPROTO_IP && type == IP_RECVERR) && !(level == IPPROTO_IPV6 && type == IPV6_RECVERR))
        return;
      sock_extended_err error{};
      std::memcpy(&error, data, sizeof(error));
      const Address to = Address::FromSockaddr(reinterpret_cast<const sockaddr*>(&storage));
      if (error.ee_errno != 0 && to) Report(to, static_cast<int>(error.ee_errno));
    });
  }
}

bool UdpSocket::ReceiveOne() {
  sockaddr_storage storage{};
  alignas(cmsghdr) char control[256];
  char buffer[kReadSize];
  iovec part{buffer, sizeof(buffer)};
  msghdr header{};
  header.msg_name = &storage;
  header.msg_namelen = sizeof(storage);
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  const ssize_t length = recvmsg(fd_, &header, MSG_DONTWAIT);
  if (length < 0) {
    if (errno == EAGAIN || errno == EBADF) return false;
    DrainErrors();  // the call told a pending error, not that the queue is empty
    return true;
  }
  if ((header.msg_flags & MSG_TRUNC) != 0) return true;
  const Address from = Address::FromSockaddr(reinterpret_cast<const sockaddr*>(&storage));
  if (!from) return true;
  const Address to = DestinationOf(&header);
  destination_ = to ? to.WithPort(local_.port) : local_;
  if (local_.IsAny()) Remember(from, to);
  if (const std::shared_ptr<ReceiveCallback> callback = on_receive_)
    (*callback)(from, std::string_view(buffer, static_cast<size_t>(length)));
  return true;
}

void UdpSocket::Remember(const Address& peer, const Address& local) {
  if (!local) return;
  const auto [found, added] = source_.insert_or_assign(peer, local);
  static_cast<void>(found);
  if (!added) return;
  source_order_.push_back(peer);
  if (source_order_.size() <= kMaxSources) return;
  source_.erase(source_order_.front());
  source_order_.pop_front();
}

}  // namespace fastcontainer
