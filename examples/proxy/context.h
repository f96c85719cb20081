// What all connections of the one worker thread share.
#ifndef FASTCONTAINER_EXAMPLES_PROXY_CONTEXT_H_
#define FASTCONTAINER_EXAMPLES_PROXY_CONTEXT_H_

#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "examples/proxy/access_log.h"
#include "examples/proxy/config.h"
#include "examples/proxy/metrics.h"
#include "examples/proxy/output.h"
#include "examples/proxy/route.h"
#include "examples/proxy/tcp.h"
#include "examples/proxy/timeouts.h"
#include "examples/proxy/upstream.h"

namespace proxy {

class Downstream;
class Exchange;

struct Context {
  Context(uv_loop_t* loop, const Config& config);
  ~Context();

  uint64_t now() const { return uv_now(loop); }  // ms
  void Expire();
  // A client may go on after its response.
  bool KeepsClients() const { return !draining && !crowded; }
  // Now, as in the field Date.
  std::string_view Date();

  uv_loop_t* const loop;
  const Config& config;
  Routes routes;
  Metrics metrics;
  AccessLog log;
  Pools pools;
  ReadBuffer buffer;
  // Filled and written within one callback.
  Output to_client;
  Output to_upstream;

  // Of clients: the head is late, the connection is not used, the body does not go on, nothing can be sent,
  // the end is not acknowledged.
  TimeoutQueue header;
  TimeoutQueue idle;
  TimeoutQueue body;
  TimeoutQueue send;
  TimeoutQueue linger;
  // Of containers
  TimeoutQueue connect;
  TimeoutQueue response;
  TimeoutQueue tunnel;
  TimeoutQueue upstream_idle;
  TimeoutQueue hold;

  std::vector<std::unique_ptr<Exchange>> spare_exchanges;
  std::vector<Downstream*> clients;  // each knows its index
  size_t max_upstreams = 0;          // open connections to containers; 0: no limit
  bool draining = false;
  bool crowded = false;  // somebody waits to be accepted
  void (*client_closed)(void* server) = nullptr;
  void* server = nullptr;

 private:
  std::time_t date_second_ = 0;
  std::string date_;
};

}  // namespace proxy

#endif  // FASTCONTAINER_EXAMPLES_PROXY_CONTEXT_H_
