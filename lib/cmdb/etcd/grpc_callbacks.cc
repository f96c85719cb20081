#include "lib/cmdb/etcd/grpc_callbacks.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/numbers.h"

namespace fastcontainer::etcd {
namespace {

// Of one message: what is longer is an attack or a listing without a limit.
constexpr size_t kMaxMessage = size_t{256} << 20;
constexpr size_t kMaxText = 4'096;  // of an error that the server tells

std::string_view View(const uint8_t* data, size_t length) {
  return {reinterpret_cast<const char*>(data), length};
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// grpc-message is percent-encoded; what is malformed is taken as it is.
std::string DecodeMessage(std::string_view text) {
  std::string out;
  text = text.substr(0, kMaxText);
  for (size_t i = 0; i < text.size(); ++i) {
    const bool escape = text[i] == '%' && i + 2 < text.size();
    const int high = escape ? HexDigit(text[i + 1]) : -1;
    const int low = escape ? HexDigit(text[i + 2]) : -1;
    if (high < 0 || low < 0) {
      out.push_back(text[i]);
      continue;
    }
    out.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return out;
}

int Number(std::string_view text) {
  int number = 0;
  return absl::SimpleAtoi(std::string(text), &number) && number >= 0 ? number : 0;
}

}  // namespace

nghttp2_session_callbacks* GrpcCallbacks::All() {
  static nghttp2_session_callbacks* const all = [] {
    nghttp2_session_callbacks* made = nullptr;
    if (nghttp2_session_callbacks_new(&made) != 0) return made;
    nghttp2_session_callbacks_set_on_header_callback(made, OnHeader);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, OnData);
    nghttp2_session_callbacks_set_on_frame_recv_callback(made, OnFrame);
    nghttp2_session_callbacks_set_on_frame_send_callback(made, OnFrameSent);
    nghttp2_session_callbacks_set_on_stream_close_callback(made, OnStreamClose);
    return made;
  }();
  return all;
}

ssize_t GrpcCallbacks::ReadBody(nghttp2_session*, int32_t stream_id, uint8_t* buffer, size_t length,
                                uint32_t* flags, nghttp2_data_source*, void* user) {
  auto& channel = *static_cast<GrpcChannel*>(user);
  const auto found = channel.streams_.find(stream_id);
  if (found == channel.streams_.end()) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  GrpcChannel::Stream& stream = found->second;
  const size_t taken = std::min(length, stream.out.size());
  std::memcpy(buffer, stream.out.data(), taken);
  stream.out.erase(0, taken);
  if (stream.out.empty() && !stream.call.endless) *flags |= NGHTTP2_DATA_FLAG_EOF;
  if (taken > 0 || !stream.call.endless) return static_cast<ssize_t>(taken);
  stream.out_waits = true;
  return NGHTTP2_ERR_DEFERRED;
}

int GrpcCallbacks::OnHeader(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name_data,
                            size_t name_length, const uint8_t* value_data, size_t value_length, uint8_t,
                            void* user) {
  auto& channel = *static_cast<GrpcChannel*>(user);
  const auto found = channel.streams_.find(frame->hd.stream_id);
  if (found == channel.streams_.end()) return 0;
  GrpcChannel::Stream& stream = found->second;
  const std::string_view name = View(name_data, name_length);
  const std::string_view value = View(value_data, value_length);
  if (name == ":status") stream.http_status = Number(value);
  if (name == "grpc-status") stream.grpc_status = Number(value);
  if (name == "grpc-message") stream.grpc_message = DecodeMessage(value);
  if (name == "content-type" && !value.starts_with("application/grpc") && stream.error.empty())
    stream.error = "the server does not speak gRPC";
  return 0;
}

int GrpcCallbacks::OnData(nghttp2_session* session, uint8_t, int32_t stream_id, const uint8_t* data,
                          size_t length, void* user) {
  auto& channel = *static_cast<GrpcChannel*>(user);
  const auto found = channel.streams_.find(stream_id);
  if (found == channel.streams_.end() || !found->second.error.empty()) return 0;
  GrpcChannel::Stream& stream = found->second;
  stream.in.append(View(data, length));
  channel.TakeMessages(stream);
  if (stream.in.size() > kMaxMessage) stream.error = "a message of more than 256 MB";
  if (stream.error.empty()) return 0;
  stream.in.clear();
  return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream_id, NGHTTP2_CANCEL);
}

int GrpcCallbacks::OnFrame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
  auto& channel = *static_cast<GrpcChannel*>(user);
  const bool ack = (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0;
  if (frame->hd.type == NGHTTP2_SETTINGS && !ack) channel.OnSettings();
  if (frame->hd.type == NGHTTP2_PING && ack) channel.ping_open_ = false;
  if (frame->hd.type == NGHTTP2_PING && !ack) channel.OnPing(frame->ping.opaque_data);
  if (frame->hd.type == NGHTTP2_GOAWAY) {
    channel.OnGoAway(frame->goaway.error_code,
                     View(frame->goaway.opaque_data, std::min(frame->goaway.opaque_data_len, kMaxText)));
  }
  return 0;
}

int GrpcCallbacks::OnFrameSent(nghttp2_session*, const nghttp2_frame* frame, void* user) {
  auto& channel = *static_cast<GrpcChannel*>(user);
  if (frame->hd.type != NGHTTP2_HEADERS) return 0;
  const auto found = channel.streams_.find(frame->hd.stream_id);
  if (found != channel.streams_.end()) found->second.begun = true;
  return 0;
}

int GrpcCallbacks::OnStreamClose(nghttp2_session*, int32_t stream_id, uint32_t error, void* user) {
  static_cast<GrpcChannel*>(user)->OnStreamClosed(stream_id, error);
  return 0;
}

}  // namespace fastcontainer::etcd
