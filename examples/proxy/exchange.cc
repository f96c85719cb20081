#include "examples/proxy/exchange.h"

#include <utility>

#include "examples/proxy/context.h"
#include "examples/proxy/downstream.h"
#include "examples/proxy/status.h"

namespace proxy {

namespace {

constexpr size_t kMaxKept = 64 * 1024;
constexpr size_t kMaxLogged = 1024;

}  // namespace

std::unique_ptr<Exchange> Exchange::Take(Context* context, Downstream* client) {
  std::unique_ptr<Exchange> taken;
  if (context->spare_exchanges.empty()) {
    taken = std::make_unique<Exchange>(context);
  } else {
    taken = std::move(context->spare_exchanges.back());
    context->spare_exchanges.pop_back();
  }
  taken->client_ = client;
  return taken;
}

void Exchange::GiveBack(std::unique_ptr<Exchange> exchange) {
  // Not deleted: it may have called who gives it back.
  auto& spare = exchange->context_->spare_exchanges;
  spare.push_back(std::move(exchange));
}

void Exchange::Reset() {
  state_ = State::kReading;
  ++context_->metrics.in_flight;
  begun_ns_ = uv_hrtime();
  connect_ns_ = first_byte_ns_ = queue_ns_ = lookup_ns_ = probe_ns_ = swap_ns_ = start_ns_ = 0;
  attempts_ = reason_ = 0;
  ticket_.id = 0;
  held_ = true;
  written_ = reused_ = fresh_ = forwarded_ = client_ended_ = upstream_ended_ = false;
  tunnel_in_ = tunnel_out_ = 0;
  wire_.clear();
  method_.clear();
  target_.clear();
  container_.clear();
  host_.clear();
  request_.Reset();
  response_.Begin({});
}

int Exchange::Begin(std::string_view block, const Head& head) {
  Reset();
  if (context_->log.on()) {
    method_.assign(head.method.substr(0, kMaxLogged));
    target_.assign(head.target.substr(0, kMaxLogged));
  }
  const int status = request_.Begin(block, head, client_->peer(), &wire_);
  head_size_ = wire_.size();
  return status;
}

Progress Exchange::FeedBody(std::string_view* data) {
  Output& out = context_->to_upstream;
  const Progress progress = request_.Feed(data, &out);
  if (!out.empty()) Hold(&out);
  out.Clear();
  return progress;
}

void Exchange::Hold(Output* out) {
  const auto& buffers = out->Buffers();
  if (held_) {
    for (const uv_buf_t& buffer : buffers) wire_.append(buffer.base, buffer.len);
  }
  if (state_ != State::kActive) return;
  upstream_->Write(buffers.data(), buffers.size());
  context_->response.Start(&upstream_->timeout(), context_->now());
  if (held_ && wire_.size() > head_size_ + kMaxHeldBody) {
    held_ = false;
    wire_ = std::string();
  }
}

bool Exchange::wants_body() const {
  const bool sends = state_ == State::kActive || state_ == State::kTunnel;
  return (sends ? upstream_->queued() : wire_.size()) < kMaxQueued;
}

void Exchange::Received(std::string_view data) {
  if (state_ == State::kTunnel) return TunnelReceived(data);
  const bool first = !response_.received();
  if (first_byte_ns_ == 0) first_byte_ns_ = uv_hrtime() - begun_ns_;
  context_->response.Start(&upstream_->timeout(), context_->now());
  response_.set_request_complete(request_.complete());
  Output& out = context_->to_client;
  const Progress progress = response_.Feed(data, &out);
  if (progress == Progress::kBad) {
    out.Clear();
    DropUpstream();
    EndTicket(FC_OUTCOME_OK);
    return Fail(502, "bad response", 0);
  }
  const bool whole = progress != Progress::kMore;
  if (whole || !out.empty()) Forward(&out, whole);
  if (progress == Progress::kDone) return Complete();
  if (progress == Progress::kSwitched) return BeginTunnel();
  context_->routes.Alive(ticket_);  // the end of a ticket says the same
  // A server that writes head and body apart, with Nagle's algorithm on, waits for this before it sends the
  // rest: 40 ms.
  if (first) upstream_->AcknowledgeNow();
  if (client_->queued() > kMaxQueued) upstream_->StopReading();
}

bool Exchange::KeepsResponse() const {
  return !forwarded_ && response_.begun() && context_->config.timeouts.hold != 0 && held_ &&
         request_.idempotent() && request_.complete() && !(response_.resumable() && request_.resumable());
}

void Exchange::Forward(Output* out, bool whole) {
  if (!whole && KeepsResponse()) {
    if (!keep_timeout_.running()) {
      kept_since_ = context_->now();
      context_->hold.Start(&keep_timeout_, kept_since_);
    }
    for (const uv_buf_t& buffer : out->Buffers()) kept_.append(buffer.base, buffer.len);
    out->Clear();
    // One that is slow for no reason that can be seen is forwarded as it comes.
    if (kept_.size() > kMaxKept || context_->now() - kept_since_ >= context_->config.timeouts.hold)
      ForwardKept();
    return;
  }
  if (!kept_.empty()) ForwardKept();
  forwarded_ = response_.begun();
  if (!out->empty()) client_->Send(out);
}

void Exchange::ForwardKept() {
  forwarded_ = true;
  client_->Send(kept_);
  DropKept();
}

void Exchange::DropKept() {
  keep_timeout_.Stop();
  kept_ = std::string();  // unused exchanges are kept, and this may be long
}

void Exchange::OnHeldLongEnough(void* exchange) { static_cast<Exchange*>(exchange)->ForwardKept(); }

void Exchange::ClientSent() {
  const bool reads = state_ == State::kActive || (state_ == State::kTunnel && !upstream_ended_);
  if (reads && client_->queued() < kResumeAt) upstream_->StartReading();
}

void Exchange::UpstreamSent() {
  if (state_ == State::kTunnel) {
    if (upstream_->queued() < kResumeAt) client_->UpdateReading();
    return RestartTunnelTimeout();
  }
  if (state_ != State::kActive) return;
  context_->response.Start(&upstream_->timeout(), context_->now());
  if (!request_.complete() && upstream_->queued() < kResumeAt) client_->UpdateReading();
}

void Exchange::UpstreamEnded(int error) {
  if (state_ == State::kTunnel) return TunnelUpstreamEnded(error);
  if (error == UV_EOF && response_.begun()) {
    Output& out = context_->to_client;
    const Progress progress = response_.End(&out);
    if (progress == Progress::kDone) {
      Forward(&out, true);
      return Complete();
    }
    out.Clear();
  }
  Retry(reused_ && !response_.received() ? FC_OUTCOME_STALE_CONNECTION : FC_OUTCOME_CLOSED);
}

void Exchange::UpstreamTimedOut() {
  if (state_ == State::kConnecting) return Retry(FC_OUTCOME_CONNECT_FAILED);
  if (state_ == State::kTunnel) return EndTunnel(FC_OUTCOME_OK, "idle");
  // The client is the slow one; it has a time-out of its own.
  if (!upstream_->reading()) return context_->response.Start(&upstream_->timeout(), context_->now());
  DropUpstream();
  EndTicket(FC_OUTCOME_TIMEOUT);
  Fail(504, "no response in time", 0);
}

void Exchange::EndTicket(uint32_t outcome) {
  if (ticket_.id == 0) return;
  const fc_outcome result = {sizeof(fc_outcome), outcome, bytes_in(), bytes_out(), uv_hrtime() - begun_ns_};
  context_->routes.End(ticket_, result);
  ticket_.id = 0;
}

void Exchange::DropUpstream() {
  if (upstream_ == nullptr) return;
  const uint64_t endpoint = upstream_->endpoint();
  upstream_->Discard();
  upstream_ = nullptr;
  context_->pools.Forget(endpoint);
}

void Exchange::Complete() {
  const bool request_complete = request_.complete();
  EndTicket(FC_OUTCOME_OK);
  if (response_.upstream_persistent() && request_complete && upstream_->queued() == 0) {
    context_->pools.Put(upstream_, response_.upstream_limits());
    upstream_ = nullptr;
  } else {
    DropUpstream();
  }
  Account(response_.status(), "");
  client_->Finished(response_.client_persistent() && request_complete);
}

void Exchange::Refuse(int status) {
  if (state_ == State::kIdle) Reset();  // not even its head was understood
  if (op_ != 0) context_->routes.Cancel(op_);
  op_ = 0;
  DropUpstream();
  EndTicket(FC_OUTCOME_CANCELLED);
  Fail(status, StatusText(status), 0);
}

void Exchange::ClientGone() {
  if (state_ == State::kIdle) return;
  if (state_ == State::kTunnel) return EndTunnel(FC_OUTCOME_CANCELLED, "the client has gone");
  if (op_ != 0) context_->routes.Cancel(op_);
  op_ = 0;
  DropUpstream();
  EndTicket(FC_OUTCOME_CANCELLED);
  Account(499, "the client has closed the connection");
}

// There is no ticket and no container's connection any more.
void Exchange::Fail(int status, const char* error, uint64_t retry_after_ns) {
  if (forwarded_) {
    Account(0, error);
    return client_->Abort();
  }
  response_.Begin({});  // what was kept of one is not sent
  Account(status, error);
  const bool keep_alive = request_.complete() && request_.persistent() && context_->KeepsClients();
  Output& out = context_->to_client;
  AppendOwnResponse(
      {status, retry_after_ns, request_.is_head(), keep_alive, request_.minor(), context_->Date()},
      &out.text());
  client_->Send(&out);
  client_->Finished(keep_alive);
}

void Exchange::Account(int status, const char* error) {
  if (state_ == State::kTunnel) --context_->metrics.tunnels;
  state_ = State::kIdle;
  DropKept();
  --context_->metrics.in_flight;
  const uint64_t total = uv_hrtime() - begun_ns_;
  context_->metrics.CountRequest(status, total, bytes_in(), bytes_out());
  if (!context_->log.on()) return;
  LogEntry entry;
  entry.client = client_->peer().name;
  entry.method = method_;
  entry.key = request_.key();
  entry.target = target_;
  entry.container = container_;
  entry.host = host_;
  entry.reason = ReasonName(reason_);
  entry.error = error;
  entry.status = status;
  entry.attempts = attempts_;
  entry.reused = reused_;
  entry.bytes_in = bytes_in();
  entry.bytes_out = bytes_out();
  entry.queue = queue_ns_;
  entry.lookup = lookup_ns_;
  entry.probe = probe_ns_;
  entry.swap = swap_ns_;
  entry.start = start_ns_;
  entry.connect = connect_ns_;
  entry.first_byte = first_byte_ns_;
  entry.total = total;
  context_->log.Write(entry);
}

}  // namespace proxy
