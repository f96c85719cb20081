// The parts of an engine, in the order in which they are made; they are destroyed in the opposite one.
#ifndef FASTCONTAINER_LIB_ENGINE_ENGINE_CORE_H_
#define FASTCONTAINER_LIB_ENGINE_ENGINE_CORE_H_

#include <memory>
#include <string>
#include <vector>

#include "fastcontainer/engine.h"
#include "lib/base/epoll_reactor.h"
#include "lib/dispatch/channel.h"
#include "lib/engine/counted_cmdb.h"
#include "lib/engine/dispatcher_host.h"
#include "lib/router/router.h"

namespace fastcontainer {

class Engine::Core {
 public:
  static absl::StatusOr<std::unique_ptr<Core>> Create(EngineOptions options);
  ~Core();

  DispatcherPorts ForDispatchers();
  void Shutdown();
  void DestroyLater(std::unique_ptr<DispatcherHost> dispatcher);
  absl::Status ReloadKeys();
  void Log(LogLevel level, std::string_view message);

  std::unique_ptr<EpollReactor> reactor;
  LogSink log;
  Hook hook;
  std::unique_ptr<Policy> policy;  // the user's, may be null
  ScoreTables scores;              // that this process was given
  std::unique_ptr<Prober> prober;
  std::unique_ptr<CountedCmdb> cmdb;
  std::string key_file;  // "": none
  std::vector<ClusterKey> keys;
  Address bind;  // family 0: none was asked for
  uint64_t boot = 0;
  std::vector<std::unique_ptr<DispatcherHost>> dispatchers;
  std::vector<std::unique_ptr<DispatcherHost>> removed;  // to be destroyed in the next round
  std::unique_ptr<Router> router;                        // null once Shutdown() has begun
  bool processing = false;

 private:
  Core() = default;
  absl::Status ReadKeys(const EngineOptions& options);
  absl::Status OpenProberOf();
  absl::Status OpenCmdbOf(const EngineOptions& options);
  absl::Status MakeRouter(RouterOptions options, const std::string& cmdb_url);
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_ENGINE_ENGINE_CORE_H_
