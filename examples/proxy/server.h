// The worker: listener, tick, signals, and the end.
#ifndef FASTCONTAINER_EXAMPLES_PROXY_SERVER_H_
#define FASTCONTAINER_EXAMPLES_PROXY_SERVER_H_

#include <uv.h>

#include <cstddef>
#include <string>

#include "examples/proxy/admin.h"
#include "examples/proxy/config.h"
#include "examples/proxy/context.h"
#include "examples/proxy/engine.h"

namespace proxy {

class Server {
 public:
  Server(uv_loop_t* loop, const Config& config);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  bool Start(bool with_dispatcher, std::string* error);
  // Until a signal has ended it, or something it cannot do without has failed. The exit status.
  int Run();
  // Ends all that has been begun; also after a failed Start().
  void CloseHandles();

 private:
  static void OnConnection(uv_stream_t* listener, int status);
  static void OnTick(uv_timer_t* timer);
  static void OnSignal(uv_signal_t* signal, int number);
  static void OnClientClosed(void* server);
  bool Listen(std::string* error);
  void StartTimerAndSignals();
  void AcceptWaiting();
  void Reload();
  void Drain();
  void StopIfDrained();

  uv_loop_t* loop_;
  const Config& config_;
  Context context_;
  Engine engine_;
  Admin admin_;
  uv_tcp_t listener_;
  uv_timer_t tick_;
  uv_signal_t term_, interrupt_, hangup_;
  size_t max_connections_ = 0;
  bool accept_waits_ = false;  // libuv holds one connection until it is accepted
  uint64_t drain_until_ = 0;   // ms
  int status_ = 0;
};

}  // namespace proxy

#endif  // FASTCONTAINER_EXAMPLES_PROXY_SERVER_H_
