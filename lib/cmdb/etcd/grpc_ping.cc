// Is the server still there? Where calls wait, a silent one is asked by PING (RFC 9113, section 6.7).
#include <nghttp2/nghttp2.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "lib/cmdb/etcd/grpc_channel.h"

namespace fastcontainer::etcd {
namespace {

// etcd closes a connection on which pings come more often than each 5 s (--grpc-keepalive-min-time), or while
// no call is open.
constexpr Nanos kInterval = 5'500 * kMillisecond;
constexpr Nanos kTimeout = 5 * kSecond;
// Where an answer is waited for, and not only news, a silent server is doubted sooner.
constexpr Nanos kUnarySilence = kSecond;
constexpr Nanos kUnaryTimeout = 2 * kSecond;
// gRPC for Go measures the path's bandwidth by a PING whenever it is asked something and none is open. At
// once answered, each would cost either side a wake-up in the midst of a call.
constexpr Nanos kPongDelay = 10 * kMillisecond;

}  // namespace

void GrpcChannel::ArmPing() {
  if (closed_ || streams_.empty()) return;
  const bool unary = HasUnary();
  Nanos due = last_ping_ + (unary ? kUnaryTimeout : kTimeout);
  if (!ping_open_) {
    due = quiet_since_ + (unary ? kUnarySilence : kInterval);
    if (last_ping_ != 0) due = std::max(due, last_ping_ + kInterval);
  }
  if (ping_timer_ != 0 && ping_due_ <= due) return;
  reactor_.CancelTimer(ping_timer_);
  ping_due_ = due;
  ping_timer_ = reactor_.At(due, [weak = weak_from_this()] {
    if (const auto held = weak.lock()) held->OnPingTimer();
  });
}

void GrpcChannel::OnPingTimer() {
  ping_timer_ = 0;
  if (closed_ || streams_.empty()) return;
  const bool unary = HasUnary();
  const Nanos now = reactor_.Now();
  // Anything that came since is as good as the answer.
  if (ping_open_ && last_received_ > last_ping_) ping_open_ = false;
  if (ping_open_) {
    if (now >= last_ping_ + (unary ? kUnaryTimeout : kTimeout))
      return OnClosed(absl::UnavailableError(absl::StrCat("etcd ", authority_, ": silent, also to a PING")));
  } else if (now >= quiet_since_ + (unary ? kUnarySilence : kInterval) &&
             (last_ping_ == 0 || now >= last_ping_ + kInterval)) {
    SendPing();
  }
  ArmPing();
}

void GrpcChannel::SendPing() {
  ping_open_ = true;
  last_ping_ = reactor_.Now();
  nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
  Flush();
}

// The server's.
void GrpcChannel::OnPing(const uint8_t* payload) {
  if (pong_timer_ != 0) SendPong();
  std::copy_n(payload, pong_.size(), pong_.begin());
  pong_timer_ = reactor_.After(kPongDelay, [weak = weak_from_this()] {
    const auto held = weak.lock();
    if (held == nullptr || held->closed_) return;
    held->SendPong();
    held->Flush();
  });
}

void GrpcChannel::SendPong() {
  reactor_.CancelTimer(std::exchange(pong_timer_, 0));
  nghttp2_submit_ping(session_, NGHTTP2_FLAG_ACK, pong_.data());
}

}  // namespace fastcontainer::etcd
