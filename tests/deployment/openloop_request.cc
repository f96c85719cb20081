#include "tests/deployment/openloop_request.h"

#include <netdb.h>
#include <strings.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
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

bool Request::Start(uint64_t number, Nanos due) {
  number_ = number;
  due_ = due;
  busy_ = true;
  written_ = 0;
  in_.clear();
  if (out_.empty()) {
    out_ = options_.method + " " + options_.path + " HTTP/1.1\r\nHost: " + options_.host +
           "\r\nConnection: " + (options_.keep_alive ? "keep-alive" : "close") + "\r\n" +
           (options_.method == "POST" ? "Content-Length: 0\r\n" : "") + "\r\n";
  }
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
    if (error != 0) return Broken(std::string("connect: ") + strerror(error));
  }
  if (written_ < out_.size() && Write()) return true;
  return Read();
}

bool Request::Read() {
  char buffer[65536];
  for (;;) {
    const ssize_t n = read(socket_, buffer, sizeof buffer);
    if (n > 0) {
      in_.append(buffer, static_cast<size_t>(n));
      if (Complete(false)) return true;
    } else if (n == 0) {
      if (Complete(true)) return true;
      return Broken(in_.empty() ? "closed without an answer" : "closed within the answer");
    } else if (errno == EAGAIN || errno == ENOTCONN) {
      return false;
    } else {
      return Broken(std::string("read: ") + strerror(errno));
    }
  }
}

bool Request::Broken(const std::string& how) {
  if (!reused_ || !in_.empty()) return End(how, false);
  // Its end closed the connection just when it was used again (RFC 9112 section 9.5).
  Close();
  written_ = 0;
  reused_ = false;
  return Connect();
}

bool Request::Complete(bool closed) {
  const size_t head_end = in_.find("\r\n\r\n");
  if (head_end == std::string::npos || in_.size() < 12) return false;
  const std::string status = in_.substr(9, 3);
  std::string length;
  bool keep = options_.keep_alive && in_[7] == '1';
  bool chunked = false;
  for (size_t at = in_.find("\r\n"); at < head_end; at = in_.find("\r\n", at + 2)) {
    const char* line = in_.c_str() + at + 2;
    if (strncasecmp(line, "content-length:", 15) == 0) length = line + 15;
    if (strncasecmp(line, "connection: close", 17) == 0) keep = false;
    if (strncasecmp(line, "transfer-encoding: chunked", 26) == 0) chunked = true;
  }
  const size_t body = in_.size() - head_end - 4;
  if (chunked) {
    const bool last = in_.compare(in_.size() - 5, 5, "0\r\n\r\n") == 0;
    return last && End(status, keep);
  }
  if (!length.empty()) return body >= strtoull(length.c_str(), nullptr, 10) && End(status, keep);
  return closed && End(status, false);
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
