// Where a request goes: the library's router, or, to measure what the library costs, always the same address.
#ifndef FASTCONTAINER_EXAMPLES_PROXY_ROUTE_H_
#define FASTCONTAINER_EXAMPLES_PROXY_ROUTE_H_

#include <sys/socket.h>

#include <cstdint>
#include <string_view>

#include "fastcontainer.h"

namespace proxy {

// The functions mean what those of <fastcontainer.h> mean.
class Routes {
 public:
  void UseEngine(fc_engine* engine, fc_lost_cb on_lost);
  void UseFixed(const sockaddr_storage& address);

  int32_t Route(std::string_view key, uint32_t flags, fc_ticket* ticket, fc_op* op, fc_route_cb callback,
                void* user_data) {
    if (engine_ == nullptr) return RouteFixed(1, ticket);
    options_.flags = flags;
    options_.on_lost_user_data = user_data;
    return fc_route(engine_, {key.data(), key.size()}, &options_, ticket, op, callback, user_data);
  }
  int32_t Retry(const fc_ticket& ticket, const fc_attempt& attempt, uint32_t flags, fc_ticket* next,
                fc_op* op, fc_route_cb callback, void* user_data) {
    if (engine_ == nullptr) return RetryFixed(ticket, attempt, next);
    options_.flags = flags;
    options_.on_lost_user_data = user_data;
    return fc_ticket_retry(engine_, ticket.id, &attempt, &options_, next, op, callback, user_data);
  }
  void End(const fc_ticket& ticket, const fc_outcome& outcome) {
    if (engine_ != nullptr) fc_ticket_end(engine_, ticket.id, &outcome);
  }
  void Alive(const fc_ticket& ticket) {
    if (engine_ != nullptr) fc_ticket_alive(engine_, ticket.id);
  }
  void Cancel(fc_op op) {
    if (engine_ != nullptr) fc_cancel(engine_, op);
  }
  fc_engine* engine() const { return engine_; }

 private:
  int32_t RouteFixed(uint32_t attempt, fc_ticket* ticket) const;
  int32_t RetryFixed(const fc_ticket& ticket, const fc_attempt& attempt, fc_ticket* next) const;

  fc_engine* engine_ = nullptr;
  fc_route_options options_ = {sizeof(fc_route_options), 0, 0, nullptr, nullptr};
  sockaddr_storage fixed_ = {};
};

}  // namespace proxy

#endif  // FASTCONTAINER_EXAMPLES_PROXY_ROUTE_H_
