// The router: tickets, queues and the way of one request through cache, probe, relocation and dispatcher.
#ifndef FASTCONTAINER_LIB_ROUTER_ROUTER_H_
#define FASTCONTAINER_LIB_ROUTER_ROUTER_H_

#include <memory>
#include <string_view>
#include <vector>

#include "fastcontainer/router.h"
#include "lib/dispatch/channel.h"
#include "lib/router/score_tables.h"
#include "lib/router/snapshot.h"

namespace fastcontainer {

// What a router stands on; all of it outlives the router, but the channel, which becomes its own.
struct RouterPorts {
  Reactor& reactor;
  Cmdb& cmdb;
  Prober& prober;
  Policy* policy = nullptr;  // the user's; null: score tables, or the built-in one
  Hook* hook = nullptr;      // may be null
  LogSink* log = nullptr;
  SnapshotSeal seal{};                  // of RouterOptions::snapshot
  const ScoreTables* scores = nullptr;  // that this process was given; before the published ones
};

// Belongs to the loop's thread. See capi/include/fastcontainer.h for what each call promises.
class Router {
 public:
  Router(const RouterPorts& ports, std::unique_ptr<Channel> channel, RouterOptions options);
  // Everything that waits gets kShutdown.
  ~Router();

  // The warm half of Route(): false if it is not, and nothing has happened.
  bool RouteWarm(std::string_view key, const RouteOptions& options, Ticket* ticket);
  RouteCode Route(std::string_view key, const RouteOptions& options, Ticket* ticket, RouteOp* op,
                  RouteCallback callback, void* user_data);
  RouteCode EndTicket(TicketId ticket, Outcome outcome, Nanos duration);
  RouteCode NoteAlive(TicketId ticket);
  RouteCode Retry(TicketId ticket, const Attempt& attempt, const RouteOptions& options, Ticket* next,
                  RouteOp* op, RouteCallback callback, void* user_data);
  // An operation of Route, Retry or Place. True: its callback will never run.
  bool Cancel(RouteOp op);
  RouteOp Place(std::string_view container, std::string_view host, std::string_view reason,
                PlaceCallback callback);
  Prober& echo_prober();
  void SetKeys(std::vector<ClusterKey> keys);
  // Of now; until the router is next called.
  const HostTable& host_table();
  RouterStats Stats() const;

 private:
  class Core;
  std::unique_ptr<Core> core_;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_ROUTER_ROUTER_H_
