// Several workers: processes that each have an engine and a listening socket of their own. This one starts
// them, starts again those that die, and hands their sockets on; it serves nothing itself.
#ifndef FASTCONTAINER_EXAMPLES_PROXY_MASTER_H_
#define FASTCONTAINER_EXAMPLES_PROXY_MASTER_H_

#include <uv.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "examples/proxy/config.h"
#include "examples/proxy/handover.h"
#include "examples/proxy/server.h"

namespace proxy {

class Master {
 public:
  // `command` starts a worker; its number and descriptors are added.
  Master(uv_loop_t* loop, const Config& config, std::vector<std::string> command);
  ~Master();
  Master(const Master&) = delete;
  Master& operator=(const Master&) = delete;

  // `sockets`: each worker's. Until a signal has ended all, or they could not start. The exit status.
  int Run(std::vector<Sockets> sockets, Predecessor* predecessor);

 private:
  struct Worker {
    uv_process_t process = {};
    uv_timer_t again = {};
    uv_poll_t poll = {};
    Master* master = nullptr;
    uint32_t index = 0;
    Sockets sockets;
    bool runs = false;
    int tells = -1;  // it has said that it serves once nothing can be read here any more
    uint32_t died = 0;
  };
  static void OnExit(uv_process_t* process, int64_t status, int signal);
  static void OnTold(uv_poll_t* poll, int status, int events);
  static void OnSignal(uv_signal_t* signal, int number);
  bool Spawn(Worker& worker);
  void Serves(Worker& worker);
  void StopListeningTo(Worker& worker);
  void Tell(int number);
  void End();
  void EndIfAlone();

  uv_loop_t* const loop_;
  const Config& config_;
  const std::vector<std::string> command_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<uv_signal_t> signals_;
  Handover handover_;
  Predecessor* predecessor_ = nullptr;
  uint32_t serving_ = 0;
  bool ready_ = false;  // all have served
  bool ending_ = false;
  int status_ = 0;
};

}  // namespace proxy

#endif  // FASTCONTAINER_EXAMPLES_PROXY_MASTER_H_
