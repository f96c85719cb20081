// The library's engine, and with --with-dispatcher a dispatcher on it, driven by the proxy's loop.
#ifndef FASTCONTAINER_EXAMPLES_PROXY_ENGINE_H_
#define FASTCONTAINER_EXAMPLES_PROXY_ENGINE_H_

#include <uv.h>

#include <string>

#include "examples/proxy/config.h"
#include "fastcontainer.h"

namespace proxy {

class Engine {
 public:
  explicit Engine(const Config& config) : config_(config) {}
  ~Engine() { Destroy(); }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  bool Create(std::string* error);
  // `failed` is called if the dispatcher cannot start; it may stop the loop.
  bool CreateDispatcher(void (*failed)(void* user_data), void* user_data, std::string* error);
  // From now on the loop serves the engine. The loop must run once more after Destroy().
  bool Watch(uv_loop_t* loop);
  // Containers go on running; the host's next dispatcher adopts them.
  void Destroy();
  fc_engine* get() const { return engine_; }

 private:
  static void Log(void* user_data, int32_t level, fc_str component, fc_str message);
  static void OnReady(void* user_data, int32_t code, const fc_error* error);

  const Config& config_;
  fc_engine* engine_ = nullptr;
  fc_dispatcher* dispatcher_ = nullptr;
  void (*failed_)(void*) = nullptr;
  void* failed_data_ = nullptr;
  bool watching_ = false;
  uv_poll_t poll_;
};

}  // namespace proxy

#endif  // FASTCONTAINER_EXAMPLES_PROXY_ENGINE_H_
