#include "lib/cmdb/etcd/grpc_channel.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "lib/cmdb/etcd/grpc_callbacks.h"

namespace fastcontainer::etcd {
namespace {

constexpr int32_t kStreamWindow = 4 << 20;
constexpr int32_t kConnectionWindow = 16 << 20;
constexpr Nanos kDrainTime = kSecond;

nghttp2_nv Header(std::string_view name, std::string_view value) {
  // nghttp2 copies both.
  return {reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
          NGHTTP2_NV_FLAG_NONE};
}

void AppendMessage(std::string_view message, std::string* out) {
  const auto size = static_cast<uint32_t>(message.size());
  out->push_back('\0');  // not compressed
  for (int shift = 24; shift >= 0; shift -= 8) out->push_back(static_cast<char>(size >> shift & 0xffu));
  out->append(message);
}

std::string TimeoutHeader(Nanos left) {
  // At most eight digits (PROTOCOL-HTTP2).
  const Nanos ms = std::clamp<Nanos>(left / kMillisecond, 1, 99'999'999);
  return absl::StrCat(ms, "m");
}

// What an HTTP status means where there is no grpc-status (grpc's http-grpc-status-mapping).
absl::StatusCode CodeOfHttp(int status) {
  if (status == 400) return absl::StatusCode::kInternal;
  if (status == 401) return absl::StatusCode::kUnauthenticated;
  if (status == 403) return absl::StatusCode::kPermissionDenied;
  if (status == 404) return absl::StatusCode::kUnimplemented;
  if (status == 429 || (status >= 502 && status <= 504)) return absl::StatusCode::kUnavailable;
  return absl::StatusCode::kUnknown;
}

}  // namespace

std::shared_ptr<GrpcChannel> GrpcChannel::Open(Reactor& reactor, const Endpoint& endpoint,
                                               std::shared_ptr<TlsContext> tls, Nanos connect_timeout,
                                               Observer observer) {
  std::shared_ptr<GrpcChannel> channel(new GrpcChannel(reactor, endpoint, std::move(observer)));
  GrpcChannel* const self = channel.get();
  const std::weak_ptr<GrpcChannel> weak = channel;
  self->secure_ = tls != nullptr;
  self->quiet_since_ = self->last_received_ = reactor.Now();
  Connection::Observer bytes;
  bytes.on_bytes = [weak](std::string_view data) {
    if (const auto held = weak.lock()) held->OnBytes(data);
  };
  bytes.on_closed = [weak](const absl::Status& why) {
    if (const auto held = weak.lock()) held->OnClosed(why);
  };
  self->connection_ = Connection::Open(reactor, endpoint, std::move(tls), std::move(bytes));
  if (const absl::Status made = self->NewSession(); !made.ok()) {
    self->Abort(made);
    return channel;
  }
  self->connect_timer_ = reactor.After(connect_timeout, [weak, address = self->authority_] {
    const auto held = weak.lock();
    if (held == nullptr) return;
    held->connect_timer_ = 0;
    held->OnClosed(absl::UnavailableError(absl::StrCat("etcd ", address, ": no HTTP/2 server in time")));
  });
  self->Flush();
  return channel;
}

GrpcChannel::~GrpcChannel() {
  Close();
  nghttp2_session_del(session_);
}

absl::Status GrpcChannel::NewSession() {
  nghttp2_option* option = nullptr;
  if (nghttp2_option_new(&option) != 0) return absl::ResourceExhaustedError("etcd: no memory for HTTP/2");
  nghttp2_option_set_no_auto_ping_ack(option, 1);
  const bool made = GrpcCallbacks::All() != nullptr &&
                    nghttp2_session_client_new2(&session_, GrpcCallbacks::All(), this, option) == 0;
  nghttp2_option_del(option);
  if (!made) return absl::ResourceExhaustedError("etcd: no memory for an HTTP/2 session");
  const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
                                             {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kStreamWindow}};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kConnectionWindow);
  return absl::OkStatus();
}

