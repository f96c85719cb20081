#include "tests/deployment/openloop_request.h"

#include <netdb.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace openloop {

Nanos Now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<Nanos>(now.tv_sec) * kSecond + now.tv_nsec;
}

bool Options::SetAddress(const std::string& host_address, const std::string& port) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host_address.c_str(), port.c_str(), &hints, &found) != 0) return false;
  memcpy(&address, found->ai_addr, found->ai_addrlen);
  address_length = found->ai_addrlen;
  freeaddrinfo(found);
  return true;
}

bool Options::SetUrl(const std::string& url) {
  const std::string scheme = "http://";
  if (url.rfind(scheme, 0) != 0) return false;
  const size_t slash = url.find('/', scheme.size());
  const std::string authority = url.substr(scheme.size(), slash - scheme.size());
  const size_t colon = authority.rfind(':');
  if (colon == std::string::npos) return false;
  path = slash == std::string::npos ? "/" : url.substr(slash);
  if (host.empty()) host = authority;
  return SetAddress(authority.substr(0, colon), authority.substr(colon + 1));
}

std::string Request::Numbered(const std::string& text) const {
  const size_t place = text.find("{n}");
  if (place == std::string::npos) return text;
  return text.substr(0, place) + std::to_string(number_) + text.substr(place + 3);
}

void Request::Compose() {
  const std::string path = Numbered(options_.path);
  const std::string body = Numbered(options_.body);
  out_ = options_.method + " " + path + " HTTP/1.1\r\nHost: " + options_.host +
         "\r\nConnection: " + (options_.keep_alive ? "keep-alive" : "close") + "\r\n";
  if (options_.method == "POST") {
    out_ +=
        "Content-Type: " + options_.body_type + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
  }
  out_ += "\r\n" + body;
}

bool Request::Start(uint64_t number, Nanos due) {
  number_ = number;
  due_ = due;
  sent_ = heard_ = Now();
  silence_ = 0;
  busy_ = true;
  repeated_ = false;
  written_ = 0;
  in_.Reset();
  if (out_.empty() || options_.numbered) Compose();
  reused_ = socket_ >= 0;
  if (reused_) return Write();
  return Connect();
}

bool Request::Connect() {
  socket_ = socket(options_.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket_ < 0) return End(std::string("socket: ") + strerror(errno), false);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.u64 = index_;
  epoll_ctl(loop_, EPOLL_CTL_ADD, socket_, &event);
  const auto* to = reinterpret_cast<const sockaddr*>(&options_.address);
  if (connect(socket_, to, options_.address_length) == 0) return Write();
  if (errno == EINPROGRESS) return false;
  return End(std::string("connect: ") + strerror(errno), false);
}

bool Request::Write() {
  while (written_ < out_.size()) {
    const ssize_t n = write(socket_, out_.data() + written_, out_.size() - written_);
    if (n > 0) {
      written_ += static_cast<size_t>(n);
    } else if (errno == EAGAIN || errno == ENOTCONN) {
      return false;
    } else {
      return Broken(std::string("write: ") + strerror(errno));
    }
  }
  return false;
}

bool Request::OnReady(uint32_t events) {
  if (!busy_) {
    // A kept connection that its other end closes between two requests is no failure.
    if ((events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR)) != 0) Close();
    return false;
  }
  if ((events & EPOLLERR) != 0) {
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0) return Broken((written_ == 0 ? "connect: " : "read: ") + std::string(strerror(error)));
  }
  if (written_ < out_.size() && Write()) return true;
  return Read();
}

bool Request::Read() {
  char buffer[65536];
  for (;;) {
    const ssize_t n = read(socket_, buffer, sizeof buffer);
    if (n > 0) {
      Heard();
      if (in_.Feed(buffer, static_cast<size_t>(n))) return Complete();
    } else if (n == 0) {
      if (in_.Closed()) return Complete();
      return Broken(in_.empty() ? "closed without an answer" : "closed within the answer");
    } else if (errno == EAGAIN || errno == ENOTCONN) {
      return false;
    } else {
      return Broken(std::string("read: ") + strerror(errno));
    }
  }
}

void Request::Heard() {
  const Nanos now = Now();
  silence_ = std::max(silence_, now - heard_);
  heard_ = now;
}

bool Request::Broken(const std::string& how) {
  if (!reused_ || !in_.empty() || options_.method == "POST") return End(how, false);
  // Its end closed the connection just when it was used again (RFC 9112 section 9.5).
  Close();
  written_ = 0;
  reused_ = false;
  repeated_ = true;
  return Connect();
}

bool Request::Complete() {
  const bool keep = options_.keep_alive && in_.persistent();
  if (options_.check_body && in_.status() / 100 == 2 &&
      (in_.body_bytes() != options_.expect_bytes || in_.digest() != options_.expect_digest)) {
    return End("wrong body", false);
  }
  return End(std::to_string(in_.status()), keep);
}

void Request::GiveUp(const char* why) { End(why, false); }

bool Request::End(const std::string& outcome, bool keep) {
  outcome_ = outcome;
  busy_ = false;
  if (!keep) Close();
  return true;
}

void Request::Close() {
  if (socket_ >= 0) close(socket_);
  socket_ = -1;
}

}  // namespace openloop
