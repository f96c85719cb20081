#include "benchmarks/survive/websocket.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace survive {
namespace {

// The key's bytes need not be random: nobody is between this client and the proxy.
constexpr char kKey[] = "c3Vydml2ZSBhIGRlYWQ9PQ==";
constexpr unsigned char kText = 0x81, kMasked = 0x80;

// One masked frame of at most 125 bytes (RFC 6455 section 5.2).
std::string Frame(const std::string& text) {
  const char mask[4] = {0x11, 0x22, 0x33, 0x44};
  std::string frame = {static_cast<char>(kText), static_cast<char>(kMasked | text.size())};
  frame.append(mask, 4);
  for (size_t i = 0; i < text.size(); ++i) frame += static_cast<char>(text[i] ^ mask[i % 4]);
  return frame;
}

}  // namespace

WebSocket::WebSocket(int loop, uint64_t client, const openloop::Options& options, Nanos interval,
                     uint64_t* numbers, Ledger* ledger)
    : loop_(loop),
      client_(client),
      options_(options),
      interval_(interval),
      numbers_(numbers),
      ledger_(ledger) {}

WebSocket::~WebSocket() {
  if (socket_ >= 0) close(socket_);
}

void WebSocket::Connect(Nanos now) {
  since_ = now;
  state_ = State::kConnecting;
  in_.clear();
  socket_ = socket(options_.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.u64 = client_;
  epoll_ctl(loop_, EPOLL_CTL_ADD, socket_, &event);
  const auto* to = reinterpret_cast<const sockaddr*>(&options_.address);
  if (connect(socket_, to, options_.address_length) != 0 && errno != EINPROGRESS) Break(strerror(errno));
}

void WebSocket::OnReady() {
  if (state_ == State::kClosed) return;
  if (state_ == State::kConnecting) {
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0) return Break(std::string("connect: ") + strerror(error));
    state_ = State::kHandshake;
    if (!Write("GET " + options_.path + " HTTP/1.1\r\nHost: " + options_.host +
               "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: "
               "13\r\nSec-WebSocket-Key: " +
               kKey + "\r\n\r\n")) {
      return;
    }
  }
  Read();
}

bool WebSocket::Write(const std::string& text) {
  // So little always fits into a socket buffer that is nearly empty.
  if (write(socket_, text.data(), text.size()) == static_cast<ssize_t>(text.size())) return true;
  if (state_ == State::kHandshake && errno == ENOTCONN) {
    state_ = State::kConnecting;
    return false;
  }
  Break(std::string("write: ") + strerror(errno));
  return false;
}

void WebSocket::Read() {
  char buffer[4096];
  while (state_ != State::kClosed) {
    const ssize_t n = read(socket_, buffer, sizeof buffer);
    if (n < 0 && (errno == EAGAIN || errno == ENOTCONN)) return;
    if (n < 0) return Break(std::string("read: ") + strerror(errno));
    if (n == 0) return Break("closed");
    in_.append(buffer, static_cast<size_t>(n));
    if (state_ == State::kHandshake) TakeHandshake();
    if (state_ == State::kOpen) TakeFrames();
  }
}

void WebSocket::TakeHandshake() {
  const size_t end = in_.find("\r\n\r\n");
  if (end == std::string::npos || end < 12) return;
  const std::string status = in_.substr(9, 3);
  if (status != "101") return Break(status);
  in_.erase(0, end + 4);
  Note(status);
  state_ = State::kOpen;
  next_ = openloop::Now();
}

void WebSocket::TakeFrames() {
  while (in_.size() >= 2) {
    const size_t size = static_cast<unsigned char>(in_[1]);
    if (static_cast<unsigned char>(in_[0]) != kText || size > 125) return Break("not a text frame");
    if (in_.size() < 2 + size) return;
    in_.erase(0, 2 + size);
    Note("200");
  }
}

Nanos WebSocket::Advance(Nanos now) {
  if (since_ != 0 && now > since_ + options_.timeout) Break("timeout");
  if (since_ != 0) return since_ + options_.timeout;
  if (now < next_) return next_;
  if (state_ == State::kClosed) {
    Connect(now);
  } else {
    Send(now);
  }
  return since_ != 0 ? since_ + options_.timeout : next_;
}

void WebSocket::Send(Nanos now) {
  since_ = now;
  next_ = now + interval_;
  Write(Frame(std::to_string(*numbers_) + "\n"));
}

void WebSocket::Note(const std::string& outcome) {
  const Nanos now = openloop::Now();
  const Nanos begin = since_ != 0 ? since_ : now;
  ledger_->Done({(*numbers_)++, client_, begin, begin, now, outcome, 0, 0, state_ == State::kOpen, false});
  since_ = 0;
}

void WebSocket::Break(const std::string& why) {
  const bool was_open = state_ == State::kOpen;
  Note(was_open ? "broken: " + why : why);
  state_ = State::kClosed;
  if (socket_ >= 0) close(socket_);
  socket_ = -1;
  next_ = openloop::Now() + (was_open ? 0 : kAfterFailure);
}

}  // namespace survive