GrpcChannel::CallId GrpcChannel::Start(Call call) {
  std::vector<std::pair<std::string_view, std::string>> fields = {{":method", "POST"},
                                                                  {":scheme", secure_ ? "https" : "http"},
                                                                  {":path", std::string(call.path)},
                                                                  {":authority", authority_},
                                                                  {"te", "trailers"},
                                                                  {"content-type", "application/grpc"},
                                                                  {"user-agent", "fastcontainer"}};
  if (call.deadline != kForever)
    fields.emplace_back("grpc-timeout", TimeoutHeader(call.deadline - reactor_.Now()));
  for (const auto& [name, value] : call.metadata) fields.emplace_back(name, value);
  std::vector<nghttp2_nv> headers;
  for (const auto& [name, value] : fields) headers.push_back(Header(name, value));
  nghttp2_data_provider body{};
  body.read_callback = GrpcCallbacks::ReadBody;
  const int32_t stream_id =
      nghttp2_submit_request(session_, nullptr, headers.data(), headers.size(), &body, nullptr);
  const CallId id = next_call_++;
  if (stream_id < 0) {  // out of memory, or of the 2^30 streams of a connection
    stream_of_[id] = 0;
    Stream& never = streams_[0];
    never.id = id;
    never.call = std::move(call);
    Abort(absl::UnavailableError(absl::StrCat("HTTP/2: ", nghttp2_strerror(stream_id))));
    return id;
  }
  if (!HasUnary()) quiet_since_ = std::max(quiet_since_, reactor_.Now());
  Stream& stream = streams_[stream_id];
  stream.id = id;
  AppendMessage(call.message, &stream.out);
  call.message.clear();
  stream.call = std::move(call);
  stream_of_[id] = stream_id;
  ArmPing();
  ScheduleFlush();
  return id;
}

void GrpcChannel::Send(CallId id, std::string_view message) {
  const auto found = stream_of_.find(id);
  if (found == stream_of_.end() || closed_) return;
  Stream& stream = streams_[found->second];
  AppendMessage(message, &stream.out);
  if (stream.out_waits) {
    stream.out_waits = false;
    nghttp2_session_resume_data(session_, found->second);
  }
  ScheduleFlush();
}

bool GrpcChannel::Cancel(CallId id) {
  const auto found = stream_of_.find(id);
  if (found == stream_of_.end()) return false;
  const int32_t stream_id = found->second;
  streams_.erase(stream_id);
  stream_of_.erase(found);
  if (closed_) return true;
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream_id, NGHTTP2_CANCEL);
  ScheduleFlush();
  CloseIfDrained();
  return true;
}

void GrpcChannel::Close() {
  closed_ = true;
  if (connection_ != nullptr) connection_->Close();
  for (Reactor::TimerId* timer : {&connect_timer_, &drain_timer_, &ping_timer_, &pong_timer_})
    reactor_.CancelTimer(std::exchange(*timer, 0));
  events_.clear();
  streams_.clear();
  stream_of_.clear();
}

void GrpcChannel::Abort(const absl::Status& why) {
  reactor_.Defer([weak = weak_from_this(), why] {
    if (const auto held = weak.lock()) held->OnClosed(why);
  });
}

