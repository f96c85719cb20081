// One request and its response: routed, sent to the container, sent again where that is safe, and ended
// exactly once.
#ifndef FASTCONTAINER_EXAMPLES_PROXY_EXCHANGE_H_
#define FASTCONTAINER_EXAMPLES_PROXY_EXCHANGE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "examples/proxy/header_check.h"
#include "examples/proxy/parser.h"
#include "examples/proxy/request.h"
#include "examples/proxy/response.h"
#include "examples/proxy/timeouts.h"
#include "fastcontainer.h"

namespace proxy {

struct Context;
class Downstream;
class Upstream;

class Exchange {
 public:
  explicit Exchange(Context* context) : context_(context), keep_timeout_(this) {}
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // One that is not in use, for a client; most connections are idle, and have none.
  static std::unique_ptr<Exchange> Take(Context* context, Downstream* client);
  // To be taken again.
  static void GiveBack(std::unique_ptr<Exchange> exchange);

  // By the client's connection. Begin() returns 0, or the status to Refuse() with.
  int Begin(std::string_view block, const Head& head);
  Progress FeedBody(std::string_view* data);
  void Go();
  // Ends it with an error of the client's.
  void Refuse(int status);
  void ClientGone();
  // The client has taken some of what was queued for it.
  void ClientSent();
  bool request_complete() const { return request_.complete(); }
  bool wants_body() const;

  // By the container's connection
  void Connected(int status);
  void Received(std::string_view data);
  void UpstreamEnded(int error);
  void UpstreamSent();
  void UpstreamTimedOut();
  // A response has been held back for long enough.
  static void OnHeldLongEnough(void* exchange);

  // By the client's connection, once the container has agreed to another protocol
  void TunnelData(std::string_view data);
  void TunnelEnded(int error);

  // By the router
  static void OnLost(void* user_data, uint64_t ticket, uint32_t reason);

 private:
  // Above this one side waits for the other.
  static constexpr size_t kMaxQueued = 256 * 1024;
  static constexpr size_t kResumeAt = 64 * 1024;
  // Of a request that may be sent again.
  static constexpr size_t kMaxHeldBody = 64 * 1024;

  enum class State { kIdle, kReading, kRouting, kConnecting, kActive, kTunnel };

  // attempt.cc
  static void OnRoute(void* user_data, int32_t code, const fc_ticket* ticket, const fc_error* error);
  void Routed(int32_t code, const fc_error* error);
  void CountPhases();
  uint32_t RouteFlags() const;
  void Attempt();
  void BeginResponse();
  Upstream* TakePooled();
  void SendHeld();
  void Lost();
  void Retry(uint32_t outcome);
  // tunnel.cc
  void BeginTunnel();
  void TunnelReceived(std::string_view data);
  void TunnelUpstreamEnded(int error);
  void RestartTunnelTimeout();
  void EndTunnel(uint32_t outcome, const char* error);

  void Reset();
  void Hold(Output* out);
  bool KeepsResponse() const;
  void Forward(Output* out, bool whole);
  void ForwardKept();
  void DropKept();
  void DropUpstream();
  void EndTicket(uint32_t outcome);
  void Complete();
  void Fail(int status, const char* error, uint64_t retry_after_ns);
  void Account(int status, const char* error);
  uint64_t bytes_in() const { return request_.body_bytes() + tunnel_in_; }
  uint64_t bytes_out() const { return response_.body_bytes() + tunnel_out_; }

  Context* context_;
  Downstream* client_ = nullptr;
  Upstream* upstream_ = nullptr;
  State state_ = State::kIdle;
  Request request_;
  Response response_;

  // What has been sent or is to be sent, from the first byte on, as long as it is short enough to be sent
  // again.
  std::string wire_;
  size_t head_size_ = 0;
  bool held_ = false;     // wire_ is whole
  bool written_ = false;  // by this attempt: at least one byte
  bool reused_ = false;   // this attempt's connection came from a pool
  bool fresh_ = false;    // the next must not

  // The begin of a response that could not go on from another server: as long as nothing of it is forwarded,
  // another server can be asked for all of it.
  std::string kept_;
  uint64_t kept_since_ = 0;
  Timeout keep_timeout_;
  bool forwarded_ = false;  // the head at least

  uint64_t tunnel_in_ = 0;  // from the client
  uint64_t tunnel_out_ = 0;
  bool client_ended_ = false;  // sends no more; the same for the container
  bool upstream_ended_ = false;

  fc_ticket ticket_ = FC_TICKET_INIT;  // id 0: none
  fc_op op_ = 0;
  uint32_t attempts_ = 0;

  // For the log
  uint64_t begun_ns_ = 0;
  uint64_t attempt_ns_ = 0;
  uint64_t connect_ns_ = 0;
  uint64_t first_byte_ns_ = 0;
  uint64_t queue_ns_ = 0, lookup_ns_ = 0, probe_ns_ = 0, swap_ns_ = 0, start_ns_ = 0;
  std::string method_;
  std::string target_;
  std::string container_;
  std::string host_;
  uint32_t reason_ = 0;
};

}  // namespace proxy

#endif  // FASTCONTAINER_EXAMPLES_PROXY_EXCHANGE_H_
