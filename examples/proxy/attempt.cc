// An exchange's attempts at a container: the route, the connection, the request on it, and what follows when
// it fails.
#include <algorithm>

#include "examples/proxy/context.h"
#include "examples/proxy/downstream.h"
#include "examples/proxy/exchange.h"
#include "examples/proxy/status.h"

namespace proxy {

namespace {

constexpr uint32_t kMaxAttempts = 16;
// A request that cannot be sent again goes to a pooled connection only if that was just used: the container
// has hardly decided to close it.
constexpr uint64_t kSurelyAliveMs = 1000;

}  // namespace

uint32_t Exchange::RouteFlags() const { return request_.upgrade().empty() ? 0 : FC_ROUTE_STREAM; }

void Exchange::Go() {
  if (state_ != State::kReading) return;
  if (request_.key().empty() && !context_->config.fixed_upstream) {
    return Fail(404, "the request names no host", 0);
  }
  state_ = State::kRouting;
  Routed(context_->routes.Route(request_.key(), RouteFlags(), &ticket_, &op_, OnRoute, this), nullptr);
}

void Exchange::OnRoute(void* user_data, int32_t code, const fc_ticket* ticket, const fc_error* error) {
  auto* self = static_cast<Exchange*>(user_data);
  if (ticket != nullptr) self->ticket_ = *ticket;
  self->op_ = 0;
  self->Routed(code, error);
}

void Exchange::Routed(int32_t code, const fc_error* error) {
  if (code == FC_PENDING) return;
  op_ = 0;
  if (code == FC_OK) {
    CountPhases();
    return Attempt();
  }
  ticket_.id = 0;
  Fail(StatusForCode(code), fc_code_name(code), error == nullptr ? 0 : error->retry_after_ns);
}

void Exchange::CountPhases() {
  queue_ns_ += ticket_.queue_ns;
  lookup_ns_ += ticket_.lookup_ns;
  probe_ns_ += ticket_.probe_ns;
  swap_ns_ += ticket_.swap_ns;
  start_ns_ += ticket_.start_ns;
  // Of several attempts, what was most remarkable.
  reason_ = std::max(reason_, ticket_.reason);
  context_->metrics.CountRoute(ticket_.reason);
  if (!context_->log.on()) return;
  container_.assign(ticket_.container.data == nullptr ? "" : ticket_.container.data,
                    ticket_.container.length);
  host_.assign(ticket_.host.data == nullptr ? "" : ticket_.host.data, ticket_.host.length);
}

Upstream* Exchange::TakePooled() {
  if (fresh_) return nullptr;
  const bool resendable =
      request_.idempotent() && request_.complete() && wire_.size() <= head_size_ + kMaxHeldBody;
  return context_->pools.Take(ticket_.endpoint, resendable ? UINT64_MAX : kSurelyAliveMs);
}

void Exchange::BeginResponse() {
  if (forwarded_) {
    wire_.resize(head_size_ - 2);  // the head without its end, and what an earlier attempt has added
    response_.BeginRest(&wire_);
    wire_.append("\r\n");
    return;
  }
  const bool waits = request_.expects_continue() && request_.body_bytes() == 0 && !request_.complete();
  response_.Begin({request_.is_head(), request_.minor(), request_.persistent() && context_->KeepsClients(),
                   waits, request_.takes_trailers(), context_->Date(), request_.upgrade()});
}

void Exchange::Attempt() {
  ++attempts_;
  written_ = false;
  attempt_ns_ = uv_hrtime();
  BeginResponse();
  upstream_ = TakePooled();
  reused_ = upstream_ != nullptr;
  if (reused_) {
    ++context_->metrics.upstream_reused;
    upstream_->Attach(this);
    return SendHeld();
  }
  ++context_->metrics.upstream_connects;
  context_->pools.MakeRoom();
  upstream_ = new Upstream(context_, ticket_.endpoint);
  upstream_->Attach(this);
  state_ = State::kConnecting;
  if (upstream_->Connect(ticket_.address) != 0) return Retry(FC_OUTCOME_CONNECT_FAILED);
  context_->connect.Start(&upstream_->timeout(), context_->now());
}

void Exchange::Connected(int status) {
  if (status == UV_ECONNREFUSED) return Retry(FC_OUTCOME_REFUSED);
  if (status != 0) return Retry(FC_OUTCOME_CONNECT_FAILED);
  connect_ns_ += uv_hrtime() - attempt_ns_;
  upstream_->StartReading();
  SendHeld();
}

void Exchange::SendHeld() {
  state_ = State::kActive;
  written_ = true;
  context_->response.Start(&upstream_->timeout(), context_->now());
  upstream_->Write(wire_);
  if (wire_.size() > head_size_ + kMaxHeldBody) {
    held_ = false;
    wire_ = std::string();
  }
  if (!request_.complete()) client_->UpdateReading();
}

void Exchange::OnLost(void* user_data, uint64_t ticket, uint32_t) {
  auto* self = static_cast<Exchange*>(user_data);
  if (self->ticket_.id == ticket) self->Lost();
}

void Exchange::Lost() {
  context_->pools.Drop(ticket_.endpoint);
  if (state_ == State::kTunnel) return EndTunnel(FC_OUTCOME_CLOSED, "lost");
  Retry(state_ == State::kConnecting ? FC_OUTCOME_CONNECT_FAILED : FC_OUTCOME_CLOSED);
}

// The attempt has failed. Whether there may be another is the library's decision.
void Exchange::Retry(uint32_t outcome) {
  context_->metrics.CountRetry(outcome);
  DropUpstream();
  DropKept();
  fresh_ = true;
  if (attempts_ >= kMaxAttempts) {
    EndTicket(outcome);
    return Fail(502, OutcomeName(outcome), 0);
  }
  // Forwarded, and not to be had again.
  const bool begun = forwarded_ && !(response_.resumable() && request_.resumable());
  const fc_attempt attempt = {sizeof(fc_attempt), outcome,
                              written_ ? 1u : 0u, request_.idempotent() ? 1u : 0u,
                              held_ ? 1u : 0u,    begun ? 1u : 0u};
  const fc_ticket failed = ticket_;
  state_ = State::kRouting;
  ticket_.id = 0;
  const int32_t code = context_->routes.Retry(failed, attempt, RouteFlags(), &ticket_, &op_, OnRoute, this);
  if (code == FC_E_UNSAFE) {
    ticket_.id = 0;
    return Fail(502, OutcomeName(outcome), 0);
  }
  Routed(code, nullptr);
}

}  // namespace proxy
