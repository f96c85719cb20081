#include "lib/runtime/ready.h"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"

namespace fastcontainer {
namespace {

// Between two tries a sixteenth of the time since the start: what passes unseen is that part of it, and a
// start of a second costs a hundred tries of some 30 us.
constexpr Nanos kShortestDelay = 1 * kMillisecond;
constexpr Nanos kLongestDelay = 100 * kMillisecond;
constexpr Nanos kShareOfStart = 16;
// One question may take this long: an application's first answer may take seconds, and asking again would
// only add to its work.
constexpr Nanos kTryTimeout = 10 * kSecond;
constexpr size_t kStatusLine = sizeof("HTTP/1.1 200") - 1;

bool IsDigit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }

// -1: not HTTP, 0: more bytes needed, else the status code (RFC 9112, section 4).
int StatusOf(std::string_view answer) {
  constexpr std::string_view kName = "HTTP/";
  if (answer.substr(0, kName.size()) != kName.substr(0, std::min(answer.size(), kName.size()))) return -1;
  if (answer.size() < kStatusLine) return 0;
  if (answer[8] != ' ' || !IsDigit(answer[9]) || !IsDigit(answer[10]) || !IsDigit(answer[11])) return -1;
  return (answer[9] - '0') * 100 + (answer[10] - '0') * 10 + (answer[11] - '0');
}

// TCP connects a socket to itself if the kernel picks the asked-for port as the source port (RFC 9293,
// simultaneous open).
bool IsSelfConnected(int fd) {
  sockaddr_storage local{};
  sockaddr_storage peer{};
  socklen_t local_size = sizeof(local);
  socklen_t peer_size = sizeof(peer);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&local), &local_size) != 0 ||
      getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &peer_size) != 0)
    return false;
  return Address::FromSockaddr(reinterpret_cast<sockaddr*>(&local)) ==
         Address::FromSockaddr(reinterpret_cast<sockaddr*>(&peer));
}

}  // namespace

absl::Status CheckAddressFree(const Address& address) {
  const UniqueFd fd(socket(address.family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid())
    return absl::ResourceExhaustedError(absl::StrCat("cannot make a socket: ", std::strerror(errno)));
  // Connections of the last one that wait in TIME_WAIT are no obstacle; a listener still is.
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_storage storage{};
  const socklen_t size = address.ToSockaddr(&storage);
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&storage), size) == 0) return absl::OkStatus();
  if (errno == EADDRINUSE)
    return absl::ResourceExhaustedError(absl::StrCat("address ", address.ToString(), " is in use"));
  if (errno == EADDRNOTAVAIL)
    return absl::InvalidArgumentError(
        absl::StrCat("address ", address.ToString(), " is not one of this machine's"));
  return absl::OkStatus();  // what this process may not bind the container perhaps may
}

ReadinessProbe::ReadinessProbe(Reactor& reactor, const Address& address, std::string path, Callback ready)
    : reactor_(reactor),
      address_(address),
      path_(std::move(path)),
      ready_(std::move(ready)),
      began_(reactor.Now()) {
  TryLater();
}

ReadinessProbe::~ReadinessProbe() {
  reactor_.CancelTimer(timer_);
  CloseSocket();
}

void ReadinessProbe::CloseSocket() {
  if (!socket_.valid()) return;
  reactor_.Unwatch(socket_.get());
  socket_.Close();
}

void ReadinessProbe::Retry() {
  CloseSocket();
  reactor_.CancelTimer(timer_);
  TryLater();
}

void ReadinessProbe::TryLater() {
  const Nanos delay = std::clamp((reactor_.Now() - began_) / kShareOfStart, kShortestDelay, kLongestDelay);
  timer_ = reactor_.After(delay, [this] { Try(); });
}

void ReadinessProbe::Try() {
  timer_ = 0;
  asked_ = false;
  answer_.clear();
  sockaddr_storage storage{};
  const socklen_t size = address_.ToSockaddr(&storage);
  socket_ = UniqueFd(socket(address_.family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket_.valid() ||
      !reactor_.Watch(socket_.get(), EPOLLOUT, [this](uint32_t events) { OnSocket(events); }).ok()) {
    socket_.Close();
    return Retry();
  }
  if (connect(socket_.get(), reinterpret_cast<sockaddr*>(&storage), size) != 0 && errno != EINPROGRESS)
    return Retry();
  timer_ = reactor_.After(kTryTimeout, [this] { Retry(); });
}

bool ReadinessProbe::Connected() {
  int error = 0;
  socklen_t size = sizeof(error);
  if (getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) return false;
  if (!IsSelfConnected(socket_.get())) return true;
  // Closed without TIME_WAIT, or the container could not take its own port.
  const linger reset{1, 0};
  setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  return false;
}

void ReadinessProbe::OnSocket(uint32_t) {
  if (asked_) return ReadAnswer();
  if (!Connected()) return Retry();
  if (path_.empty()) return Succeed();
  const std::string request =
      absl::StrCat("GET ", path_, " HTTP/1.1\r\nHost: ", address_.ToString(),
                   "\r\nUser-Agent: fastcontainer\r\nAccept: */*\r\nConnection: close\r\n\r\n");
  const ssize_t sent = send(socket_.get(), request.data(), request.size(), MSG_NOSIGNAL);
  if (sent != static_cast<ssize_t>(request.size())) return Retry();
  asked_ = true;
  if (!reactor_.Watch(socket_.get(), EPOLLIN, [this](uint32_t events) { OnSocket(events); }).ok()) Retry();
}

void ReadinessProbe::ReadAnswer() {
  std::array<char, 512> buffer;
  const ssize_t got = recv(socket_.get(), buffer.data(), buffer.size(), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return Retry();
  answer_.append(buffer.data(), static_cast<size_t>(got));
  const int status = StatusOf(answer_);
  if (status == 0) return;
  if (status < 100 || status >= 500) return Retry();
  Succeed();
}

void ReadinessProbe::Succeed() {
  CloseSocket();
  reactor_.CancelTimer(timer_);
  timer_ = 0;
  Callback ready = std::move(ready_);  // it may destroy this object
  ready();
}

}  // namespace fastcontainer
