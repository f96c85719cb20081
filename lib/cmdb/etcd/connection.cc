#include "lib/cmdb/etcd/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"

namespace fastcontainer::etcd {
namespace {

// Unacknowledged data for so long means that the path or the machine is gone (tcp(7)).
constexpr unsigned int kUserTimeoutMs = 5'000;
constexpr int kReadsPerRound = 16;
constexpr size_t kTrimAt = 1 << 20;

void SetOptions(int fd) {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &kUserTimeoutMs, sizeof(kUserTimeoutMs));
}

}  // namespace

std::shared_ptr<Connection> Connection::Open(Reactor& reactor, const Endpoint& endpoint,
                                             std::shared_ptr<TlsContext> tls, Observer observer) {
  std::shared_ptr<Connection> connection(new Connection(reactor, std::move(observer)));
  Connection* const self = connection.get();
  self->endpoint_ = endpoint;
  absl::Status failed;
  if (tls != nullptr) {
    absl::StatusOr<std::unique_ptr<TlsSession>> session = TlsSession::Create(*tls, endpoint.host);
    if (session.ok()) self->tls_ = *std::move(session);
    failed = session.status();
  }
  if (!failed.ok()) {
    reactor.Defer([weak = self->weak_from_this(), failed] {
      if (const auto held = weak.lock()) held->Fail(failed);
    });
    return connection;
  }
  self->lookup_ = std::make_unique<NameLookup>(
      endpoint.host, reactor,
      [weak = self->weak_from_this()](absl::StatusOr<std::vector<Address>> addresses) {
        if (const auto held = weak.lock()) held->OnAddresses(std::move(addresses));
      });
  return connection;
}

void Connection::OnAddresses(absl::StatusOr<std::vector<Address>> addresses) {
  if (closed_) return;
  if (!addresses.ok()) return Fail(addresses.status());
  addresses_ = *std::move(addresses);
  TryNextAddress();
}

void Connection::TryNextAddress() {
  absl::Status last = absl::UnavailableError("the name has no address");
  while (next_address_ < addresses_.size()) {
    last = StartConnect(addresses_[next_address_++]);
    if (last.ok()) return;
  }
  Fail(last);
}

absl::Status Connection::StartConnect(const Address& address) {
  sockaddr_storage storage{};
  const socklen_t length = address.WithPort(endpoint_.port).ToSockaddr(&storage);
  if (fd_.valid()) reactor_.Unwatch(fd_.get());
  watched_ = 0;
  fd_ = UniqueFd(socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd_.valid()) return absl::UnavailableError(absl::ErrnoToStatus(errno, "no socket").message());
  SetOptions(fd_.get());
  if (connect(fd_.get(), reinterpret_cast<const sockaddr*>(&storage), length) != 0 && errno != EINPROGRESS)
    return absl::UnavailableError(absl::ErrnoToStatus(errno, "cannot connect").message());
  Watch();
  return absl::OkStatus();
}

void Connection::Watch() {
  const bool writes = !connected_ || unsent() > 0;
  const uint32_t wanted = (connected_ ? uint32_t{EPOLLIN} : 0u) | (writes ? uint32_t{EPOLLOUT} : 0u);
  if (wanted == watched_ || closed_) return;
  const absl::Status status = reactor_.Watch(fd_.get(), wanted, [weak = weak_from_this()](uint32_t events) {
    if (const auto held = weak.lock()) held->OnEvents(events);
  });
  watched_ = wanted;
  if (status.ok()) return;
  reactor_.Defer([weak = weak_from_this(), status] {
    if (const auto held = weak.lock()) held->Fail(status);
  });
}

void Connection::OnEvents(uint32_t events) {
  if (closed_) return;
  if (!connected_) return FinishConnect();
  if ((events & EPOLLOUT) != 0) Write();
  if ((events & ~uint32_t{EPOLLOUT}) != 0 && !closed_) Read();
}

void Connection::FinishConnect() {
  int error = 0;
  socklen_t length = sizeof(error);
  getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) {
    if (next_address_ < addresses_.size()) return TryNextAddress();
    return Fail(absl::ErrnoToStatus(error, "cannot connect"));
  }
  connected_ = true;
  if (tls_ != nullptr) tls_->TakeOutput(&out_);
  Write();
}

void Connection::Read() {
  std::array<char, 65'536> buffer;
  std::string plain;
  for (int i = 0; i < kReadsPerRound && !closed_; ++i) {
    const ssize_t got = recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (got < 0) return Fail(absl::ErrnoToStatus(errno, "the connection broke"));
    if (got == 0) return Fail(absl::UnavailableError("closed by the server"));
    const std::string_view bytes(buffer.data(), static_cast<size_t>(got));
    if (tls_ == nullptr) {
      observer_.on_bytes(bytes);
    } else {
      plain.clear();
      const absl::Status status = tls_->Receive(bytes, &plain);
      tls_->TakeOutput(&out_);
      Write();
      if (!plain.empty() && !closed_) observer_.on_bytes(plain);
      if (!status.ok()) return Fail(status);
    }
    if (bytes.size() < buffer.size()) return;
  }
}

void Connection::Send(std::string_view bytes) {
  if (closed_ || bytes.empty()) return;
  if (tls_ == nullptr) {
    out_.append(bytes);
  } else {
    const absl::Status status = tls_->Send(bytes);
    if (!status.ok()) {
      reactor_.Defer([weak = weak_from_this(), status] {
        if (const auto held = weak.lock()) held->Fail(status);
      });
      return;
    }
    if (connected_) tls_->TakeOutput(&out_);
  }
  if (connected_) Write();
}

void Connection::Write() {
  while (unsent() > 0 && !closed_) {
    const ssize_t sent = send(fd_.get(), out_.data() + out_begin_, unsent(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    // An error is told by the next read, with what came before it.
    if (sent < 0) break;
    out_begin_ += static_cast<size_t>(sent);
  }
  if (unsent() == 0) {
    out_.clear();
    out_begin_ = 0;
  } else if (out_begin_ > kTrimAt) {
    out_.erase(0, std::exchange(out_begin_, 0));
  }
  Watch();
}

absl::Status Connection::Describe(const absl::Status& why) const {
  return absl::UnavailableError(
      absl::StrCat("etcd ", endpoint_.ToString(), ": ", std::string(why.message())));
}

void Connection::Fail(const absl::Status& why) {
  if (closed_) return;
  const std::shared_ptr<Connection> held = shared_from_this();
  Close();
  observer_.on_closed(Describe(why));
}

void Connection::Close() {
  if (closed_) return;
  closed_ = true;
  lookup_.reset();
  if (fd_.valid()) reactor_.Unwatch(fd_.get());
  fd_.Close();
}

}  // namespace fastcontainer::etcd
