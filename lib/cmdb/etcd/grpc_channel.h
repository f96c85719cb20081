// gRPC over HTTP/2 (github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md) on one connection, by nghttp2.
#ifndef FASTCONTAINER_LIB_CMDB_ETCD_GRPC_CHANNEL_H_
#define FASTCONTAINER_LIB_CMDB_ETCD_GRPC_CHANNEL_H_

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "fastcontainer/reactor.h"
#include "lib/cmdb/etcd/connection.h"

struct nghttp2_session;

namespace fastcontainer::etcd {

// How a call ended. `processed` is false only if the server certainly has not begun with it.
struct CallEnd {
  absl::Status status;
  bool processed = true;
};

// Belongs to the loop's thread. Callbacks run on the loop, never inside Start(), Send(), Cancel() or Close();
// a callback may call all of these and may let go of the channel.
class GrpcChannel : public std::enable_shared_from_this<GrpcChannel> {
 public:
  using CallId = uint64_t;  // 0 names no call
  using Metadata = std::vector<std::pair<std::string, std::string>>;

  struct Observer {
    absl::AnyInvocable<void()> on_ready;  // the server has told its settings: calls may start
    // No call may start any more. on_closed follows, at once or when the calls in progress have ended.
    absl::AnyInvocable<void()> on_draining;
    // Once; nothing of the channel itself follows, but the ends of its calls.
    absl::AnyInvocable<void(const absl::Status& why)> on_closed;
  };
  struct Call {
    std::string_view path;
    Metadata metadata;
    std::string message;
    bool endless = false;       // a stream, to which Send() may add messages
    Nanos deadline = kForever;  // told to the server; this side's is the caller's to keep
    absl::AnyInvocable<void(std::string_view message)> on_message;
    absl::AnyInvocable<void(const CallEnd& end)> on_end;  // once
  };

  // Gives up if there is no server that is ready within `connect_timeout`.
  static std::shared_ptr<GrpcChannel> Open(Reactor& reactor, const Endpoint& endpoint,
                                           std::shared_ptr<TlsContext> tls, Nanos connect_timeout,
                                           Observer observer);
  ~GrpcChannel();
  GrpcChannel(const GrpcChannel&) = delete;
  GrpcChannel& operator=(const GrpcChannel&) = delete;

  bool ready() const { return ready_ && !draining_ && !closed_; }
  // Only while ready().
  CallId Start(Call call);
  void Send(CallId id, std::string_view message);
  // True: the call's callbacks never run again.
  bool Cancel(CallId id);
  // No callback runs any more.
  void Close();
  // As if the connection had broken, in the loop's next round.
  void Abort(const absl::Status& why);
  // When the server's last byte came.
  Nanos last_received() const { return last_received_; }

 private:
  friend struct GrpcCallbacks;  // nghttp2's, in grpc_callbacks.cc

  struct Stream {
    CallId id = 0;
    Call call;
    std::string out;  // not taken by nghttp2 yet
    bool out_waits = false;
    bool begun = false;  // its first bytes are on their way
    std::string in;
    int http_status = 0;
    int grpc_status = -1;
    std::string grpc_message;
    bool refused = false;
    std::string error;  // of the framing
  };
  struct Event {
    CallId id;
    std::string message;
    bool end = false;
    CallEnd how;
  };

  GrpcChannel(Reactor& reactor, const Endpoint& endpoint, Observer observer)
      : reactor_(reactor), authority_(endpoint.ToString()), observer_(std::move(observer)) {}
  absl::Status NewSession();
  void OnBytes(std::string_view bytes);
  void OnClosed(const absl::Status& why);
  void OnSettings();
  void OnGoAway(uint32_t error, std::string_view debug);
  void OnStreamClosed(int32_t stream_id, uint32_t error);
  void TakeMessages(Stream& stream);
  void Dispatch();
  void Flush();
  void ScheduleFlush();
  void CloseIfDrained();
  void ArmPing();
  void OnPingTimer();
  void SendPing();
  void OnPing(const uint8_t* payload);
  void SendPong();
  bool HasUnary() const;
  static absl::Status StatusOf(const Stream& stream, uint32_t error);

  Reactor& reactor_;
  const std::string authority_;
  Observer observer_;
  std::shared_ptr<Connection> connection_;
  nghttp2_session* session_ = nullptr;
  bool secure_ = false;
  bool ready_ = false;
  bool draining_ = false;
  bool closed_ = false;
  bool in_session_ = false;  // nghttp2 is on the stack
  bool dispatching_ = false;
  bool flush_scheduled_ = false;
  std::string goaway_;
  CallId next_call_ = 1;
  std::map<int32_t, Stream> streams_;  // by HTTP/2 stream
  std::map<CallId, int32_t> stream_of_;
  std::deque<Event> events_;  // decoded, not told yet
  Reactor::TimerId connect_timer_ = 0;
  Reactor::TimerId drain_timer_ = 0;
  Reactor::TimerId ping_timer_ = 0;
  Nanos ping_due_ = kForever;
  Nanos last_received_ = 0;
  Nanos quiet_since_ = 0;  // the server has been silent since, or nothing was asked of it before
  Nanos last_ping_ = 0;    // 0: none yet
  bool ping_open_ = false;
  std::array<uint8_t, 8> pong_{};    // the payload of a PING that is to be answered
  Reactor::TimerId pong_timer_ = 0;  // 0: none is
};

}  // namespace fastcontainer::etcd

#endif  // FASTCONTAINER_LIB_CMDB_ETCD_GRPC_CHANNEL_H_