void GrpcChannel::OnBytes(std::string_view bytes) {
  if (closed_) return;
  const auto self = shared_from_this();
  quiet_since_ = last_received_ = reactor_.Now();
  in_session_ = true;
  const ssize_t taken =
      nghttp2_session_mem_recv(session_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  in_session_ = false;
  Dispatch();
  if (closed_) return;
  if (taken < 0) {
    return OnClosed(absl::UnavailableError(
        absl::StrCat("etcd ", authority_, ": HTTP/2: ", nghttp2_strerror(static_cast<int>(taken)))));
  }
  // nghttp2 has sent GOAWAY because of what it read.
  if (nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0) {
    return OnClosed(absl::UnavailableError(absl::StrCat(
        "etcd ", authority_, goaway_.empty() ? ": the server broke the rules of HTTP/2" : goaway_)));
  }
  CloseIfDrained();
}

// What the callbacks ask for is sent behind them, in one piece.
void GrpcChannel::Dispatch() {
  const auto self = shared_from_this();
  dispatching_ = true;
  while (!events_.empty() && !closed_) {
    Event event = std::move(events_.front());
    events_.pop_front();
    const auto found = stream_of_.find(event.id);
    if (found == stream_of_.end()) continue;
    if (event.end) {
      Call call = std::move(streams_[found->second].call);
      streams_.erase(found->second);
      stream_of_.erase(found);
      call.on_end(event.how);
    } else {
      // Held here: the callback may cancel its own call.
      const int32_t stream_id = found->second;
      auto on_message = std::move(streams_[stream_id].call.on_message);
      on_message(event.message);
      if (const auto still = streams_.find(stream_id); still != streams_.end())
        still->second.call.on_message = std::move(on_message);
    }
  }
  dispatching_ = false;
  Flush();
}

void GrpcChannel::OnClosed(const absl::Status& why) {
  if (closed_) return;
  const auto self = shared_from_this();
  closed_ = true;
  auto streams = std::exchange(streams_, {});
  auto stream_of = std::exchange(stream_of_, {});
  Close();
  streams_ = std::move(streams);
  stream_of_ = std::move(stream_of);
  observer_.on_closed(why);
  // One by one: a callback may cancel the others.
  while (!streams_.empty()) {
    const auto first = streams_.begin();
    CallEnd end{why, first->second.begun && !first->second.refused};
    Call call = std::move(first->second.call);
    stream_of_.erase(first->second.id);
    streams_.erase(first);
    call.on_end(end);
  }
}

void GrpcChannel::OnSettings() {
  if (ready_) return;
  ready_ = true;
  reactor_.CancelTimer(std::exchange(connect_timer_, 0));
  reactor_.Defer([weak = weak_from_this()] {
    if (const auto held = weak.lock(); held != nullptr && !held->closed_) held->observer_.on_ready();
  });
}

void GrpcChannel::OnGoAway(uint32_t error, std::string_view debug) {
  goaway_ =
      absl::StrCat(": GOAWAY ", nghttp2_http2_strerror(error), debug.empty() ? "" : " ", std::string(debug));
  if (draining_) return;
  draining_ = true;
  const std::weak_ptr<GrpcChannel> weak = weak_from_this();
  drain_timer_ = reactor_.After(kDrainTime, [weak] {
    const auto held = weak.lock();
    if (held == nullptr) return;
    held->drain_timer_ = 0;
    held->OnClosed(absl::UnavailableError(absl::StrCat("etcd ", held->authority_, held->goaway_)));
  });
  reactor_.Defer([weak] {
    if (const auto held = weak.lock(); held != nullptr && !held->closed_) held->observer_.on_draining();
  });
}

void GrpcChannel::CloseIfDrained() {
  if (draining_ && !HasUnary() && !closed_)
    Abort(absl::UnavailableError(absl::StrCat("etcd ", authority_, goaway_)));
}

bool GrpcChannel::HasUnary() const {
  return std::any_of(streams_.begin(), streams_.end(),
                     [](const auto& entry) { return !entry.second.call.endless; });
}

void GrpcChannel::ScheduleFlush() {
  if (in_session_ || dispatching_ || flush_scheduled_) return;
  flush_scheduled_ = true;
  // What is asked for in one round goes in one write.
  reactor_.Defer([weak = weak_from_this()] {
    if (const auto held = weak.lock()) held->Flush();
  });
}

void GrpcChannel::Flush() {
  flush_scheduled_ = false;
  if (closed_) return;
  in_session_ = true;
  std::string out;
  absl::Status failed;
  while (true) {
    const uint8_t* data = nullptr;
    const ssize_t length = nghttp2_session_mem_send(session_, &data);
    if (length < 0) failed = absl::UnavailableError(nghttp2_strerror(static_cast<int>(length)));
    if (length <= 0) break;
    out.append(reinterpret_cast<const char*>(data), static_cast<size_t>(length));
  }
  in_session_ = false;
  connection_->Send(out);
  if (!failed.ok()) return Abort(failed);
  if (events_.empty()) return;
  // A stream that was cancelled here has closed.
  reactor_.Defer([weak = weak_from_this()] {
    if (const auto held = weak.lock()) held->Dispatch();
  });
}

absl::Status GrpcChannel::StatusOf(const Stream& stream, uint32_t error) {
  if (!stream.error.empty()) return absl::InternalError(stream.error);
  if (stream.grpc_status > 0) {
    const int code = std::min(stream.grpc_status, 16);  // the last one that gRPC knows
    return absl::Status(static_cast<absl::StatusCode>(code), stream.grpc_message);
  }
  if (stream.grpc_status == 0) return absl::OkStatus();
  if (error != NGHTTP2_NO_ERROR)
    return absl::UnavailableError(absl::StrCat("HTTP/2: ", nghttp2_http2_strerror(error)));
  if (stream.http_status != 0 && stream.http_status != 200)
    return absl::Status(CodeOfHttp(stream.http_status), absl::StrCat("HTTP status ", stream.http_status));
  return absl::InternalError("the server ended a call without a status");
}

void GrpcChannel::OnStreamClosed(int32_t stream_id, uint32_t error) {
  const auto found = streams_.find(stream_id);
  if (found == streams_.end()) return;
  Stream& stream = found->second;
  // Also what GOAWAY says was not looked at (RFC 9113, section 6.8).
  stream.refused = error == NGHTTP2_REFUSED_STREAM;
  if (!stream.in.empty() && stream.error.empty() && stream.grpc_status == 0)
    stream.error = "a call ended inside of a message";
  events_.push_back({stream.id, "", true, {StatusOf(stream, error), stream.begun && !stream.refused}});
}

void GrpcChannel::TakeMessages(Stream& stream) {
  size_t at = 0;
  const std::string& in = stream.in;
  while (in.size() - at >= 5) {
    if (in[at] != '\0') {
      stream.error = "a compressed message, which was not asked for";
      return;
    }
    size_t size = 0;
    for (size_t i = 1; i < 5; ++i) size = size << 8 | static_cast<uint8_t>(in[at + i]);
    if (in.size() - at - 5 < size) break;
    events_.push_back({stream.id, in.substr(at + 5, size), false, {}});
    at += 5 + size;
  }
  stream.in.erase(0, at);
}

}  // namespace fastcontainer::etcd
