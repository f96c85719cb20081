#include "examples/proxy/route.h"

#include <netinet/in.h>

namespace proxy {

namespace {

constexpr uint32_t kMaxFixedAttempts = 4;

}  // namespace

void Routes::UseEngine(fc_engine* engine, fc_lost_cb on_lost) {
  engine_ = engine;
  options_.on_lost = on_lost;
}

void Routes::UseFixed(const sockaddr_storage& address) { fixed_ = address; }

int32_t Routes::RouteFixed(uint32_t attempt, fc_ticket* ticket) const {
  *ticket = FC_TICKET_INIT;
  ticket->reason = FC_ROUTE_LEASE;
  ticket->id = 1;
  ticket->address = reinterpret_cast<const sockaddr*>(&fixed_);
  ticket->address_length = fixed_.ss_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  ticket->attempt = attempt;
  ticket->endpoint = 1;
  return FC_OK;
}

int32_t Routes::RetryFixed(const fc_ticket& ticket, const fc_attempt& attempt, fc_ticket* next) const {
  const bool safe = attempt.bytes_written == 0 ||
                    (attempt.idempotent != 0 && attempt.body_held != 0 && attempt.response_begun == 0);
  if (!safe || ticket.attempt >= kMaxFixedAttempts) return FC_E_UNSAFE;
  return RouteFixed(ticket.attempt + 1, next);
}

}  // namespace proxy
