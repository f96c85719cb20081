// One event loop's worth of fastcontainer: a router, a CMDB, a prober, and any number of dispatchers behind
// one file descriptor. The C ABI (fastcontainer.h) is this class with C types; what each call promises is
// written there.
#ifndef FASTCONTAINER_ENGINE_H_
#define FASTCONTAINER_ENGINE_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "fastcontainer/cmdb.h"
#include "fastcontainer/dispatcher.h"
#include "fastcontainer/hooks.h"
#include "fastcontainer/log.h"
#include "fastcontainer/policy.h"
#include "fastcontainer/prober.h"
#include "fastcontainer/reactor.h"
#include "fastcontainer/records.h"
#include "fastcontainer/router.h"
#include "fastcontainer/runtime.h"

namespace fastcontainer {

struct EngineOptions {
  std::string cmdb_url;  // or `cmdb`
  std::function<std::unique_ptr<Cmdb>(Reactor&)> cmdb;
  std::string cluster_key_file;    // "": no key, and only loopback addresses are spoken to
  std::string bind_address;        // numeric; "": any address if there is a key, else 127.0.0.1
  std::unique_ptr<Policy> policy;  // null: score tables, and KeyedChoices where there are none
  Hook hook;                       // may be empty
  LogSink log;                     // may be empty
  // router.name empty: host name and pid. router.seed is chosen by the engine.
  RouterOptions router;
};

struct Stat {
  bool counter = false;  // else a gauge
  std::string_view name, labels, help;
  double value = 0;
};

class Engine {
 public:
  static absl::StatusOr<std::unique_ptr<Engine>> Create(EngineOptions options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  int fd() const;
  Nanos NextDeadline() const;
  int Process(int max_callbacks);
  void Wake();  // any thread
  // Reads cluster_key_file again; see fc_engine_reload_keys().
  absl::Status ReloadKeys();
  // Ends all routing: callbacks with kShutdown run inside, and whatever is asked afterwards gets kShutdown.
  // The destructor calls it. The reactor, the CMDB and the prober live until the destructor ends.
  void Shutdown();

  Reactor& reactor();
  Cmdb& cmdb();
  Prober& prober();
  // Asks dispatchers by their authenticated ECHO; null after Shutdown.
  Prober* echo_prober();

  // Routing. What each promises is said at fc_route() and after it.
  // The warm half of Route(), where it need not prepare for a callback: false if it is not warm, and nothing
  // has happened.
  bool RouteWarm(std::string_view key, const RouteOptions& options, Ticket* ticket);
  RouteCode Route(std::string_view key, const RouteOptions& options, Ticket* ticket, RouteOp* op,
                  RouteCallback callback, void* user_data);
  RouteCode EndTicket(TicketId ticket, Outcome outcome, Nanos duration);
  RouteCode NoteAlive(TicketId ticket);
  RouteCode Retry(TicketId ticket, const Attempt& attempt, const RouteOptions& options, Ticket* next,
                  RouteOp* op, RouteCallback callback, void* user_data);
  // Writes a placement; "" for `host`: the best one that answers, other than the present one. 0 after
  // Shutdown.
  RouteOp Place(std::string_view container, std::string_view host, std::string_view reason,
                PlaceCallback callback);
  // An operation of Route, Retry or Place. True: its callback will never run.
  bool Cancel(RouteOp op);

  // The hosts as a policy would see them; until the engine is next called. Empty after Shutdown.
  HostTable Hosts();
  // A score table for the containers of a class ("" : of every class without its own), for this process
  // alone. See fc_engine_set_scores(). Any thread.
  absl::Status SetScores(std::string_view class_name, absl::Span<const HostScore> scores, Nanos valid);

  // The engine keeps the dispatcher until RemoveDispatcher. `ready` runs when it serves, or cannot.
  absl::StatusOr<DispatcherHost*> AddDispatcher(DispatcherHostOptions options,
                                                DispatcherHost::DoneCallback ready);
  // Legal inside a callback of that dispatcher.
  void RemoveDispatcher(DispatcherHost* dispatcher);

  void ForEachStat(const std::function<void(const Stat&)>& callback) const;

 private:
  class Core;
  explicit Engine(std::unique_ptr<Core> core);
  std::unique_ptr<Core> core_;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_ENGINE_H_
