// What an exchange does once the container has agreed to another protocol (RFC 9110 section 7.8): bytes go
// both ways as they come, until both sides have ended. The ticket is open as long, so the container is in
// use, and the tunnel ends with its host.
#include <uv.h>

#include "examples/proxy/context.h"
#include "examples/proxy/downstream.h"
#include "examples/proxy/exchange.h"

namespace proxy {

void Exchange::BeginTunnel() {
  state_ = State::kTunnel;
  ++context_->metrics.tunnels;
  held_ = false;
  wire_ = std::string();
  TunnelReceived(response_.rest());
  client_->BeginTunnel();
}

// One side that has ended is waited for no longer than for a response.
void Exchange::RestartTunnelTimeout() {
  TimeoutQueue& queue = client_ended_ || upstream_ended_ ? context_->response : context_->tunnel;
  queue.Start(&upstream_->timeout(), context_->now());
}

void Exchange::TunnelData(std::string_view data) {
  tunnel_in_ += data.size();
  upstream_->Write(data);
  RestartTunnelTimeout();
}

void Exchange::TunnelReceived(std::string_view data) {
  tunnel_out_ += data.size();
  if (!data.empty()) client_->Send(data);
  context_->routes.Alive(ticket_);
  RestartTunnelTimeout();
  if (client_->queued() > kMaxQueued) upstream_->StopReading();
}

void Exchange::TunnelEnded(int error) {
  if (error != UV_EOF || client_->broken()) return EndTunnel(FC_OUTCOME_CANCELLED, "the client has gone");
  client_ended_ = true;
  if (upstream_ended_) return EndTunnel(FC_OUTCOME_OK, "");
  upstream_->Shutdown();
  RestartTunnelTimeout();
}

void Exchange::TunnelUpstreamEnded(int error) {
  if (error != UV_EOF || upstream_->broken())
    return EndTunnel(FC_OUTCOME_CLOSED, OutcomeName(FC_OUTCOME_CLOSED));
  upstream_ended_ = true;
  if (client_ended_) return EndTunnel(FC_OUTCOME_OK, "");
  client_->Shutdown();
  RestartTunnelTimeout();
}

// With an error the client sees a reset, so that it takes nothing for whole.
void Exchange::EndTunnel(uint32_t outcome, const char* error) {
  DropUpstream();
  EndTicket(outcome);
  Account(101, error);
  if (*error == 0) return client_->Finished(false);
  client_->Abort();
}

}  // namespace proxy
