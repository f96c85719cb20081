// A connection to a container, and the pools of those that wait for their next request.
#ifndef FASTCONTAINER_EXAMPLES_PROXY_UPSTREAM_H_
#define FASTCONTAINER_EXAMPLES_PROXY_UPSTREAM_H_

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "examples/proxy/header_check.h"
#include "examples/proxy/tcp.h"
#include "examples/proxy/timeouts.h"

namespace proxy {

struct Context;
class Exchange;

class Upstream final : public Tcp {
 public:
  Upstream(Context* context, uint64_t endpoint);

  // nullptr: nobody's, that is in its pool.
  void Attach(Exchange* exchange) { exchange_ = exchange; }
  uint64_t endpoint() const { return endpoint_; }
  uint64_t idle_since() const { return idle_since_; }
  // Begins to wait for its next request, as long as the container has said it may. False: it may not.
  bool BeginIdle(const KeepAlive& limits);
  // The container has neither closed it nor sent anything, nor will it within the next moment.
  bool Usable() const;
  Timeout& timeout() { return timeout_; }
  // Closes it, without a word to its exchange.
  void Discard();

  static void OnTimeout(void* upstream);

 private:
  ~Upstream() override;
  void OnConnected(int status) override;
  void OnData(std::string_view data) override;
  void OnEnd(int error) override;
  void OnSent() override;

  Context* context_;
  Exchange* exchange_ = nullptr;
  uint64_t endpoint_;
  uint64_t idle_since_ = 0;
  uint64_t usable_until_ = 0;
  uint32_t requests_left_ = UINT32_MAX;
  Timeout timeout_;
};

// By endpoint, that is by one run of one container. An address can be taken by another container; an endpoint
// is not.
class Pools {
 public:
  explicit Pools(Context* context) : context_(context) {}
  // The one that was used last, if not longer ago than `max_idle` ms; or nullptr.
  Upstream* Take(uint64_t endpoint, uint64_t max_idle);
  void Put(Upstream* upstream, const KeepAlive& limits);
  // Closes the one that has been idle longest if there can be no further connection.
  void MakeRoom();
  // It has closed by itself.
  void Remove(Upstream* upstream);
  // A connection was not put back: keeps no empty pool.
  void Forget(uint64_t endpoint);
  // Closes all of that endpoint.
  void Drop(uint64_t endpoint);
  void Clear();

 private:
  using Pool = std::vector<Upstream*>;

  Context* context_;
  std::unordered_map<uint64_t, Pool> pools_;
};

}  // namespace proxy

#endif  // FASTCONTAINER_EXAMPLES_PROXY_UPSTREAM_H_
