// A worker: listeners, tick, signals, and the end.
#ifndef FASTCONTAINER_EXAMPLES_PROXY_SERVER_H_
#define FASTCONTAINER_EXAMPLES_PROXY_SERVER_H_

#include <uv.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "examples/proxy/admin.h"
#include "examples/proxy/config.h"
#include "examples/proxy/context.h"
#include "examples/proxy/engine.h"
#include "examples/proxy/handover.h"

namespace proxy {

struct Sockets {
  std::vector<int> clients;
  int admin = -1;
};

class Server {
 public:
  Server(uv_loop_t* loop, const Config& config);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // The sockets listen, and are the server's from now on.
  bool Start(const Sockets& sockets, bool with_dispatcher, std::string* error);
  // Until a signal has ended it, or something it cannot do without has failed. The exit status.
  int Run();
  // To the process that comes next, if the configuration says where.
  void Offer(const Sockets& sockets);
  // Another process serves from now on: takes no more connections, and ends when those that it has are over.
  void Relieved();
  // Ends all that has been begun; also after a failed Start().
  void CloseHandles();

 private:
  struct Listener {
    uv_tcp_t handle = {};
    Server* server = nullptr;
    bool waits = false;  // libuv holds one connection until it is accepted
  };
  static void OnConnection(uv_stream_t* listener, int status);
  static void OnTick(uv_timer_t* timer);
  static void OnSignal(uv_signal_t* signal, int number);
  static void OnClientClosed(void* server);
  bool Listen(const std::vector<int>& sockets, std::string* error);
  void Accept(Listener& listener);
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
  Handover handover_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  uv_timer_t tick_;
  uv_signal_t term_, interrupt_, quit_, hangup_;
  size_t max_connections_ = 0;
  uint64_t drain_until_ = 0;  // ms
  int status_ = 0;
};

}  // namespace proxy

#endif  // FASTCONTAINER_EXAMPLES_PROXY_SERVER_H_
